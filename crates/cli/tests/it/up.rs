//! `gavel up`: one process with its own nats-server and mock Convex.

use std::path::Path;
use std::time::Duration;

use gavel_testkit::{Process, TEST_TIMEOUT};
use serde_json::Value;

use crate::pipeline::submission;

/// `gavel up` on four consecutive ports that are probably free.
pub(crate) struct Up {
    pub(crate) process: Process,
    pub(crate) port: u16,
    pub(crate) nats_port: u16,
}

impl Up {
    pub(crate) async fn start(data: &Path) -> Self {
        // Below the range of ephemeral ports, and different for tests that run at the same time.
        let port = 10_000 + u16::try_from(std::process::id() % 2_000).unwrap() * 8;
        let nats_port = port + 6;
        let process = Process::builder(env!("CARGO_BIN_EXE_gavel"))
            .arg("up")
            .env("PORT", port.to_string())
            .env("NATS_PORT", nats_port.to_string())
            .env("DATA_DIR", data)
            .env("NATS_SERVER", gavel_testkit::nats::find_binary().unwrap())
            .env("JUDGE_SLOTS", "1")
            .env("ACK_WAIT_MS", "2000")
            .start()
            .unwrap();
        let up = Self { process, port, nats_port };
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
        let url = format!("http://127.0.0.1:{}/v1/judge-question", self.port);
        let body = submission(id, "sum", 71, source);
        assert_eq!(reqwest::Client::new().post(url).json(&body).send().await.unwrap().status(), 202);
    }

    /// The status of a submission in mock Convex, once it is final.
    async fn final_status(&self, id: &str) -> String {
        let url = format!("http://127.0.0.1:{}/submissions/{id}", self.port + 4);
        let mut status = String::new();
        gavel_testkit::wait_until("a final status", TEST_TIMEOUT, async || {
            let Ok(answer) = reqwest::get(&url).await else { return false };
            let Ok(body) = answer.json::<Value>().await else { return false };
            body["status"].as_str().unwrap_or_default().clone_into(&mut status);
            ["passed", "failed", "error"].contains(&status.as_str())
        })
        .await
        .unwrap();
        status
    }

    fn is_nats_there(&self) -> bool {
        std::net::TcpStream::connect(("127.0.0.1", self.nats_port)).is_ok()
    }
}

const SUM: &str = "print(sum(map(int, input().split())))";

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
