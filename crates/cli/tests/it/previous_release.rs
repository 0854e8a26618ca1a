//! The services of this version with the messages that version 0.1.0 stored, byte by byte.
//!
//! `scripts/upgrade` does the same with the programs of that version.

use std::time::Duration;

use async_nats::HeaderMap;
use gavel_bus::topology::{Stream, TopologySettings};
use gavel_mock_convex::{Question, SubmissionKind};
use gavel_testkit::{JetStream, NatsServer, TEST_TIMEOUT, rig, wait_until};

use crate::pipeline::Pipeline;

/// Each line is a subject, the payload in hexadecimal, and the headers.
const MESSAGES: &str = include_str!("../../../../proto/tests/golden/v0.1.0.txt");

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Stores a recorded message with its headers.
async fn store(jetstream: &JetStream, line: &str) {
    let mut words = line.split(' ');
    let (subject, payload) = (words.next().unwrap().to_owned(), unhex(words.next().unwrap()));
    let mut headers = HeaderMap::new();
    for (name, value) in words.filter_map(|word| word.split_once('=')) {
        headers.insert(name, value);
    }
    let sent =
        jetstream.context.publish_with_headers(subject.clone(), headers, payload.into()).await.unwrap();
    sent.await.unwrap_or_else(|error| panic!("{subject}: {error}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_version_0_1_0_are_processed_at_each_stage() {
    let nats = NatsServer::builder().with_roles().start().await;
    let topology = TopologySettings { ack_wait: Duration::from_secs(2), ..TopologySettings::default() };
    rig::connect(&nats, topology).await.ensure_topology().await;
    let jetstream = JetStream::connect(&nats).await;
    for line in MESSAGES.lines().filter(|line| !line.starts_with("presence.")) {
        store(&jetstream, line).await;
    }
    let question = Question::build(SubmissionKind::Standard, "q1").public("7", "7").public("8", "8").done();
    let pipeline = Pipeline::start_on(nats, vec![question], |_| Vec::new()).await;
    // Queued, ready with its test cases, ready without them, handed on, judged; one is in its second generation.
    for id in ["queued", "ready", "expired", "waiting", "passed", "done"] {
        let result = pipeline.result(&format!("recorded-{id}")).await;
        assert_eq!(
            (&result["status"], &result["passedCount"]),
            (&"passed".into(), &2.into()),
            "{id}: {result}"
        );
    }
    let failed = pipeline.result("recorded-failed").await;
    assert_eq!((&failed["status"], &failed["passedCount"]), (&"failed".into(), &0.into()), "{failed}");
    assert_eq!(pipeline.result("recorded-error").await["status"], "error");
    let subjects = ["queued", "ready", "expired", "waiting", "passed", "failed", "error"];
    for id in subjects.map(|id| format!("recorded-{id}")).into_iter().chain(["recorded-done.2".to_owned()]) {
        let reported = format!("submission.reported.{id}");
        wait_until(&reported, TEST_TIMEOUT, async || {
            jetstream.last_message(Stream::Result, &reported).await.is_some()
        })
        .await
        .unwrap();
    }
    // The dead letter is still the only one.
    assert_eq!(jetstream.message_count(Stream::DeadLetter).await, 1);
}
