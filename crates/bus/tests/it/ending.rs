//! Stopping and aborting a loop: nothing new is started, nothing is lost, and nothing is kept from other loops.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gavel_bus::Outgoing;
use gavel_bus::topology::{Durable, Stream};
use gavel_domain::event::Queued;
use gavel_testkit::TEST_TIMEOUT;
use tokio::sync::{Notify, mpsc};

use crate::support::{
    Loop, Received, Rig, Script, consumer, holding, next, queued, ready, recording, settings, several, stored,
};

#[tokio::test]
async fn stopped_loop_finishes_messages_in_progress() {
    let rig = Rig::start().await;
    rig.publish(&queued("a")).await;
    let (events_tx, mut events) = mpsc::unbounded_channel();
    let finish = Arc::new(Notify::new());
    let script = Script::<Queued>::new({
        let finish = Arc::clone(&finish);
        move |received: Received| {
            events_tx.send(received.clone()).unwrap();
            let finish = Arc::clone(&finish);
            async move {
                finish.notified().await;
                Ok(vec![Outgoing::from(&ready(&received.id))])
            }
        }
    });
    let mut work = Loop::start(&rig.bus, Durable::Fetcher, 2, script);
    next(&mut events).await;
    work.stop.cancel();
    work.is_attached(false).await;
    rig.publish(&queued("b")).await;
    // Only a loop that still requests messages gets it.
    let (script, mut other) = recording::<Queued>();
    let successor = Loop::start(&rig.connect().await, Durable::Fetcher, 1, script);
    assert_eq!(next(&mut other).await, Received { id: "b".to_owned(), attempt: 1 });
    finish.notify_one();
    work.ended().await;
    assert!(events.try_recv().is_err());
    let raw = rig.raw().await;
    assert!(stored(&raw, Stream::Ready, "submission.ready.a").await.is_some());
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    successor.stop().await;
}

#[tokio::test]
async fn aborted_loop_hands_back_messages_at_once() {
    let rig = Rig::start().await;
    rig.queue("a", 8).await;
    let (script, mut events) = holding::<Queued>();
    let work = Loop::start(&rig.bus, Durable::Fetcher, 8, script);
    several(&mut events, 8).await;
    let (script, mut other) = recording::<Queued>();
    let successor = Loop::start(&rig.connect().await, Durable::Fetcher, 8, script);
    let aborted = Instant::now();
    work.abort.cancel();
    // An abort is also a stop: the loop does not receive again what it hands back.
    work.ended().await;
    let all = several(&mut other, 8).await;
    assert!(all.iter().all(|received| received.attempt == 2), "{all:?}");
    assert!(aborted.elapsed() < settings().ack_wait / 5, "{:?}", aborted.elapsed());
    assert!(events.try_recv().is_err());
    successor.stop().await;
}

#[tokio::test]
async fn stopped_loop_hands_back_messages_in_transit() {
    let rig = Rig::start().await;
    for round in 0..15 {
        rig.queue(&format!("r{round}n"), 60).await;
        let (script, mut events) = recording::<Queued>();
        let work = Loop::start(&rig.bus, Durable::Fetcher, 32, script);
        // Under load, with as many messages requested as there are slots.
        let mut handled: HashSet<_> = several(&mut events, 5 + round).await.into_iter().collect();
        work.stop().await;
        while let Some(received) = events.recv().await {
            handled.insert(received);
        }
        let stopped = Instant::now();
        let (script, mut events) = recording::<Queued>();
        let successor = Loop::start(&rig.bus, Durable::Fetcher, 32, script);
        let rest = several(&mut events, 60 - handled.len()).await;
        assert!(stopped.elapsed() < settings().ack_wait / 5, "something was held: {:?}", stopped.elapsed());
        handled.extend(rest.into_iter().map(|received| Received { attempt: 1, ..received }));
        assert_eq!(handled.len(), 60);
        successor.stop().await;
        rig.jetstream.wait_idle(Durable::Fetcher).await;
    }
}

#[tokio::test]
async fn idle_loop_stops_at_once_and_leaves_no_request() {
    let rig = Rig::start().await;
    let raw = rig.raw().await;
    let (script, mut events) = recording::<Queued>();
    let mut work = Loop::start(&rig.bus, Durable::Fetcher, 8, script);
    work.is_attached(true).await;
    let look = async || consumer(&raw, Durable::Fetcher).await.num_waiting > 0;
    gavel_testkit::wait_until("its request", TEST_TIMEOUT, look).await.unwrap();
    let stopped = Instant::now();
    work.stop().await;
    assert!(stopped.elapsed() < Duration::from_millis(500), "{:?}", stopped.elapsed());
    rig.publish(&queued("a")).await;
    let info = consumer(&raw, Durable::Fetcher).await;
    assert_eq!((info.num_waiting, info.num_pending, info.num_ack_pending), (0, 1, 0));
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn loop_stops_without_a_server() {
    let rig = Rig::start().await;
    rig.publish(&queued("a")).await;
    let (script, mut events) = holding::<Queued>();
    let held = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    next(&mut events).await;
    rig.nats.kill().await.unwrap();
    let (script, _events) = recording::<Queued>();
    let never = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    let stopped = Instant::now();
    never.stop().await;
    held.abort.cancel();
    held.stop().await;
    assert!(stopped.elapsed() < Duration::from_secs(10), "{:?}", stopped.elapsed());
}
