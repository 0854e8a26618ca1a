//! Processes: environment, log, signals, exit.

use std::{fs, io::Read as _, os::unix::process::ExitStatusExt, time::Duration};

use gavel_testkit::{Process, Signal, TEST_TIMEOUT, WaitError, process, wait_until};

fn shell(script: &str) -> process::Builder {
    Process::builder("/bin/sh").arg("-c").arg(script)
}

/// The state in `/proc/<pid>/stat`, or `None` once the process is gone. A zombie counts as gone.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.chars().next().filter(|state| *state != 'Z')
}

#[tokio::test]
async fn process_gets_only_the_given_environment() {
    let process =
        shell("env").env("GAVEL_A", "1").envs([("GAVEL_A", "2"), ("GAVEL_B", "3")]).start().unwrap();
    let status = process.wait_exit(TEST_TIMEOUT).await.unwrap();
    assert!(status.success());
    process.wait_log("the last variable", TEST_TIMEOUT, |line| line.text == "GAVEL_B=3").await.unwrap();
    let error = process.wait_log("cargo's", TEST_TIMEOUT, |line| line.contains("CARGO")).await.unwrap_err();
    assert!(matches!(error, WaitError::Exited { .. }) && error.to_string().contains("GAVEL_A=2"), "{error}");
    assert!(process.log().iter().any(|line| line.text.starts_with("PATH=")));
}

#[tokio::test]
async fn wait_log_returns_lines_as_they_arrive() {
    let script =
        r#"echo '{"level":"INFO","port":4001}'; read -r line < "$FIFO"; echo "got $line" >&2; sleep 1000"#;
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let process = shell(script).env("FIFO", &fifo).start().unwrap();
    let line =
        process.wait_log("its port", TEST_TIMEOUT, |line| line.field("/port").is_some()).await.unwrap();
    assert_eq!(line.field("/port"), Some(4001.into()));
    let mark = process.mark();
    let written = tokio::spawn(tokio::fs::write(fifo, "it\n"));
    process.wait_log_after(mark, "its echo", TEST_TIMEOUT, |line| line.text == "got it").await.unwrap();
    written.await.unwrap().unwrap();
    let error = process.wait_log("nothing", Duration::from_millis(20), |_| false).await.unwrap_err();
    assert!(error.to_string().starts_with("waited 20ms for nothing of sh\n"), "{error}");
}

/// A service logs before it publishes: a test that has the event relies on the lines before it.
#[tokio::test]
async fn log_has_all_that_was_written_before() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    let script = r#"mkfifo "$FIFO"; echo ready; exec 3> "$FIFO"
        for round in 1 2 3 4 5 6 7 8; do seq 2000; printf 'the last '; echo line; echo >&3; done; sleep 1000"#;
    let process = shell(script).env("FIFO", &fifo).start().unwrap();
    process.wait_log("the pipe", TEST_TIMEOUT, |line| line.text == "ready").await.unwrap();
    let mut fifo = fs::File::open(fifo).unwrap();
    for round in 1..=8 {
        fifo.read_exact(&mut [0]).unwrap();
        let (log, mark) = (process.log(), process.mark());
        let line = log.get(2001 * round).map(|line| line.text.as_str());
        assert_eq!(line, Some("the last line"), "{round}: {} lines", log.len());
        assert!(process.log_after(mark).len() <= 2001 * (8 - round), "{round}");
    }
}

#[tokio::test]
async fn process_receives_signals_and_reports_its_exit() {
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let process = shell(script).start().unwrap();
    process.wait_log("readiness", TEST_TIMEOUT, |line| line.text == "ready").await.unwrap();
    process.freeze().unwrap();
    assert_eq!(state(process.pid()), Some('T'), "the process is stopped once freeze returns");
    process.thaw().unwrap();
    process.terminate().unwrap();
    assert_eq!(process.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(7));
    process.signal(Signal::TERM).unwrap();

    let (mark, first) = (process.mark(), process.pid());
    process.restart().await.unwrap();
    process.wait_log_after(mark, "readiness again", TEST_TIMEOUT, |line| line.text == "ready").await.unwrap();
    assert_ne!(process.pid(), first);
    assert_eq!(process.exit_status(), None);
    process.freeze().unwrap();
    assert_eq!(process.kill().await.unwrap().signal(), Some(9), "a stopped process can be killed");
}

#[tokio::test]
async fn dropped_process_is_killed() {
    let process = shell("echo started; exec sleep 1000").start().unwrap();
    process.wait_log("its start", TEST_TIMEOUT, |line| line.text == "started").await.unwrap();
    let pid = process.pid();
    drop(process);
    assert_eq!(state(pid), None);
}

/// Not a test by itself: [`killed_test_takes_its_processes_along`] runs it in a process that it kills.
#[tokio::test]
async fn helper_process_of_killed_test() {
    if std::env::var_os("GAVEL_TESTKIT_VICTIM").is_none() {
        return;
    }
    // Started by a thread that ends at once, which must make no difference.
    let start = std::thread::spawn(|| shell("echo started; exec sleep 1000").start().unwrap());
    let process = start.join().unwrap();
    process.wait_log("its start", TEST_TIMEOUT, |line| line.text == "started").await.unwrap();
    println!("\nstarted {}", process.pid());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn killed_test_takes_its_processes_along() {
    let own = std::env::current_exe().unwrap();
    let args = ["--exact", "process::helper_process_of_killed_test", "--nocapture"];
    let victim = Process::builder(own).args(args).env("GAVEL_TESTKIT_VICTIM", "1").start().unwrap();
    let started = |line: &gavel_testkit::LogLine| line.text.starts_with("started ");
    let line = victim.wait_log("its child", TEST_TIMEOUT, started).await.unwrap();
    let child = line.text["started ".len()..].parse().unwrap();
    assert!(state(child).is_some());
    victim.kill().await.unwrap();
    wait_until("the exit of the child", TEST_TIMEOUT, async || state(child).is_none()).await.unwrap();
}

#[test]
fn missing_binary_is_named_in_the_error() {
    let error = process::built_binary("gavel-nonesuch").unwrap_err();
    assert!(error.to_string().starts_with("cannot find gavel-nonesuch near "), "{error}");
}

#[test]
fn missing_program_is_an_error() {
    assert!(Process::builder("/nonexistent/program").start().is_err());
}
