//! `gavel up`: one process with its own nats-server and mock Convex.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::ConnectErrorKind;
use gavel_testkit::{LogLine, Process, TEST_TIMEOUT, process};
use serde_json::Value;

use crate::pipeline::submission;

/// `gavel up` on four consecutive ports that are probably free.
pub(crate) struct Up {
    pub(crate) process: Process,
    pub(crate) port: u16,
    pub(crate) nats_port: u16,
    /// The user's directory for the keys of running servers.
    state: PathBuf,
}

impl Up {
    pub(crate) async fn start(data: &Path) -> Self {
        Self::start_with(Process::builder(env!("CARGO_BIN_EXE_gavel")), data).await
    }

    /// Starts `gavel up` with this program and its environment.
    pub(crate) async fn start_with(gavel: process::Builder, data: &Path) -> Self {
        // Below the range of ephemeral ports, and different for tests that run at the same time.
        let port = 10_000 + u16::try_from(std::process::id() % 2_000).unwrap() * 8;
        let nats_port = port + 6;
        let state = data.join("state");
        let process = gavel
            .arg("up")
            .env("PORT", port.to_string())
            .env("NATS_PORT", nats_port.to_string())
            .env("DATA_DIR", data)
            .env("NATS_SERVER", gavel_testkit::nats::find_binary().unwrap())
            .env("JUDGE_SLOTS", "1")
            .env("ACK_WAIT_MS", "2000")
            .env("XDG_STATE_HOME", &state)
            .start()
            .unwrap();
        let up = Self { process, port, nats_port, state };
        up.until_up().await;
        up
    }

    pub(crate) async fn until_up(&self) {
        self.process
            .wait_log("its readiness", TEST_TIMEOUT, |line| line.contains("\"gavel is up\""))
            .await
            .unwrap();
    }

    async fn post(&self, id: &str, source: &str) {
        assert_eq!(self.try_post(id, source).await, 202);
    }

    /// Posts a submission and returns the status of the answer.
    pub(crate) async fn try_post(&self, id: &str, source: &str) -> u16 {
        let url = format!("http://127.0.0.1:{}/v1/judge-question", self.port);
        let body = submission(id, "sum", 71, source);
        gavel_http::client().build().unwrap().post(url).json(&body).send().await.unwrap().status().as_u16()
    }

    /// The status of a submission in mock Convex, once it is final.
    pub(crate) async fn final_status(&self, id: &str) -> String {
        let url = format!("http://127.0.0.1:{}/submissions/{id}", self.port + 4);
        let mut status = String::new();
        gavel_testkit::wait_until("a final status", TEST_TIMEOUT, async || {
            let Ok(answer) = gavel_http::client().build().unwrap().get(&url).send().await else {
                return false;
            };
            let Ok(body) = answer.json::<Value>().await else { return false };
            body["status"].as_str().unwrap_or_default().clone_into(&mut status);
            ["passed", "failed", "error"].contains(&status.as_str())
        })
        .await
        .unwrap();
        status
    }

    /// The environment of other commands of the same user.
    pub(crate) fn nats_envs(&self) -> [(&'static str, OsString); 2] {
        let url = format!("nats://127.0.0.1:{}", self.nats_port);
        [("NATS_URL", url.into()), ("XDG_STATE_HOME", self.state.clone().into())]
    }

    /// Runs another command of the same user.
    async fn gavel(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let command = Process::builder(env!("CARGO_BIN_EXE_gavel")).args(arguments);
        command.envs(self.nats_envs()).output().await
    }

    /// The process id of its nats-server.
    fn nats_pid(&self) -> String {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.pid())).unwrap().flatten();
        let children = threads.map(|thread| std::fs::read_to_string(thread.path().join("children")).unwrap());
        let pids: Vec<String> = children
            .flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let is_server = |pid: &String| {
            std::fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name.trim() == "nats-server")
        };
        pids.into_iter().find(is_server).unwrap()
    }

    fn is_nats_there(&self) -> bool {
        std::net::TcpStream::connect(("127.0.0.1", self.nats_port)).is_ok()
    }
}

pub(crate) const SUM: &str = "print(sum(map(int, input().split())))";

#[tokio::test(flavor = "multi_thread")]
async fn up_judges_and_leaves_no_process_behind() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path()).await;
    assert!(
        up.process.log().iter().any(|line| line.contains("using mock Convex")),
        "mock Convex is announced"
    );
    up.post("one", SUM).await;
    assert_eq!(up.final_status("one").await, "passed");
    up.process.terminate().unwrap();
    assert!(up.process.wait_exit(TEST_TIMEOUT).await.unwrap().success());
    assert!(!up.is_nats_there(), "its nats-server still runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn up_continues_after_kill_and_restart() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path()).await;
    up.post("kept", &format!("import time\nwhile time.process_time() < 0.3: pass\n{SUM}")).await;
    up.process.kill().await.unwrap();
    gavel_testkit::wait_until("the end of its nats-server", Duration::from_secs(10), async || {
        !up.is_nats_there()
    })
    .await
    .unwrap();
    up.process.restart().await.unwrap();
    up.until_up().await;
    assert_eq!(up.final_status("kept").await, "passed");
}

/// Other users of the machine can connect to its port, but not log in.
#[tokio::test(flavor = "multi_thread")]
async fn nats_server_of_up_serves_only_its_user() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path()).await;
    up.post("one", SUM).await;
    assert_eq!(up.final_status("one").await, "passed");
    let anonymous = async_nats::connect(format!("nats://127.0.0.1:{}", up.nats_port)).await;
    assert_eq!(anonymous.unwrap_err().kind(), ConnectErrorKind::AuthorizationViolation);
    let (code, output) = up.gavel(&["trace", "one"]).await;
    assert_eq!(code, Some(0), "{output}");

    let file = data.path().join("nats.nk");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let key = std::fs::read_to_string(&file).unwrap();
    let server = up.nats_pid();
    for shown in ["cmdline", "environ"].map(|name| format!("/proc/{server}/{name}")) {
        assert!(!String::from_utf8_lossy(&std::fs::read(&shown).unwrap()).contains(key.trim()), "{shown}");
    }
    assert!(up.process.log().iter().all(|line| !line.contains(key.trim())));

    up.process.terminate().unwrap();
    assert!(up.process.wait_exit(TEST_TIMEOUT).await.unwrap().success());
    let mark = up.process.mark();
    up.process.restart().await.unwrap();
    let is_up = |line: &LogLine| line.contains("\"gavel is up\"");
    up.process.wait_log_after(mark, "its readiness", TEST_TIMEOUT, is_up).await.unwrap();
    assert_ne!(std::fs::read_to_string(&file).unwrap(), key, "each start has a new key");
    assert_eq!(up.gavel(&["trace", "one"]).await.0, Some(0));
    up.process.terminate().unwrap();
    assert!(up.process.wait_exit(TEST_TIMEOUT).await.unwrap().success());
    assert_eq!(std::fs::read_dir(up.state.join("gavel")).unwrap().count(), 0, "its key is still registered");
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_server_of_up_gets_no_secret() {
    let data = tempfile::tempdir().unwrap();
    let secrets =
        [("CONVEX_TOKEN", "secret-1"), ("INGRESS_KEYS", "secret-2"), ("JUDGE0_API_KEY", "secret-3")];
    let program = Process::builder(env!("CARGO_BIN_EXE_gavel")).envs(secrets);
    let up = Up::start_with(program, data.path()).await;
    let environment = std::fs::read(format!("/proc/{}/environ", up.nats_pid())).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(environment.contains("GOMEMLIMIT") && !environment.contains("secret-"), "{environment}");
}

#[tokio::test(flavor = "multi_thread")]
async fn second_up_in_one_data_directory_is_an_error() {
    let data = tempfile::tempdir().unwrap();
    let first = Up::start(data.path()).await;
    let second = Process::builder(env!("CARGO_BIN_EXE_gavel"))
        .arg("up")
        .env("PORT", (first.port + 1000).to_string())
        .env("NATS_PORT", (first.nats_port + 1000).to_string())
        .env("DATA_DIR", data.path())
        .env("NATS_SERVER", gavel_testkit::nats::find_binary().unwrap())
        .start()
        .unwrap();
    assert_eq!(second.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(1));
    assert!(second.log().iter().any(|line| line.contains("another gavel up uses")));
}

#[tokio::test]
async fn up_reports_all_configuration_errors_with_exit_code_64() {
    let up = Process::builder(env!("CARGO_BIN_EXE_gavel"))
        .arg("up")
        .env("PORT", "http")
        .env("NATS_SYNC_INTERVAL", "never")
        .env("JUDGE_SLOTS", "0")
        .start()
        .unwrap();
    assert_eq!(up.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(64));
    let log: Vec<String> = up.log().into_iter().map(|line| line.text).collect();
    for name in ["PORT=", "NATS_SYNC_INTERVAL=", "JUDGE_SLOTS="] {
        assert_eq!(log.iter().filter(|line| line.starts_with(name)).count(), 1, "{name} in {log:?}");
    }
}
