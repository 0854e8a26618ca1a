//! Errors that may pass are retried, within limits.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use gavel_bus::topology::TopologySettings;
use gavel_domain::SubmissionKind;
use gavel_mock_convex::{Endpoint, HttpFault, Matcher, MockConvex};
use gavel_testkit::{LogLine, TEST_TIMEOUT};

use crate::rig::{Counts, Rig, question, queued};

#[tokio::test]
async fn transient_errors_are_retried() {
    let elsewhere = "http://127.0.0.1:9/".to_owned();
    let faults = [
        ("overload", HttpFault::status(503)),
        ("conflict", HttpFault::retry_after(429, 1)),
        ("thrown", HttpFault::status(500)),
        ("forbidden", HttpFault::status(403)),
        ("nothing", HttpFault::status(204)),
        (
            "date",
            HttpFault::Status {
                code: 503,
                retry_after: Some("Thu, 01 Jan 2099 00:00:00 GMT".into()),
                body: String::new(),
            },
        ),
        ("reset", HttpFault::Reset),
        ("lost", HttpFault::ApplyThenReset),
        ("hang", HttpFault::Hang(Duration::from_mins(1))),
        ("slow", HttpFault::Slow(Duration::from_mins(1))),
        ("torn", HttpFault::HalfBody),
        ("proxy", HttpFault::Html(502)),
        ("sign-in", HttpFault::Html(200)),
        ("moved", HttpFault::Redirect(308, elsewhere)),
    ];
    let questions = faults.iter().map(|(id, _)| question(id)).collect();
    let mut rig = Rig::with(questions, &[("REQUEST_TIMEOUT_MS", "3000")]).await;
    for (id, fault) in &faults {
        rig.convex.fault(Matcher::of(Endpoint::TEST_CASES).id(*id).first(1), fault.clone());
        rig.queue(id, id).await;
    }
    for (id, _) in &faults {
        rig.ready(id).await;
        assert_eq!(rig.convex.calls_of(id).len(), 2, "{id}");
    }
    let conflict = rig.convex.calls_of("conflict");
    let pause = conflict[1].received_at - conflict[0].received_at;
    assert!(pause >= Duration::from_secs(1), "Convex asked for a second, but got {pause:?}");
    let count = faults.len() as u64;
    assert_eq!(rig.settled().await, Counts { ready: count, judged: 0, dead: 0 });
}

#[tokio::test]
async fn persistent_errors_are_given_up_in_time() {
    let mut rig = Rig::with(vec![question("q1")], &[("FETCH_GIVE_UP_AFTER_S", "2")]).await;
    // Although Convex asks for a delay of an hour, the fetcher gives up in time.
    rig.convex.fault(Matcher::of(Endpoint::TEST_CASES).id("hour"), HttpFault::retry_after(429, 3600));
    rig.convex.fault(Matcher::of(Endpoint::TEST_CASES).id("q1"), HttpFault::status(503));
    let event = queued("s1", "q1", SubmissionKind::Standard);
    rig.queue_with(&event, "r1").await;
    rig.queue("s2", "hour").await;
    for (id, status) in [("s1", 503), ("s2", 429)] {
        let cause = format!("cannot fetch the test cases: Convex answered {status}");
        let dead = rig.dead(id).await;
        assert_eq!((dead.stage.as_str(), dead.cause.as_str()), ("fetcher", cause.as_str()));
        assert!(dead.attempts >= 2, "{}", dead.attempts);
        assert_eq!(rig.reason(id).await, "The test cases of the question could not be loaded.");
    }
    let dead = rig.dead("s1").await;
    assert_eq!(dead.subject, "submission.queued.s1");
    assert!(dead.payload == gavel_proto::WireEvent::encode(&event));
    let order: Vec<_> = rig.events.received().iter().map(|message| message.subject.as_str()).collect();
    let position = |subject: &str| order.iter().position(|other| *other == subject).unwrap();
    assert!(position("submission.dead.s1") < position("submission.judged.s1"), "{order:?}");
    assert_eq!(rig.settled().await, Counts { ready: 0, judged: 2, dead: 2 });
}

/// A free port outside of the range for outgoing connections.
fn free_address() -> SocketAddr {
    let candidates =
        std::iter::repeat_with(|| SocketAddr::from(([127, 0, 0, 1], rand::random_range(10_000..32_000))));
    candidates.into_iter().find(|address| TcpListener::bind(address).is_ok()).unwrap()
}

#[tokio::test]
async fn unreachable_convex_is_retried_until_it_answers() {
    let address = free_address();
    let url = format!("http://{address}/");
    let mut rig = Rig::with(Vec::new(), &[("CONVEX_SITE_URL", &url)]).await;
    rig.queue("s1", "q1").await;
    let retried =
        |line: &LogLine| line.contains("event failed: retrying") && line.contains("cannot connect to Convex");
    rig.fetcher.wait_log("a failure", TEST_TIMEOUT, retried).await.unwrap();
    let convex = MockConvex::start(address, vec![question("q1")]).await.unwrap();
    rig.ready("s1").await;
    assert!(convex.wrong_paths().is_empty(), "a trailing slash in the URL is allowed");
}

#[tokio::test]
async fn full_ready_stream_is_waited_for() {
    // The stream gets a tenth of the store, 104,857 bytes: enough for one of these messages, but not for two.
    let small = TopologySettings { store_bytes: 1 << 20, ..TopologySettings::default() };
    let builder = gavel_testkit::Rig::builder().topology(small).questions(vec![question("q1")]);
    let rig = Rig::on(builder, &[]).await;
    for id in ["s1", "s2"] {
        let mut event = queued(id, "q1", SubmissionKind::Standard);
        event.source = "x".repeat(70_000);
        rig.queue_with(&event, id).await;
    }
    let full = |line: &LogLine| line.contains("cannot publish yet") && line.contains("full");
    let line = rig.fetcher.wait_log("the full stream", TEST_TIMEOUT, full).await.unwrap();
    let waiting = line.field("/to").unwrap();
    let stored = if waiting == "submission.ready.s1" { "s2" } else { "s1" };
    let start = Instant::now();
    rig.purge_ready().await;
    // The acknowledgement shows that the second message is stored, too; its ready event is the one counted.
    assert_eq!(rig.settled().await, Counts { ready: 1, judged: 0, dead: 0 }, "after {stored}");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}
