//! Stopping and aborting: nothing new, nothing lost, and nothing held that another could do.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gavel_bus::Outgoing;
use gavel_bus::topology::{Durable, Stream};
use gavel_domain::event::Queued;
use gavel_testkit::TEST_TIMEOUT;
use tokio::sync::{Notify, mpsc};

use crate::support::{
    Hand, Loop, Rig, Script, consumer, holding, next, queued, ready, settings, several, stored, telling,
};

#[tokio::test]
async fn stopped_it_finishes_what_is_in_hand_and_takes_nothing_new() {
    let rig = Rig::start().await;
    rig.publish(&queued("a")).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let finish = Arc::new(Notify::new());
    let script = Script::<Queued>::new({
        let finish = Arc::clone(&finish);
        move |hand: Hand| {
            tell.send(hand.clone()).unwrap();
            let finish = Arc::clone(&finish);
            async move {
                finish.notified().await;
                Ok(vec![Outgoing::from(&ready(&hand.id))])
            }
        }
    });
    let mut work = Loop::start(&rig.bus, Durable::Fetcher, 2, script);
    next(&mut told).await;
    work.stop.cancel();
    work.is_attached(false).await;
    rig.publish(&queued("b")).await;
    // Whoever is there gets it; had the stopped one still asked, it could have got it.
    let (script, mut other) = telling::<Queued>();
    let heir = Loop::start(&rig.connect().await, Durable::Fetcher, 1, script);
    assert_eq!(next(&mut other).await, Hand { id: "b".to_owned(), attempt: 1 });
    finish.notify_one();
    work.ended().await;
    assert!(told.try_recv().is_err());
    let raw = rig.raw().await;
    assert!(stored(&raw, Stream::Ready, "submission.ready.a").await.is_some());
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    heir.stop().await;
}

#[tokio::test]
async fn aborted_it_hands_back_at_once() {
    let rig = Rig::start().await;
    rig.queue("a", 8).await;
    let (script, mut told) = holding::<Queued>();
    let work = Loop::start(&rig.bus, Durable::Fetcher, 8, script);
    several(&mut told, 8).await;
    let (script, mut other) = telling::<Queued>();
    let heir = Loop::start(&rig.connect().await, Durable::Fetcher, 8, script);
    let aborted = Instant::now();
    work.abort.cancel();
    // An abort is a stop, too: it does not take again what it hands back.
    work.ended().await;
    let all = several(&mut other, 8).await;
    assert!(all.iter().all(|hand| hand.attempt == 2), "{all:?}");
    assert!(aborted.elapsed() < settings().ack_wait / 5, "{:?}", aborted.elapsed());
    assert!(told.try_recv().is_err());
    heir.stop().await;
}

#[tokio::test]
async fn what_was_on_its_way_when_stopped_is_handed_back() {
    let rig = Rig::start().await;
    for round in 0..15 {
        rig.queue(&format!("r{round}n"), 60).await;
        let (script, mut told) = telling::<Queued>();
        let work = Loop::start(&rig.bus, Durable::Fetcher, 32, script);
        // In full flow, with as many asked for as there are slots.
        let mut handled: HashSet<_> = several(&mut told, 5 + round).await.into_iter().collect();
        work.stop().await;
        while let Some(hand) = told.recv().await {
            handled.insert(hand);
        }
        let stopped = Instant::now();
        let (script, mut told) = telling::<Queued>();
        let heir = Loop::start(&rig.bus, Durable::Fetcher, 32, script);
        let rest = several(&mut told, 60 - handled.len()).await;
        assert!(stopped.elapsed() < settings().ack_wait / 5, "something was held: {:?}", stopped.elapsed());
        handled.extend(rest.into_iter().map(|hand| Hand { attempt: 1, ..hand }));
        assert_eq!(handled.len(), 60);
        heir.stop().await;
        rig.jetstream.wait_idle(Durable::Fetcher).await;
    }
}

#[tokio::test]
async fn an_idle_one_ends_at_once_and_leaves_no_request_behind() {
    let rig = Rig::start().await;
    let raw = rig.raw().await;
    let (script, mut told) = telling::<Queued>();
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
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn without_a_server_it_ends_all_the_same() {
    let rig = Rig::start().await;
    rig.publish(&queued("a")).await;
    let (script, mut told) = holding::<Queued>();
    let held = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    next(&mut told).await;
    rig.nats.kill().await.unwrap();
    let (script, _told) = telling::<Queued>();
    let never = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    let stopped = Instant::now();
    never.stop().await;
    held.abort.cancel();
    held.stop().await;
    assert!(stopped.elapsed() < Duration::from_secs(10), "{:?}", stopped.elapsed());
}
