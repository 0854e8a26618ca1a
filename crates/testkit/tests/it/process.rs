//! Processes: environment, log, signals, end.

use std::{fs, os::unix::process::ExitStatusExt, time::Duration};

use gavel_testkit::{Process, Signal, WaitError, process, wait_until};

use crate::PATIENCE;

fn shell(script: &str) -> process::Builder {
    Process::builder("/bin/sh").arg("-c").arg(script)
}

/// `State` of `/proc/<pid>/stat`; none once it is gone. A zombie that nobody reaps counts as gone.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.chars().next().filter(|state| *state != 'Z')
}

#[tokio::test]
async fn it_has_the_environment_given_and_no_other() {
    let process =
        shell("env").env("GAVEL_A", "1").envs([("GAVEL_A", "2"), ("GAVEL_B", "3")]).start().unwrap();
    let status = process.wait_exit(PATIENCE).await.unwrap();
    assert!(status.success());
    process.wait_log("the last variable", PATIENCE, |line| line.text == "GAVEL_B=3").await.unwrap();
    let error = process.wait_log("cargo's", PATIENCE, |line| line.contains("CARGO")).await.unwrap_err();
    assert!(matches!(error, WaitError::Exited { .. }) && error.to_string().contains("GAVEL_A=2"), "{error}");
    assert!(process.log().iter().any(|line| line.text.starts_with("PATH=")));
}

#[tokio::test]
async fn log_lines_are_waited_for_as_they_come() {
    let script =
        r#"echo '{"level":"INFO","port":4001}'; read -r line < "$FIFO"; echo "got $line" >&2; sleep 1000"#;
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let process = shell(script).env("FIFO", &fifo).start().unwrap();
    let line = process.wait_log("its port", PATIENCE, |line| line.field("/port").is_some()).await.unwrap();
    assert_eq!(line.field("/port"), Some(4001.into()));
    let mark = process.mark();
    let told = tokio::spawn(tokio::fs::write(fifo, "it\n"));
    process.wait_log_after(mark, "its echo", PATIENCE, |line| line.text == "got it").await.unwrap();
    told.await.unwrap().unwrap();
    let error = process.wait_log("nothing", Duration::from_millis(20), |_| false).await.unwrap_err();
    assert!(error.to_string().starts_with("waited 20ms for nothing of sh\n"), "{error}");
}

#[tokio::test]
async fn signals_reach_it_and_its_end_is_told() {
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let process = shell(script).start().unwrap();
    process.wait_log("readiness", PATIENCE, |line| line.text == "ready").await.unwrap();
    process.freeze().unwrap();
    assert_eq!(state(process.pid()), Some('T'), "it is stopped once freeze returns");
    process.thaw().unwrap();
    process.terminate().unwrap();
    assert_eq!(process.wait_exit(PATIENCE).await.unwrap().code(), Some(7));
    process.signal(Signal::TERM).unwrap();

    let (mark, first) = (process.mark(), process.pid());
    process.restart().await.unwrap();
    process.wait_log_after(mark, "readiness again", PATIENCE, |line| line.text == "ready").await.unwrap();
    assert_ne!(process.pid(), first);
    assert_eq!(process.exit_status(), None);
    process.freeze().unwrap();
    assert_eq!(process.kill().await.unwrap().signal(), Some(9), "also one that is stopped");
}

#[tokio::test]
async fn dropping_it_leaves_nothing() {
    let process = shell("echo started; exec sleep 1000").start().unwrap();
    process.wait_log("its start", PATIENCE, |line| line.text == "started").await.unwrap();
    let pid = process.pid();
    drop(process);
    assert_eq!(state(pid), None);
}

/// Not a test of its own: [`a_killed_test_takes_its_processes_along`] runs it in a process that it kills.
#[tokio::test]
async fn the_victim_of_another_test() {
    if std::env::var_os("GAVEL_TESTKIT_VICTIM").is_none() {
        return;
    }
    // Started on a thread that ends at once, which must not matter.
    let start = std::thread::spawn(|| shell("echo started; exec sleep 1000").start().unwrap());
    let process = start.join().unwrap();
    process.wait_log("its start", PATIENCE, |line| line.text == "started").await.unwrap();
    println!("\nstarted {}", process.pid());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_test_takes_its_processes_along() {
    let own = std::env::current_exe().unwrap();
    let args = ["--exact", "process::the_victim_of_another_test", "--nocapture"];
    let victim = Process::builder(own).args(args).env("GAVEL_TESTKIT_VICTIM", "1").start().unwrap();
    let started = |line: &gavel_testkit::LogLine| line.text.starts_with("started ");
    let line = victim.wait_log("its child", PATIENCE, started).await.unwrap();
    let child = line.text["started ".len()..].parse().unwrap();
    assert!(state(child).is_some());
    victim.kill().await.unwrap();
    wait_until("the child's end", PATIENCE, async || state(child).is_none()).await.unwrap();
}

#[test]
fn what_is_not_built_is_said_to_be_missing() {
    let error = process::built_binary("gavel-nonesuch").unwrap_err();
    assert!(error.to_string().starts_with("there is no gavel-nonesuch near "), "{error}");
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    assert!(Process::builder("/nonexistent/program").start().is_err());
}
