//! A nats-server that answers and cannot store: its disk is full, or its limits are too small.

use std::time::Duration;

use gavel_bus::topology::{Stream, TopologySettings};
use gavel_domain::event::DeadLetter;
use gavel_mock_convex::{Endpoint, Question, SubmissionKind};
use gavel_testkit::process::built_binary;
use gavel_testkit::{
    JetStream, LogLine, NatsServer, Process, ServiceProcess, SmallDisk, TEST_TIMEOUT, wait_until,
};

use crate::events::{exit_code, expect, printed, queued};
use crate::pipeline::{Pipeline, submission};
use crate::up::{SUM, Up};

const ECHO: &str = "print(input())";

/// Submits until the ingress answers 503, and returns the accepted submissions.
async fn submit_until_refused(pipeline: &Pipeline) -> Vec<String> {
    let source = format!("{ECHO}  # {}", "x".repeat(10_000));
    let mut accepted = Vec::new();
    for n in 0..100 {
        let id = format!("full{n}");
        match pipeline.post(&submission(&id, "q", 71, &source)).await {
            202 => accepted.push(id),
            503 => return accepted,
            other => panic!("{other}"),
        }
    }
    panic!("the disk is never full");
}

async fn readiness(service: &ServiceProcess) -> String {
    let (status, body) = service.get("/readyz").await;
    format!("{status} {body}")
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_is_reported_and_loses_nothing() {
    let question = |id: &str| Question::build(SubmissionKind::Standard, id).public("7", "7");
    // Its test cases need more room than is left in the blocks that are written.
    let large = question("large").hidden(&"7".repeat(200_000), &"7".repeat(200_000));
    let disk = SmallDisk::mount(64 << 20).await.unwrap();
    let nats = NatsServer::builder().with_roles().disk(disk).start().await;
    let pipeline =
        Pipeline::start_each_on(nats, vec![question("q").done(), large.done()], |_| Vec::new()).await;
    let (nats, disk) = (&pipeline.nats, pipeline.nats.disk().unwrap());
    pipeline.submit("before", "q", 71, ECHO).await;
    assert_eq!(pipeline.result("before").await["status"], "passed");
    let hold = pipeline.convex.hold(Endpoint::TEST_CASES);
    pipeline.submit("held", "large", 71, ECHO).await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();

    disk.fill().unwrap();
    hold.release();
    let accepted = submit_until_refused(&pipeline).await;
    let mut ready = String::new();
    wait_until("a readiness that names the stream", TEST_TIMEOUT, async || {
        ready = readiness(&pipeline.ingress).await;
        ready.starts_with("503") && ready.contains("SUB_QUEUED") && ready.contains("restart nats-server")
    })
    .await
    .unwrap_or_else(|_| panic!("{ready}"));
    expect(nats, &["doctor", "--no-judge"], &["bad      store of NATS: stream SUB_QUEUED"]).await;
    expect(nats, &["status"], &["is not ready: stream SUB_QUEUED"]).await;
    let said = expect(nats, &["trace", "held"], &["problem seen by the fetcher: stream "]).await;
    assert!(!said.contains("Convex does not"), "{said}");

    disk.empty().unwrap();
    nats.restart().await.unwrap();
    pipeline.until_ready().await;
    pipeline.submit("after", "q", 71, ECHO).await;
    for id in accepted.iter().map(String::as_str).chain(["held", "after"]) {
        assert_eq!(pipeline.result(id).await["status"], "passed", "{id}");
    }
    assert_eq!(printed(nats, &["dead", "list"]).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_services_store_few_probes() {
    let pipeline = Pipeline::start(Vec::new()).await;
    let jetstream = JetStream::connect(&pipeline.nats).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    for stream in [Stream::Queued, Stream::Ready, Stream::Result, Stream::DeadLetter, Stream::Bundles] {
        let found = jetstream.context.get_stream(stream.name()).await.unwrap();
        let stored = found.cached_info().state.last_sequence;
        // Each service stores one or two at its start.
        assert!((1..=10).contains(&stored), "{stream:?}: {stored}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn up_restarts_nats_once_its_disk_has_room() {
    let disk = SmallDisk::mount(64 << 20).await.unwrap();
    let program = disk.enter(env!("CARGO_BIN_EXE_gavel")).env("NATS_STORE_BYTES", "33554432");
    let up = Up::start_with(program, &disk.path().join("data")).await;
    assert_eq!(up.try_post("before", SUM).await, 202);
    assert_eq!(up.final_status("before").await, "passed");
    disk.fill().unwrap();
    let (mut accepted, source) = (Vec::new(), format!("{SUM}  # {}", "x".repeat(10_000)));
    wait_until("a full disk", TEST_TIMEOUT, async || {
        let id = format!("full{}", accepted.len());
        let status = up.try_post(&id, &source).await;
        accepted.extend((status == 202).then_some(id));
        status == 503
    })
    .await
    .unwrap();
    disk.empty().unwrap();
    let is_restart = |line: &LogLine| line.contains("stores nothing: restarting it");
    up.process.wait_log("the restart", TEST_TIMEOUT, is_restart).await.unwrap();
    wait_until("a 202", TEST_TIMEOUT, async || up.try_post("after", SUM).await == 202).await.unwrap();
    for id in accepted.iter().map(String::as_str).chain(["after"]) {
        assert_eq!(up.final_status(id).await, "passed", "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_max_payload_is_named_and_not_retried() {
    let text = "7".repeat(400_000);
    let large = Question::build(SubmissionKind::Standard, "q1").hidden(&text, &text).done();
    let nats = NatsServer::builder().with_roles().max_payload(500_000).start().await;
    let rig = gavel_testkit::Rig::builder().nats(nats).questions(vec![large]).start().await;
    let mut events = rig.events().await;
    let fetcher = ServiceProcess::start(rig.service(built_binary("gavel-fetcher").unwrap())).await;
    let named = "max_payload of nats-server is 500000 bytes: set it to at least 1000000";
    fetcher.wait_log("the setting", TEST_TIMEOUT, |line| line.contains(named)).await.unwrap();
    assert!(readiness(&fetcher).await.contains(named));
    expect(&rig.nats, &["doctor", "--no-judge"], &["bad      max_payload of NATS"]).await;
    rig.publish(&queued("a")).await;
    let dead: DeadLetter = events.wait("a").await;
    assert!(dead.cause.contains("set max_payload to at least 1000000 bytes"), "{}", dead.cause);
    assert_eq!((dead.attempts, rig.convex.call_count(Endpoint::TEST_CASES)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn store_that_is_too_small_is_named() {
    let nats = NatsServer::builder().max_file_store(100 << 20).start().await;
    let topology = TopologySettings::default();
    let streams = Process::builder(env!("CARGO_BIN_EXE_gavel"))
        .args(["streams", "--timeout", "2"])
        .env("NATS_URL", nats.url())
        .start()
        .unwrap();
    assert_eq!(exit_code(&streams).await, Some(69));
    let said: String = streams.log().into_iter().map(|line| line.text).collect();
    let named = format!("too little space for streams of {} bytes together", topology.store_bytes);
    assert!(said.contains(&named) && said.contains("NATS_STORE_BYTES"), "{said}");

    let ingress = ServiceProcess::builder(built_binary("gavel-ingress").unwrap(), &nats.url());
    let ingress = ServiceProcess::start(ingress).await;
    let is_error =
        |line: &LogLine| line.contains(&named) && line.field("/level").is_some_and(|level| level == "ERROR");
    ingress.wait_log("the setting", TEST_TIMEOUT, is_error).await.unwrap();
    assert!(readiness(&ingress).await.contains("NATS_STORE_BYTES"));
}
