//! Failures: retries, delays and dead letters; a faulty handler loses no message.

use std::time::{Duration, Instant};

use async_nats::jetstream::stream::{Config as StreamConfig, DiscardPolicy};
use bytes::Bytes;
use gavel_bus::topology::{self, Durable, Stream};
use gavel_bus::{Cause, Failure, Outgoing};
use gavel_domain::event::{DeadLetter, Judged, Queued, Ready, Stage};
use gavel_proto::WireEvent as _;
use gavel_testkit::{NatsServer, TEST_TIMEOUT, wait_until};
use tokio::sync::mpsc;

use crate::support::{
    Done, Loop, Received, Rig, Script, consumer, next, queued, ready, recording, settings, stored, submission,
};

/// Records each delivery with its time, then returns the result for its attempt.
fn by_attempt(
    act: impl Fn(&Received) -> Done + Send + Sync + 'static,
) -> (Script<Queued>, mpsc::UnboundedReceiver<(Received, Instant)>) {
    let (events_tx, events) = mpsc::unbounded_channel();
    let script = Script::new(move |received: Received| {
        events_tx.send((received.clone(), Instant::now())).unwrap();
        let done = act(&received);
        async move { done }
    });
    (script, events)
}

async fn dead(rig: &Rig, id: &str) -> DeadLetter {
    let dead_letter =
        stored(&rig.raw().await, Stream::DeadLetter, &topology::subject("dead", id)).await.unwrap();
    DeadLetter::decode(&dead_letter.payload).unwrap()
}

async fn error_of(rig: &Rig, id: &str) -> Option<Judged> {
    let verdict = stored(&rig.raw().await, Stream::Result, &topology::subject("judged", id)).await?;
    Some(Judged::decode(&verdict.payload).unwrap())
}

#[tokio::test]
async fn failed_message_is_redelivered_after_the_delay() {
    let rig = Rig::start().await;
    let delay = Duration::from_millis(700);
    let (script, mut events) = by_attempt(move |received| match (received.id.as_str(), received.attempt) {
        ("a", 1) => Err(Failure::Retry { after: delay, cause: Cause::new("not today") }),
        ("b", 1) => Err(Failure::Defer(delay)),
        _ => Ok(Vec::new()),
    });
    let work = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    for id in ["a", "b"] {
        rig.publish(&queued(id)).await;
        let (first, began) = next(&mut events).await;
        assert_eq!((first.id.as_str(), first.attempt), (id, 1));
        let (second, again) = next(&mut events).await;
        assert_eq!((second.id.as_str(), second.attempt), (id, 2));
        let pause = again - began;
        assert!(pause >= delay && pause < delay * 3, "{id}: {pause:?}");
    }
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    work.stop().await;
}

#[tokio::test]
async fn delayed_message_does_not_block_others() {
    let rig = Rig::start().await;
    let (script, mut events) = by_attempt(|received| match (received.id.as_str(), received.attempt) {
        ("a", 1) => Err(Failure::Defer(Duration::from_secs(2))),
        _ => Ok(Vec::new()),
    });
    let work = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    rig.publish(&queued("a")).await;
    rig.publish(&queued("b")).await;
    let ids = [next(&mut events).await.0.id, next(&mut events).await.0.id, next(&mut events).await.0.id];
    assert_eq!(ids, ["a", "b", "a"]);
    work.stop().await;
}

#[tokio::test]
async fn rejected_message_becomes_a_dead_letter_and_a_verdict() {
    let rig = Rig::start().await;
    let (script, mut events) = by_attempt(|received| match received.attempt {
        1 => Err(Failure::Defer(Duration::from_millis(20))),
        _ => Err(Failure::Reject(Cause::new("no such\nquestion"))),
    });
    let work = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    rig.publish(&queued("a")).await;
    next(&mut events).await;
    next(&mut events).await;
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    let dead_letter = dead(&rig, "a").await;
    assert_eq!((dead_letter.key.as_str(), dead_letter.stage, dead_letter.attempts), ("a", Stage::Judge, 2));
    assert_eq!(
        (dead_letter.cause.as_str(), dead_letter.subject.as_str()),
        ("no such question", "submission.queued.a")
    );
    assert_eq!(dead_letter.payload, queued("a").encode());
    let age = std::time::SystemTime::UNIX_EPOCH + Duration::from_millis(dead_letter.stored_at_ms);
    assert!(age.elapsed().unwrap() < Duration::from_secs(30));
    assert_eq!(error_of(&rig, "a").await.unwrap().submission, submission("a"));
    assert!(events.try_recv().is_err());
    work.stop().await;
}

#[tokio::test]
async fn undecodable_message_becomes_a_dead_letter() {
    let rig = Rig::start().await;
    let garbage = Bytes::from_static(b"\xff\xff not protobuf");
    rig.raw().await.publish("submission.queued.x", garbage.clone()).await.unwrap().await.unwrap();
    rig.publish(&queued("a")).await;
    let (script, mut events) = recording::<Queued>();
    let work = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    assert_eq!(next(&mut events).await.id, "a");
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    let dead_letter = dead(&rig, "x").await;
    assert_eq!((dead_letter.payload, dead_letter.attempts), (garbage.to_vec(), 1));
    assert!(error_of(&rig, "x").await.is_none(), "nobody knows whose it is");
    work.stop().await;
}

#[tokio::test]
async fn message_with_the_key_of_another_subject_becomes_a_dead_letter() {
    let rig = Rig::start().await;
    let (script, mut events) = recording::<Queued>();
    let work = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    let payload = queued("inside").encode();
    rig.raw().await.publish("submission.queued.outside", payload).await.unwrap().await.unwrap();
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    assert_eq!(
        dead(&rig, "outside").await.cause,
        "the submission in the message is not the one in its subject"
    );
    assert!(events.try_recv().is_err(), "it was handled");
    work.stop().await;
}

#[tokio::test]
async fn message_too_large_for_a_dead_letter_still_fails_permanently() {
    let server = NatsServer::builder().max_payload(50_000).start().await;
    let rig = Rig::on(server, settings()).await;
    let garbage = vec![0xff; 49_950];
    rig.raw().await.publish("submission.queued.x", garbage.into()).await.unwrap().await.unwrap();
    rig.publish(&queued("a")).await;
    let (script, mut events) = recording::<Queued>();
    let work = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    assert_eq!(next(&mut events).await.id, "a");
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    let dead_letter = dead(&rig, "x").await;
    assert!(dead_letter.payload.is_empty(), "a part of it could be taken for the whole");
    assert!(dead_letter.cause.contains("49950 bytes"), "{}", dead_letter.cause);
    work.stop().await;
}

#[tokio::test]
async fn message_with_too_large_output_becomes_a_dead_letter() {
    let server = NatsServer::builder().max_payload(50_000).start().await;
    let rig = Rig::on(server, settings()).await;
    let (script, mut events) = by_attempt(|received| {
        let source = "x".repeat(60_000);
        Ok(vec![Outgoing::from(&Ready { source, ..ready(&received.id) })])
    });
    let work = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    rig.publish(&queued("a")).await;
    next(&mut events).await;
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    assert!(dead(&rig, "a").await.cause.contains("larger than the max_payload"));
    assert!(error_of(&rig, "a").await.is_some());
    assert!(events.try_recv().is_err());
    work.stop().await;
}

#[tokio::test]
async fn message_becomes_a_dead_letter_after_max_deliveries() {
    let rig = Rig::start().await;
    rig.publish(&ready("a")).await;
    // Each of these loops is dropped with the message in progress.
    for attempt in 1..=2 {
        let (script, mut events) = crate::support::holding::<Ready>();
        let dying = Loop::bounded(&rig.connect().await, Durable::Judge, 1, Some(2), script);
        assert_eq!(next(&mut events).await.attempt, attempt);
        dying.abort.cancel();
        dying.stop().await;
    }
    let (script, mut events) = recording::<Ready>();
    let work = Loop::bounded(&rig.bus, Durable::Judge, 1, Some(2), script);
    rig.jetstream.wait_idle(Durable::Judge).await;
    let dead_letter = dead(&rig, "a").await;
    let cause =
        "the judge was interrupted in the last of 2 deliveries: killed, stopped, or cut off from NATS";
    assert_eq!((dead_letter.attempts, dead_letter.cause.as_str()), (3, cause));
    assert!(error_of(&rig, "a").await.is_some());
    assert!(events.try_recv().is_err(), "it was started a third time");
    work.stop().await;
}

#[tokio::test]
async fn last_permitted_delivery_ends_with_its_own_cause() {
    let rig = Rig::start().await;
    let (events_tx, mut events) = mpsc::unbounded_channel();
    let script = Script::<Ready>::new(move |received: Received| {
        events_tx.send(received.clone()).unwrap();
        let cause = Cause::new(&format!("cannot start the program, attempt {}", received.attempt));
        async { Err(Failure::Retry { after: Duration::from_millis(20), cause }) }
    });
    let work = Loop::bounded(&rig.bus, Durable::Judge, 1, Some(2), script);
    rig.publish(&ready("a")).await;
    rig.jetstream.wait_idle(Durable::Judge).await;
    let dead_letter = dead(&rig, "a").await;
    assert_eq!(
        (dead_letter.attempts, dead_letter.cause.as_str()),
        (2, "cannot start the program, attempt 2")
    );
    assert!(error_of(&rig, "a").await.is_some());
    next(&mut events).await;
    next(&mut events).await;
    assert!(events.try_recv().is_err(), "it was started a third time");
    work.stop().await;
}

/// A delivery that has ended is not taken for one whose judge was interrupted.
#[tokio::test]
async fn last_permitted_delivery_names_a_panic_or_a_result_that_is_not_stored() {
    let rig = Rig::start().await;
    let raw = rig.raw().await;
    let queued_stream = raw.get_stream("SUB_QUEUED").await.unwrap().cached_info().config.clone();
    raw.update_stream(&StreamConfig { max_message_size: 10, ..queued_stream }).await.unwrap();
    let script = Script::<Ready>::new(|received: Received| async move {
        assert_ne!(received.id, "panics", "for the test");
        Ok(vec![Outgoing::from(&queued("refused"))])
    });
    let work = Loop::bounded(&rig.bus, Durable::Judge, 2, Some(2), script);
    rig.publish(&ready("panics")).await;
    rig.publish(&ready("unstored")).await;
    rig.jetstream.wait_idle(Durable::Judge).await;
    for (id, cause) in [
        ("panics", "the judge panicked: its log says where"),
        ("unstored", "cannot publish submission.queued.refused: NATS refused the message"),
    ] {
        let dead_letter = dead(&rig, id).await;
        assert!(dead_letter.cause.starts_with(cause), "{}", dead_letter.cause);
        assert_eq!(dead_letter.attempts, 2, "{id}");
        assert!(error_of(&rig, id).await.is_some());
    }
    work.stop().await;
}

/// Rejects the events whose ids start with `bad`, and records the others.
fn rejecting() -> (Script<Queued>, mpsc::UnboundedReceiver<(Received, Instant)>) {
    by_attempt(|received| {
        let is_bad = received.id.starts_with("bad");
        if is_bad { Err(Failure::Reject(Cause::new("for the test"))) } else { Ok(Vec::new()) }
    })
}

#[tokio::test]
async fn verdict_and_slot_do_not_wait_for_a_dead_letter_that_cannot_be_stored() {
    let rig = Rig::start().await;
    let raw = rig.raw().await;
    // One stream that is full, as an earlier version has left it, and one that does not exist.
    let config = raw.get_stream("SUB_DEAD").await.unwrap().cached_info().config.clone();
    let full = StreamConfig { discard: DiscardPolicy::New, max_bytes: 100, ..config };
    for (id, is_missing) in [("full", false), ("missing", true)] {
        if is_missing {
            raw.delete_stream("SUB_DEAD").await.unwrap();
        } else {
            raw.update_stream(&full).await.unwrap();
        }
        let (script, mut events) = rejecting();
        let work = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
        rig.publish(&queued(&format!("bad-{id}"))).await;
        next(&mut events).await;
        let began = Instant::now();
        rig.publish(&queued(id)).await;
        assert_eq!(next(&mut events).await.0.id, id);
        assert!(began.elapsed() < Duration::from_secs(30), "{id} waited for {:?}", began.elapsed());
        rig.jetstream.wait_idle(Durable::Fetcher).await;
        assert!(error_of(&rig, &format!("bad-{id}")).await.is_some(), "{id}");
        work.stop().await;
    }
}

/// So long the replicas of a stream may take to agree on a new leader.
#[tokio::test]
async fn dead_letter_is_stored_once_its_stream_answers_again() {
    let rig = Rig::start().await;
    rig.raw().await.delete_stream("SUB_DEAD").await.unwrap();
    let (script, _events) = rejecting();
    let work = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    rig.publish(&queued("bad-a")).await;
    let is_judged = async || error_of(&rig, "bad-a").await.is_some();
    wait_until("the verdict", TEST_TIMEOUT, is_judged).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    rig.bus.ensure_topology().await;
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    assert_eq!(dead(&rig, "bad-a").await.cause, "for the test");
    work.stop().await;
}

/// Nothing else would say that it existed.
#[tokio::test]
async fn message_that_ends_no_submission_waits_for_its_dead_letter() {
    let rig = Rig::start().await;
    let raw = rig.raw().await;
    raw.delete_stream("SUB_DEAD").await.unwrap();
    rig.jetstream.store("submission.queued.x", "not protobuf").await;
    let (script, mut events) = recording::<Queued>();
    let work = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    rig.publish(&queued("a")).await;
    assert_eq!(next(&mut events).await.id, "a", "it does not keep its slot");
    rig.bus.ensure_topology().await;
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    assert_eq!(dead(&rig, "x").await.payload, b"not protobuf");
    work.stop().await;
}

#[tokio::test]
async fn large_message_is_kept_apart_from_its_dead_letter() {
    let rig = Rig::start().await;
    let (script, mut events) = rejecting();
    let work = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    let large = Queued { source: "#".repeat(200_000), ..queued("bad-a") };
    rig.publish(&large).await;
    next(&mut events).await;
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    let dead_letter = dead(&rig, "bad-a").await;
    assert!(dead_letter.payload.is_empty() && dead_letter.encode().len() < 1_000);
    let kept = stored(&rig.raw().await, Stream::DeadMessages, &dead_letter.kept_on.unwrap()).await.unwrap();
    assert_eq!(kept.payload, large.encode());
    // Without the stream for it, as before `gavel streams` has run, it is part of the dead letter.
    rig.raw().await.delete_stream("DEAD_MESSAGES").await.unwrap();
    let began = Instant::now();
    for n in 0..10 {
        rig.publish(&Queued { submission: submission(&format!("bad-b{n}")), ..large.clone() }).await;
    }
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    for n in 0..10 {
        let dead_letter = dead(&rig, &format!("bad-b{n}")).await;
        assert!(dead_letter.payload.len() > 200_000 && dead_letter.kept_on.is_none());
    }
    // It does not wait for the missing stream, which would take 2 s each time.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    work.stop().await;
}

#[tokio::test]
async fn panic_loses_no_message_and_stops_no_loop() {
    let rig = Rig::start().await;
    let (events_tx, mut events) = mpsc::unbounded_channel();
    let script = Script::<Queued>::new(move |received: Received| {
        events_tx.send(received.clone()).unwrap();
        // Also if it panics before it returns a future.
        assert!((received.id.as_str(), received.attempt) != ("a", 1), "for the test, at once");
        async move {
            assert!((received.id.as_str(), received.attempt) != ("b", 1), "for the test");
            Ok(vec![Outgoing::from(&ready(&received.id))])
        }
    });
    let work = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    let began = Instant::now();
    for id in ["a", "b", "c"] {
        rig.publish(&queued(id)).await;
        assert_eq!(next(&mut events).await, Received { id: id.to_owned(), attempt: 1 });
    }
    // Both are redelivered before `ack_wait`.
    let mut again = [next(&mut events).await.id, next(&mut events).await.id];
    again.sort();
    assert_eq!(again, ["a", "b"]);
    assert!(began.elapsed() < settings().ack_wait);
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    assert_eq!(consumer(&rig.raw().await, Durable::Fetcher).await.num_redelivered, 0);
    work.stop().await;
}
