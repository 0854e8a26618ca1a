//! Messages that no service takes until their stream would soon delete them.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Config as StreamConfig;
use gavel_bus::topology::{Durable, Stream, TopologySettings};
use gavel_bus::{Cause, Failure, end_expiring};
use gavel_domain::event::Queued;
use gavel_testkit::{TEST_TIMEOUT, wait_until};
use tokio::sync::mpsc;

use crate::support::{
    Done, Loop, Received, Rig, Script, judged, key, next, queued, ready, settings, several, stored,
};

/// The messages are given up after 50 s, so there are 10 s to end them on a busy machine.
const MAX_AGE: Duration = Duration::from_mins(1);

/// Lets the server delete queued messages after [`MAX_AGE`].
async fn set_max_age(context: &Context) {
    let config = context.get_stream("SUB_QUEUED").await.unwrap().cached_info().config.clone();
    let shorter = StreamConfig { max_age: MAX_AGE, duplicate_window: Duration::from_secs(1), ..config };
    context.update_stream(&shorter).await.unwrap();
}

#[tokio::test]
async fn untaken_message_is_ended_once_before_it_is_deleted() {
    let rig = Rig::with(TopologySettings { ack_wait: Duration::from_secs(6), ..settings() }).await;
    let raw = rig.raw().await;
    set_max_age(&raw).await;
    let (events_tx, mut events) = mpsc::unbounded_channel();
    for _ in 0..3 {
        let events_tx = events_tx.clone();
        let script = Script::<Queued>::new(move |received: Received| {
            events_tx.send(received).unwrap();
            async {
                // All of them, one after the other, would take longer than `ack_wait`.
                tokio::time::sleep(Duration::from_secs(3)).await;
                Err(Failure::Reject(Cause::new("nobody has taken it")))
            }
        });
        tokio::spawn(end_expiring(rig.connect().await, Durable::Fetcher, Arc::new(script)));
    }
    let ids = ["a", "b", "c", "d", "e", "f"];
    for id in ids {
        rig.publish(&queued(id)).await;
    }
    tokio::time::sleep(MAX_AGE / 6 * 5).await;
    let ended = several(&mut events, ids.len()).await;
    // Those that become due a moment after the first one may be handed back once.
    let mut ended: Vec<_> = ended.into_iter().map(|received| received.id).collect();
    ended.sort();
    assert_eq!(ended, ids);
    for id in ids {
        let subject = format!("submission.judged.{id}");
        let has_verdict = async || stored(&raw, Stream::Result, &subject).await.is_some();
        wait_until("its verdict", TEST_TIMEOUT, has_verdict).await.unwrap();
        assert!(stored(&raw, Stream::DeadLetter, &format!("submission.dead.{id}")).await.is_some());
    }
    assert_eq!(rig.jetstream.message_count(Stream::DeadLetter).await, 6);
    assert!(events.try_recv().is_err(), "one was ended twice");
}

#[tokio::test]
async fn young_message_is_handed_back() {
    // Otherwise it is not delivered again during the test.
    let rig = Rig::with(TopologySettings { ack_wait: Duration::from_mins(10), ..settings() }).await;
    let raw = rig.raw().await;
    set_max_age(&raw).await;
    let (events_tx, mut events) = mpsc::unbounded_channel();
    let receive = |end: fn() -> Done| {
        let events_tx = events_tx.clone();
        Script::<Queued>::new(move |received: Received| {
            events_tx.send(received).unwrap();
            std::future::ready(end())
        })
    };
    let ending = receive(|| Err(Failure::Reject(Cause::new("nobody has taken it"))));
    tokio::spawn(end_expiring(rig.connect().await, Durable::Fetcher, Arc::new(ending)));
    rig.publish(&queued("old")).await;
    tokio::time::sleep(MAX_AGE / 2).await;
    rig.publish(&queued("young")).await;
    assert_eq!(next(&mut events).await.id, "old");
    let work = Loop::start(&rig.bus, Durable::Fetcher, 1, receive(|| Ok(Vec::new())));
    let young = next(&mut events).await;
    assert!(young.id == "young" && young.attempt > 1, "{young:?}: it was not taken with the other");
    work.stop().await;
}

/// An operator has shortened the age limit of the stream.
#[tokio::test]
async fn message_that_would_be_deleted_before_its_next_delivery_becomes_a_dead_letter() {
    let rig = Rig::start().await;
    let raw = rig.raw().await;
    let config = raw.get_stream("SUB_QUEUED").await.unwrap().cached_info().config.clone();
    raw.update_stream(&StreamConfig { max_age: Duration::from_hours(1), ..config }).await.unwrap();
    let script = Script::<Queued>::new(|_| async {
        Err(Failure::Retry { after: Duration::from_mins(55), cause: Cause::new("not yet") })
    });
    let work = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    rig.publish(&queued("a")).await;
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    assert!(stored(&raw, Stream::DeadLetter, "submission.dead.a").await.is_some());
    assert!(stored(&raw, Stream::Result, "submission.judged.a").await.is_some());
    work.stop().await;
}

#[tokio::test]
async fn submission_that_has_gone_on_has_left_the_queue() {
    let rig = Rig::start().await;
    for id in ["queued", "ready", "judged"] {
        rig.publish(&queued(id)).await;
    }
    rig.publish(&ready("ready")).await;
    rig.publish(&judged("judged")).await;
    for (id, has_left) in [("queued", false), ("ready", true), ("judged", true)] {
        assert_eq!(rig.bus.has_left_queue(&key(id)).await.unwrap(), has_left, "{id}");
    }
}
