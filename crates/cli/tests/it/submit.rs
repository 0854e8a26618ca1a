//! `gavel submit`: what it prints and its exit codes.

use std::path::Path;

use gavel_testkit::{Process, TEST_TIMEOUT};
use serde_json::Value;

use crate::up::Up;

fn submit(up: &Up, file: &Path, arguments: &[&str]) -> Process {
    Process::builder(env!("CARGO_BIN_EXE_gavel"))
        .args(["submit", file.to_str().unwrap(), "--question", "sum"])
        .args(arguments)
        .env("INGRESS_URL", format!("http://127.0.0.1:{}", up.port))
        .envs(up.nats_envs())
        .start()
        .unwrap()
}

async fn exit_code(process: &Process) -> Option<i32> {
    process.wait_exit(TEST_TIMEOUT).await.unwrap().code()
}

#[tokio::test(flavor = "multi_thread")]
async fn submit_shows_each_step_and_exits_with_the_result() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path()).await;
    let file = data.path().join("program.py");
    std::fs::write(&file, "print(sum(map(int, input().split())))").unwrap();

    let json = submit(&up, &file, &["--json"]);
    assert_eq!(exit_code(&json).await, Some(0));
    let steps: Vec<Value> = json.log().iter().filter_map(gavel_testkit::LogLine::json).collect();
    let events: Vec<_> = steps.iter().map(|step| step["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["queued", "ready", "running", "judged", "reported"]);
    assert_eq!(steps[3]["result"]["status"], "passed");

    let plain = submit(&up, &file, &[]);
    assert_eq!(exit_code(&plain).await, Some(0));
    assert!(plain.log().iter().any(|line| line.contains("judged passed 5/5")));

    std::fs::write(&file, "print('no')").unwrap();
    assert_eq!(exit_code(&submit(&up, &file, &[])).await, Some(1));
    assert_eq!(exit_code(&submit(&up, &file, &["--language", "4242"])).await, Some(2));
    std::fs::write(&file, "import time\ntime.sleep(60)").unwrap();
    assert_eq!(exit_code(&submit(&up, &file, &["--timeout", "1"])).await, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_use_is_64_and_an_absent_line_69() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("program.txt");
    std::fs::write(&file, "x").unwrap();
    let run = |arguments: &[&str]| {
        Process::builder(env!("CARGO_BIN_EXE_gavel"))
            .arg("submit")
            .args(arguments)
            .env("INGRESS_URL", "http://127.0.0.1:9")
            .env("NATS_URL", "nats://127.0.0.1:9")
            .start()
            .unwrap()
    };
    let path = file.to_str().unwrap();
    assert_eq!(exit_code(&run(&[])).await, Some(64));
    assert_eq!(exit_code(&run(&["/nonexistent.py", "-q", "sum"])).await, Some(64));
    assert_eq!(exit_code(&run(&[path, "-q", "sum"])).await, Some(64), "the language is not plain");
    assert_eq!(exit_code(&run(&[path, "-q", "sum", "-l", "71"])).await, Some(69));
}
