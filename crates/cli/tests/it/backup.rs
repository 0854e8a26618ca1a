//! `gavel backup` and `gavel restore`: work that was not done before is done after, on a new server.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use gavel_bus::topology::Stream;
use gavel_mock_convex::{Question, SubmissionKind};
use gavel_testkit::{JetStream, NatsServer, Process, TEST_TIMEOUT, wait_until};

use crate::events::{exit_code, lines};
use crate::pipeline::Pipeline;
use crate::streams::{gavel_as, server_with_a_reader};

fn gavel(command: &str, folder: &Path, nats: &NatsServer, role: &str) -> Process {
    Process::builder(env!("CARGO_BIN_EXE_gavel"))
        .arg(command)
        .arg(folder)
        .envs(nats.login(role))
        .start()
        .unwrap()
}

fn question() -> Question {
    Question::build(SubmissionKind::Standard, "q").public("7", "7").done()
}

#[tokio::test(flavor = "multi_thread")]
async fn submission_queued_before_a_backup_is_judged_after_its_restore() {
    let pipeline = Pipeline::start(vec![question()]).await;
    let program = "print(input())";
    pipeline.submit("done", "q", 71, program).await;
    pipeline.result("done").await;
    let jetstream = JetStream::connect(&pipeline.nats).await;
    wait_until("the report", TEST_TIMEOUT, async || {
        jetstream.last_message(Stream::Result, "submission.reported.done").await.is_some()
    })
    .await
    .unwrap();
    pipeline.fetcher.terminate().unwrap();
    pipeline.fetcher.wait_exit(TEST_TIMEOUT).await.unwrap();
    pipeline.submit("queued", "q", 71, program).await;

    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    let made = gavel("backup", &backup, &pipeline.nats, "deploy");
    assert_eq!(exit_code(&made).await, Some(0), "{:?}", made.log());
    assert_eq!(lines(&made).len(), Stream::ALL.len(), "{:?}", made.log());
    assert!(!folder.path().join("backup.partial").exists());
    let content = backup.join("BUNDLES/stream.tar.s2").metadata().unwrap();
    assert_eq!(content.permissions().mode() & 0o777, 0o600, "it contains hidden tests");
    assert_eq!(exit_code(&gavel("backup", &backup, &pipeline.nats, "deploy")).await, Some(73));
    drop(pipeline);

    let nats = NatsServer::builder().with_roles().start().await;
    let restored = gavel("restore", &backup, &nats, "deploy");
    assert_eq!(exit_code(&restored).await, Some(0), "{:?}", restored.log());
    assert_eq!(exit_code(&gavel("restore", &backup, &nats, "deploy")).await, Some(1), "the streams exist");
    let pipeline = Pipeline::start_on(nats, vec![question()], |_| Vec::new()).await;
    let result = pipeline.result("queued").await;
    assert_eq!(result["status"], "passed", "{result}");
    assert!(pipeline.convex.calls_of("done").is_empty(), "what was done before is not done again");
    // The record of all submissions is there, too: a repeated one is not judged twice.
    pipeline.submit("done", "q", 71, program).await;
    let count = JetStream::connect(&pipeline.nats).await.message_count(Stream::Queued).await;
    assert_eq!(count, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_and_restore_name_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    let nats = server_with_a_reader().await;
    let denied = gavel_as("reader", &nats, &["backup", backup.to_str().unwrap()]);
    assert_eq!(exit_code(&denied).await, Some(77), "{:?}", denied.log());
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing stays");
    let empty = NatsServer::builder().with_roles().start().await;
    let nothing = gavel("backup", &folder.path().join("other"), &empty, "deploy");
    assert_eq!(exit_code(&nothing).await, Some(69), "{:?}", nothing.log());
    let missing = gavel("restore", &backup, &empty, "deploy");
    assert_eq!(exit_code(&missing).await, Some(66), "{:?}", missing.log());
}
