//! Errors that may pass are retried, within limits.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant, SystemTime};

use async_nats::jetstream::{AckKind, consumer::PullConsumer};
use futures::StreamExt as _;
use gavel_bus::topology::TopologySettings;
use gavel_domain::SubmissionKind;
use gavel_mock_convex::{Endpoint, HttpFault, Matcher, MockConvex};
use gavel_testkit::{LogLine, TEST_TIMEOUT};

use crate::rig::{Counts, Rig, question, queued};

#[tokio::test]
async fn transient_errors_are_retried() {
    let elsewhere = "http://127.0.0.1:9/".to_owned();
    // In whole seconds, as HTTP writes it.
    let date =
        httpdate::parse_http_date(&httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(15)))
            .unwrap();
    let retry_after =
        |value: String| HttpFault::Status { code: 503, retry_after: Some(value), body: String::new() };
    let faults = [
        ("overload", HttpFault::status(503)),
        ("conflict", HttpFault::retry_after(429, 1)),
        ("thrown", HttpFault::status(500)),
        ("forbidden", HttpFault::status(403)),
        ("nothing", HttpFault::status(204)),
        ("date", retry_after(httpdate::fmt_http_date(date))),
        ("past", retry_after("Thu, 01 Jan 1970 00:00:00 GMT".to_owned())),
        ("reset", HttpFault::Reset),
        ("lost", HttpFault::ApplyThenReset),
        ("hang", HttpFault::Hang(Duration::from_mins(1))),
        ("slow", HttpFault::Slow(Duration::from_mins(1))),
        ("torn", HttpFault::HalfBody),
        ("cut", HttpFault::CutBody),
        ("empty", HttpFault::Foreign(200, "application/json", String::new())),
        ("other", HttpFault::Foreign(200, "text/plain", "OK".to_owned())),
        ("platform", HttpFault::without_http_actions()),
        ("unnamed", HttpFault::status(400)),
        ("proxy", HttpFault::Html(502)),
        ("missing", HttpFault::Html(404)),
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
    let pause = |id: &str| {
        let calls = rig.convex.calls_of(id);
        calls[1].received_at - calls[0].received_at
    };
    assert!(
        pause("conflict") >= Duration::from_secs(1),
        "Convex asked for a second: {:?}",
        pause("conflict")
    );
    let until_date = rig.convex.calls_of("date")[1].received_wall.duration_since(date).unwrap_or_default();
    assert!(until_date > Duration::ZERO, "Convex asked to wait until a time: {:?}", pause("date"));
    let count = faults.len() as u64;
    assert_eq!(rig.settled().await, Counts { ready: count, judged: 0, dead: 0 });
}

#[tokio::test]
async fn persistent_errors_are_given_up_in_time() {
    let mut rig = Rig::with(vec![question("q1")], &[("FETCH_GIVE_UP_AFTER_S", "2")]).await;
    rig.convex.fault(Matcher::of(Endpoint::TEST_CASES).id("q1"), HttpFault::status(503));
    let event = queued("s1", "q1", SubmissionKind::Standard);
    rig.queue_with(&event, "r1").await;
    let dead = rig.dead("s1").await;
    let cause = "cannot fetch the test cases: Convex answered 503";
    assert_eq!((dead.stage.as_str(), dead.cause.as_str()), ("fetcher", cause));
    assert!(dead.attempts >= 2, "{}", dead.attempts);
    assert_eq!(rig.reason("s1").await, "The test cases of the question could not be loaded.");
    assert_eq!(dead.subject, "submission.queued.s1");
    assert!(dead.payload == gavel_proto::WireEvent::encode(&event));
    let order: Vec<_> = rig.events.received().iter().map(|message| message.subject.as_str()).collect();
    let position = |subject: &str| order.iter().position(|other| *other == subject).unwrap();
    assert!(position("submission.dead.s1") < position("submission.judged.s1"), "{order:?}");
    assert_eq!(rig.settled().await, Counts { ready: 0, judged: 1, dead: 1 });
}

#[tokio::test]
async fn submission_that_waited_for_a_fetcher_is_tried_again_after_a_failure() {
    let mut rig = Rig::with(vec![question("q1")], &[("FETCH_GIVE_UP_AFTER_S", "2")]).await;
    // A fetcher that is killed would leave requests at the server, which count as deliveries.
    rig.fetcher.terminate().unwrap();
    rig.fetcher.wait_exit(TEST_TIMEOUT).await.unwrap();
    rig.convex.fault(Matcher::of(Endpoint::TEST_CASES).first(1), HttpFault::status(503));
    rig.queue("s1", "q1").await;
    // It becomes older than the limit although nothing has tried it.
    tokio::time::sleep(Duration::from_secs(3)).await;
    rig.fetcher.restart().await.unwrap();
    rig.ready("s1").await;
    assert_eq!(rig.settled().await, Counts { ready: 1, judged: 0, dead: 0 });
}

/// A message may be delivered many times before a call is made for it.
#[tokio::test]
async fn first_call_that_fails_is_not_the_last_one_however_often_the_message_was_delivered() {
    let settings = [("FETCH_GIVE_UP_AFTER_S", "2"), ("FETCHER_SLOTS", "1")];
    let mut rig = Rig::with(vec![question("busy"), question("q1")], &settings).await;
    let hold = rig.convex.hold(Endpoint::TEST_CASES);
    rig.queue("busy", "busy").await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.convex.fault(Matcher::of(Endpoint::TEST_CASES).id("q1").first(1), HttpFault::status(503));
    rig.queue("s1", "q1").await;
    // A fetcher takes it and hands it back without a call.
    let raw = &rig.jetstream.context;
    let consumer: PullConsumer = raw.get_consumer_from_stream("fetcher", "SUB_QUEUED").await.unwrap();
    let mut taken = consumer.fetch().max_messages(1).expires(TEST_TIMEOUT).messages().await.unwrap();
    let message = taken.next().await.unwrap().unwrap();
    assert!(message.subject.ends_with(".s1"), "{}", message.subject);
    message.ack_with(AckKind::Nak(None)).await.unwrap();
    // It becomes older than the limit, and so does the process.
    tokio::time::sleep(Duration::from_secs(3)).await;
    hold.release();
    rig.ready("s1").await;
    assert_eq!(rig.settled().await, Counts { ready: 2, judged: 0, dead: 0 });
}

#[tokio::test]
async fn wait_that_convex_asks_for_does_not_delay_the_end() {
    let mut rig = Rig::with(Vec::new(), &[("FETCH_GIVE_UP_AFTER_S", "2")]).await;
    rig.convex.fault(Matcher::of(Endpoint::TEST_CASES), HttpFault::retry_after(429, 3600));
    rig.queue("s1", "q1").await;
    assert_eq!(rig.dead("s1").await.cause, "cannot fetch the test cases: Convex answered 429");
    assert_eq!(rig.reason("s1").await, "The test cases of the question could not be loaded.");
}

#[tokio::test]
async fn wait_that_convex_asks_for_is_limited() {
    let rig = Rig::with(Vec::new(), &[]).await;
    for (id, seconds) in [("years", "9999999999"), ("overflow", "99999999999999999999999")] {
        let retry_after = Some(seconds.to_owned());
        let fault = HttpFault::Status { code: 429, retry_after, body: String::new() };
        rig.convex.fault(Matcher::of(Endpoint::TEST_CASES).id(id), fault);
        rig.queue(id, id).await;
        let is_limited = |line: &LogLine| {
            line.contains(&format!("submission.queued.{id}\""))
                && line.field("/retry_in_ms").is_some_and(|ms| ms == "300000")
        };
        rig.fetcher.wait_log("a retry in five minutes", TEST_TIMEOUT, is_limited).await.unwrap();
    }
}

#[tokio::test]
async fn outage_is_probed_and_leaves_submissions_in_the_queue() {
    let mut rig =
        Rig::with(vec![question("q1")], &[("FETCHER_SLOTS", "8"), ("CONVEX_MAX_IN_FLIGHT", "2")]).await;
    rig.convex.fault(Matcher::of(Endpoint::TEST_CASES), HttpFault::Html(503));
    let ids: Vec<_> = (0..60).map(|n| format!("s{n}")).collect();
    for id in &ids {
        // Each its own question, so that none shares a fetch.
        rig.convex.put_question(question(id));
        rig.queue(id, id).await;
    }
    let probed = |convex: &MockConvex| {
        let probes = convex.calls().into_iter().filter(|call| call.id.is_none());
        (probes.count() >= 3).then_some(())
    };
    rig.convex.wait_for("probes", TEST_TIMEOUT, probed).await.unwrap();
    let of_submissions = rig.convex.calls().iter().filter(|call| call.id.is_some()).count();
    assert!((5..=16).contains(&of_submissions), "{of_submissions} calls, besides probes");
    let (untouched, _) = rig.backlog().await;
    assert!(untouched >= 40, "{untouched} of 60 were never delivered");
    rig.convex.clear_faults();
    for id in &ids {
        rig.ready(id).await;
    }
    assert_eq!(rig.settled().await, Counts { ready: 60, judged: 0, dead: 0 });
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
