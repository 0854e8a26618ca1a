//! What Convex may get over is tried again, within bounds.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use gavel_domain::SubmissionKind;
use gavel_mock_convex::{Endpoint, Fault, Matcher, MockConvex};
use gavel_testkit::{LogLine, NatsServer};

use crate::support::{Counts, Line, PATIENCE, Rig, binary, question, queued};

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let elsewhere = "http://127.0.0.1:9/".to_owned();
    let faults = [
        ("overload", Fault::status(503)),
        ("conflict", Fault::retry_after(429, 1)),
        ("thrown", Fault::status(500)),
        ("forbidden", Fault::status(403)),
        ("nothing", Fault::status(204)),
        (
            "date",
            Fault::Status {
                code: 503,
                retry_after: Some("Thu, 01 Jan 2099 00:00:00 GMT".into()),
                body: String::new(),
            },
        ),
        ("reset", Fault::Reset),
        ("lost", Fault::ApplyThenReset),
        ("hang", Fault::Hang(Duration::from_mins(1))),
        ("slow", Fault::Slow(Duration::from_mins(1))),
        ("torn", Fault::HalfBody),
        ("proxy", Fault::Html(502)),
        ("sign-in", Fault::Html(200)),
        ("moved", Fault::Redirect(308, elsewhere)),
    ];
    let questions = faults.iter().map(|(id, _)| question(id)).collect();
    let mut rig = Rig::with(questions, &[("REQUEST_TIMEOUT_MS", "3000")]).await;
    for (id, fault) in &faults {
        rig.convex.fault(Matcher::of(Endpoint::TEST_CASES).id(*id).first(1), fault.clone());
        rig.line.queue(id, id).await;
    }
    for (id, _) in &faults {
        rig.line.ready(id).await;
        assert_eq!(rig.convex.calls_of(id).len(), 2, "{id}");
    }
    let conflict = rig.convex.calls_of("conflict");
    let pause = conflict[1].received_at - conflict[0].received_at;
    assert!(pause >= Duration::from_secs(1), "it asked for a second and was given {pause:?}");
    let count = faults.len() as u64;
    assert_eq!(rig.line.settled().await, Counts { ready: count, judged: 0, dead: 0 });
}

#[tokio::test]
async fn what_does_not_pass_is_given_up() {
    let mut rig = Rig::with(vec![question("q1")], &[("FETCH_GIVE_UP_AFTER_S", "2")]).await;
    // Asked to come back in an hour, it still gives up in time.
    rig.convex.fault(Matcher::of(Endpoint::TEST_CASES).id("hour"), Fault::retry_after(429, 3600));
    rig.convex.fault(Matcher::of(Endpoint::TEST_CASES).id("q1"), Fault::status(503));
    let event = queued("s1", "q1", SubmissionKind::Standard);
    rig.line.queue_with(&event, "r1").await;
    rig.line.queue("s2", "hour").await;
    for (id, status) in [("s1", 503), ("s2", 429)] {
        let cause = format!("cannot fetch the test cases: Convex answered {status}");
        let dead = rig.line.dead(id).await;
        assert_eq!((dead.stage.as_str(), dead.cause.as_str()), ("fetcher", cause.as_str()));
        assert!(dead.attempts >= 2, "{}", dead.attempts);
        assert_eq!(rig.line.reason(id).await, format!("T{}.", &cause[1..]));
    }
    let dead = rig.line.dead("s1").await;
    assert_eq!(dead.subject, "submission.queued.s1");
    assert!(dead.payload == gavel_proto::WireEvent::encode(&event));
    let order: Vec<_> = rig.line.seen().iter().map(|message| message.subject.as_str()).collect();
    let place = |subject: &str| order.iter().position(|seen| *seen == subject).unwrap();
    assert!(place("submission.dead.s1") < place("submission.judged.s1"), "{order:?}");
    assert_eq!(rig.line.settled().await, Counts { ready: 0, judged: 2, dead: 2 });
}

/// A port that nobody listens on, outside of what the system gives to outgoing connections.
fn free_address() -> SocketAddr {
    let tries =
        std::iter::repeat_with(|| SocketAddr::from(([127, 0, 0, 1], rand::random_range(10_000..32_000))));
    tries.into_iter().find(|address| TcpListener::bind(address).is_ok()).unwrap()
}

#[tokio::test]
async fn a_convex_that_is_away_is_waited_for() {
    let nats = NatsServer::start().await;
    let mut line = Line::of(&nats, gavel_bus::topology::TopologySettings::default()).await;
    let address = free_address();
    let fetcher = binary(&nats.url(), &format!("http://{address}/")).start().unwrap();
    line.queue("s1", "q1").await;
    let retried = |line: &LogLine| line.contains("will be tried again") && line.contains("cannot be reached");
    fetcher.wait_log("a failure", PATIENCE, retried).await.unwrap();
    let convex = MockConvex::start(address, vec![question("q1")]).await.unwrap();
    line.ready("s1").await;
    assert!(convex.wrong_paths().is_empty(), "a slash at the end of the address is tolerated");
}

#[tokio::test]
async fn a_full_stream_of_ready_ones_is_waited_for() {
    // A tenth of the store is 104,857 bytes: one of these, not two.
    let nats = NatsServer::start().await;
    let small = gavel_bus::topology::TopologySettings { store_bytes: 1 << 20, ..Default::default() };
    let rig = Rig::on(nats, small, vec![question("q1")], &[]).await;
    for id in ["s1", "s2"] {
        let mut event = queued(id, "q1", SubmissionKind::Standard);
        event.source = "x".repeat(70_000);
        rig.line.queue_with(&event, id).await;
    }
    let full = |line: &LogLine| line.contains("cannot publish yet") && line.contains("full");
    let line = rig.fetcher.wait_log("the full stream", PATIENCE, full).await.unwrap();
    let waits = line.field("/to").unwrap();
    let stored = if waits == "submission.ready.s1" { "s2" } else { "s1" };
    let start = Instant::now();
    rig.line.purge_ready().await;
    // Both were published once at least; that the one that waited is stored is told by its acknowledgement.
    assert_eq!(rig.line.settled().await, Counts { ready: 1, judged: 0, dead: 0 }, "beside {stored}");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}
