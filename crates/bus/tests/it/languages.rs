//! Submissions that wait for a language share the slots of a loop with its own work.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::stream;
use futures::StreamExt as _;
use gavel_bus::topology::{self, ConsumerId, Durable, Stream};
use gavel_bus::{Bundles, LanguageTurns, Stored, Take};
use gavel_domain::LanguageId;
use gavel_domain::event::{Ready, Waiting};
use gavel_testkit::{TEST_TIMEOUT, wait_until};
use tokio::sync::mpsc;

use crate::support::{Received, Rig, Script, publish, ready, recording, several, stored};

const LANGUAGE: LanguageId = LanguageId(83);

fn waiting(id: &str) -> Waiting {
    let mut ready = ready(id);
    ready.submission.language = LANGUAGE;
    Waiting { ready }
}

async fn hand_on(rig: &Rig, count: usize) {
    for n in 0..count {
        assert_eq!(publish(&rig.bus, &waiting(&format!("w{n}"))).await, Stored::New);
    }
}

/// A loop that is idle takes them at once, and goes on with its own work.
#[tokio::test]
async fn waiting_submissions_are_taken_when_their_language_has_a_turn() {
    let rig = Rig::start().await;
    let turns = Arc::new(LanguageTurns::default());
    let (script, mut events) = recording::<Ready>();
    let mut work = crate::support::Loop::start(&rig.bus, Durable::Judge, 2, script.with_turns(&turns));
    work.is_attached(true).await;
    hand_on(&rig, 5).await;
    turns.add(LANGUAGE, Take::All);
    let mut ids: Vec<_> = several(&mut events, 5).await.into_iter().map(|received| received.id).collect();
    ids.sort();
    assert_eq!(ids, ["w0", "w1", "w2", "w3", "w4"]);
    publish(&rig.bus, &ready("own")).await;
    assert_eq!(several(&mut events, 1).await, [Received { id: "own".to_owned(), attempt: 1 }]);
    let raw = rig.raw().await;
    let is_empty = async || stored(&raw, Stream::Waiting, &topology::waiting(LANGUAGE, "w4")).await.is_none();
    wait_until("the acknowledgements", TEST_TIMEOUT, is_empty).await.unwrap();
    work.stop().await;
}

#[tokio::test]
async fn single_turn_takes_one_waiting_submission() {
    let rig = Rig::start().await;
    let turns = Arc::new(LanguageTurns::default());
    let (script, mut events) = recording::<Ready>();
    let work = crate::support::Loop::start(&rig.bus, Durable::Judge, 8, script.with_turns(&turns));
    hand_on(&rig, 3).await;
    turns.add(LANGUAGE, Take::One);
    assert_eq!(several(&mut events, 1).await[0].id, "w0");
    publish(&rig.bus, &ready("own")).await;
    assert_eq!(several(&mut events, 1).await[0].id, "own");
    turns.add(LANGUAGE, Take::One);
    assert_eq!(several(&mut events, 1).await[0].id, "w1");
    work.stop().await;
}

/// With one slot, one message is in progress at a time, and neither queue waits for the end of the other.
#[tokio::test]
async fn waiting_submissions_and_own_work_alternate_in_the_same_slots() {
    const EACH: usize = 100;
    let rig = Rig::start().await;
    hand_on(&rig, EACH).await;
    for n in 0..EACH {
        publish(&rig.bus, &ready(&format!("own{n}"))).await;
    }
    let turns = Arc::new(LanguageTurns::default());
    turns.add(LANGUAGE, Take::All);
    let (events_tx, mut events) = mpsc::unbounded_channel();
    let in_progress = Arc::new(AtomicUsize::new(0));
    let script = Script::<Ready>::new(move |received| {
        let (events_tx, in_progress) = (events_tx.clone(), Arc::clone(&in_progress));
        async move {
            assert_eq!(in_progress.fetch_add(1, Ordering::SeqCst), 0, "two messages in one slot");
            tokio::time::sleep(Duration::from_millis(2)).await;
            in_progress.fetch_sub(1, Ordering::SeqCst);
            events_tx.send(received).unwrap();
            Ok(Vec::new())
        }
    });
    let work = crate::support::Loop::start(&rig.bus, Durable::Judge, 1, script.with_turns(&turns));
    let all = several(&mut events, 2 * EACH).await;
    assert!(all.iter().all(|received| received.attempt == 1), "{all:?}");
    let waited = all[..EACH].iter().filter(|received| received.id.starts_with('w')).count();
    assert!((EACH / 4..=EACH * 3 / 4).contains(&waited), "{waited} of the first {EACH} had waited");
    rig.jetstream.wait_idle(Durable::Judge).await;
    work.stop().await;
}

/// The consumer of a language survives the connection, and so does the work.
#[tokio::test]
async fn waiting_submissions_survive_a_restart_of_the_server() {
    let rig = Rig::start().await;
    hand_on(&rig, 3).await;
    let turns = Arc::new(LanguageTurns::default());
    let (script, mut events) = recording::<Ready>();
    let mut work = crate::support::Loop::start(&rig.bus, Durable::Judge, 1, script.with_turns(&turns));
    turns.add(LANGUAGE, Take::One);
    assert_eq!(several(&mut events, 1).await[0].id, "w0");
    rig.nats.restart().await.unwrap();
    work.is_attached(true).await;
    turns.add(LANGUAGE, Take::All);
    // The server may have stopped before it had the acknowledgement of w0, which comes again then.
    let mut rest = BTreeSet::from(["w1", "w2"].map(str::to_owned));
    while !rest.is_empty() {
        let id = several(&mut events, 1).await.swap_remove(0).id;
        assert!(rest.remove(&id) || id == "w0", "{id}");
    }
    work.stop().await;
}

#[tokio::test]
async fn waiting_languages_are_listed_with_their_submissions() {
    let rig = Rig::start().await;
    assert_eq!(rig.bus.waiting_languages().await.unwrap(), []);
    hand_on(&rig, 3).await;
    let listed = rig.bus.waiting_languages().await.unwrap();
    assert_eq!((listed.len(), listed[0].language, listed[0].submissions), (1, LANGUAGE, 3));
    assert!(listed[0].since.elapsed().unwrap() < Duration::from_mins(1));
}

/// A server that is killed, or whose disk is full, may keep them. Here the stream keeps all.
#[tokio::test]
async fn acknowledged_submissions_do_not_wait() {
    let rig = Rig::start().await;
    let context = &rig.jetstream.context;
    let stream = context.get_stream(Stream::Waiting.name()).await.unwrap();
    let config =
        stream::Config { retention: stream::RetentionPolicy::Limits, ..stream.cached_info().config.clone() };
    context.delete_stream(Stream::Waiting.name()).await.unwrap();
    let stream = context.create_stream(config).await.unwrap();
    hand_on(&rig, 2).await;
    let consumer = ConsumerId::Language(LANGUAGE);
    let settings = pull::Config {
        durable_name: Some(consumer.name().into_owned()),
        filter_subject: topology::waiting(LANGUAGE, ">"),
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(settings).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    for left in [1, 0] {
        messages.next().await.unwrap().unwrap().double_ack().await.unwrap();
        let listed = rig.bus.waiting_languages().await.unwrap();
        assert_eq!(listed.iter().map(|waiting| waiting.submissions).sum::<u64>(), left);
    }
}

/// The fetcher must not replace a ready event that still waits for its language.
#[tokio::test]
async fn bundle_of_a_waiting_submission_is_awaited() {
    let rig = Rig::start().await;
    let bundles = Bundles::new(rig.bus.clone());
    let event = waiting("w");
    assert!(!bundles.is_awaited(&event.ready).await.unwrap());
    publish(&rig.bus, &event).await;
    assert!(bundles.is_awaited(&event.ready).await.unwrap());
}
