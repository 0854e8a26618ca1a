//! The isolation between programs and the judge, and a judge that cannot isolate.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use gavel_domain::{LanguageId, Status};
use gavel_testkit::{Process, ServiceProcess, TEST_TIMEOUT};

use crate::rig::Rig;

/// A judge that runs as the user `nobody`, and the folder of its executable.
fn unprivileged_judge(rig: &Rig, tier: &str) -> (Process, tempfile::TempDir) {
    judge_of_nobody(rig, tier, "-all")
}

/// The same with capabilities, as setpriv names them.
fn judge_of_nobody(rig: &Rig, tier: &str, capabilities: &str) -> (Process, tempfile::TempDir) {
    // The user `nobody` must be able to run the executable.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("gavel-judge");
    std::fs::copy(env!("CARGO_BIN_EXE_gavel-judge"), &program).unwrap();
    let judge = Process::builder("/usr/bin/setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"])
        .args(["inh-caps", "ambient-caps", "bounding-set"].map(|set| format!("--{set}={capabilities}")))
        .arg(program)
        .env("NATS_URL", rig.nats.url())
        .env("PORT", "0")
        .env("JUDGE_SLOTS", "1")
        .env("SANDBOX_TIER", tier)
        .directory("/")
        .start()
        .unwrap();
    (judge, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn judge_that_cannot_isolate_does_not_start_and_logs_why() {
    let rig = Rig::start().await;
    let (judge, _folder) = unprivileged_judge(&rig, "auto");
    assert_eq!(judge.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(64));
    let has_logged = |text: &str| judge.log().iter().any(|line| line.contains(text));
    let log = judge.log();
    let last = log.last().unwrap();
    assert!(
        last.contains("the sandbox needs the cgroup controllers") && last.contains("SANDBOX_TIER=no-cgroup"),
        "{log:?}"
    );
    assert!(has_logged("missing  separate ids for programs"), "{:?}", judge.log());
}

/// With this personality the kernel names an older release to the process (`personality(2)`, `UNAME26`).
#[tokio::test]
async fn judge_on_an_old_kernel_exits_with_64() {
    let judge = Process::builder("/usr/bin/setarch").args(["--uname-2.6", env!("CARGO_BIN_EXE_gavel-judge")]);
    let (code, output) = judge.env("PORT", "0").output().await;
    assert_eq!(code, Some(64), "{output}");
    let last = output.lines().last().unwrap_or_default();
    assert!(last.contains("the sandbox needs Linux 5.12 or later, and this is 2.6."), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unprivileged_judge_works_if_the_operator_names_the_weaker_tier() {
    let rig = Rig::start().await;
    let (judge, _folder) = unprivileged_judge(&rig, "no-cgroup");
    judge.wait_log("the judge to listen", TEST_TIMEOUT, |line| line.contains("\"listening\"")).await.unwrap();
    assert!(judge.log().iter().any(|line| line.contains("no cgroup (memory and CPU time are sampled)")));
    let end = rig.watch("lesser").await;
    rig.ready("lesser", rig.question().await, "print(input())").await;
    assert_eq!(end.await.judged.verdict.status, Status::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn judge_with_three_capabilities_gives_programs_separate_ids_without_being_root() {
    let rig = Rig::start().await;
    let (judge, _folder) = judge_of_nobody(&rig, "no-cgroup", "-all,+setuid,+setgid,+chown");
    judge.wait_log("the judge to listen", TEST_TIMEOUT, |line| line.contains("\"listening\"")).await.unwrap();
    assert!(judge.log().iter().any(|line| line.contains("a user namespace for each slot with separate ids")));
    let c = "#include <stdio.h>\nint main() { int n; scanf(\"%d\", &n); printf(\"%d\", n); }";
    for (id, language, source) in [("python", 71, "print(input())"), ("c", 50, c)] {
        let end = rig.watch(id).await;
        rig.ready_in(LanguageId(language), id, rig.question().await, source).await;
        assert_eq!(end.await.judged.verdict.status, Status::Passed, "{id}");
    }
    judge.terminate().unwrap();
    assert_eq!(judge.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn program_sees_nothing_of_the_judge() {
    let rig = Rig::start().await;
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "secretinafile").unwrap();
    let judge = ServiceProcess::start(rig.builder().env("CONVEX_TOKEN", "secretinenvironment")).await;
    let end = rig.watch("spy").await;
    let source = format!(
        "import os, socket\n\
         found = []\n\
         for path in ['{file}', '/proc/1/environ', '/proc/{pid}/environ', '/etc/shadow']:\n\
         \x20   try: found.append(open(path, 'rb').read())\n\
         \x20   except OSError: pass\n\
         if any(b'secret' in text or b'root:' in text for text in found) or 'CONVEX_TOKEN' in os.environ:\n\
         \x20   print('seen')\n\
         try: socket.create_connection(('127.0.0.1', {port}), 1); print('connected')\n\
         except OSError: pass\n\
         print(input())",
        file = secret.path().display(),
        pid = judge.pid(),
        port = rig.nats.port(),
    );
    rig.ready("spy", rig.question().await, &source).await;
    let verdict = end.await.judged.verdict;
    assert_eq!(verdict.status, Status::Passed, "{:?}", verdict.first_failure);
}
