//! The server stops, freezes or loses state: the consumer loop recovers, and does not spin meanwhile.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use gavel_bus::Outgoing;
use gavel_bus::topology::{Durable, Stream, TopologySettings};
use gavel_domain::event::Queued;
use gavel_testkit::TEST_TIMEOUT;
use tokio::sync::mpsc;
use tracing::span;

use crate::support::{
    Loop, Received, Rig, Script, connect, holding, next, publish, queued, ready, recording, settings,
    several, stored, within,
};

/// Counts the log events of this crate.
#[derive(Clone, Default)]
struct Lines(Arc<AtomicUsize>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("gavel_bus") && *metadata.level() <= tracing::Level::INFO
    }
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn every_message_is_handled_if_nats_is_killed_under_load() {
    let short = TopologySettings { ack_wait: Duration::from_secs(2), ..settings() };
    let rig = Rig::with(short).await;
    let (events_tx, mut events) = mpsc::unbounded_channel();
    let mut loops = Vec::new();
    for _ in 0..2 {
        let events_tx = events_tx.clone();
        let script = Script::<Queued>::new(move |received: Received| {
            let events_tx = events_tx.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(2)).await;
                let output = Outgoing::from(&ready(&received.id));
                events_tx.send(received.id).unwrap();
                Ok(vec![output])
            }
        });
        loops.push(Loop::start(&rig.connect().await, Durable::Fetcher, 8, script));
    }
    let mut handled = HashSet::new();
    for round in 0..3 {
        rig.queue(&format!("r{round}n"), 400).await;
        // In the middle of the work.
        while handled.len() < round * 400 + 200 {
            handled.insert(next(&mut events).await);
        }
        rig.nats.kill().await.unwrap();
        rig.nats.restart().await.unwrap();
        gavel_testkit::wait_until("us", TEST_TIMEOUT, async || rig.bus.is_connected()).await.unwrap();
    }
    while handled.len() < 1_200 {
        handled.insert(next(&mut events).await);
    }
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    let raw = rig.raw().await;
    for id in &handled {
        assert!(stored(&raw, Stream::Ready, &format!("submission.ready.{id}")).await.is_some(), "{id}");
    }
    for work in loops {
        work.stop().await;
    }
}

#[tokio::test]
async fn loop_does_not_spin_while_nats_is_stopped() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let rig = Rig::start().await;
    let (script, mut events) = recording::<Queued>();
    let mut work = Loop::start(&rig.bus, Durable::Fetcher, 4, script);
    work.is_attached(true).await;
    rig.nats.stop().await.unwrap();
    work.is_attached(false).await;
    let before = lines.0.load(Ordering::SeqCst);
    // Time has to pass here: the test counts what happens too often.
    let away = Instant::now() + Duration::from_secs(4);
    assert!(tokio::time::timeout_at(away.into(), work.is_attached(true)).await.is_err());
    let written = lines.0.load(Ordering::SeqCst) - before;
    assert!(written < 15, "{written} lines in four seconds");
    rig.nats.restart().await.unwrap();
    work.is_attached(true).await;
    rig.publish(&queued("a")).await;
    next(&mut events).await;
    work.stop().await;
}

#[tokio::test]
async fn loop_reattaches_within_a_second_of_the_restart() {
    let rig = Rig::start().await;
    let (script, mut events) = recording::<Queued>();
    let mut work = Loop::start(&rig.bus, Durable::Fetcher, 4, script);
    work.is_attached(true).await;
    rig.nats.kill().await.unwrap();
    rig.nats.restart().await.unwrap();
    let back = Instant::now();
    gavel_testkit::wait_until("us", TEST_TIMEOUT, async || rig.bus.is_connected()).await.unwrap();
    rig.publish(&queued("a")).await;
    next(&mut events).await;
    assert!(back.elapsed() < Duration::from_millis(1_500), "{:?}", back.elapsed());
    work.stop().await;
}

#[tokio::test]
async fn deleted_consumer_is_created_again() {
    let rig = Rig::start().await;
    let (script, mut events) = recording::<Queued>();
    let mut work = Loop::start(&rig.bus, Durable::Fetcher, 4, script);
    work.is_attached(true).await;
    let raw = rig.raw().await;
    for round in 0..3 {
        let stream = raw.get_stream_no_info(Stream::Queued.name()).await.unwrap();
        let deleted = Instant::now();
        stream.delete_consumer(Durable::Fetcher.name()).await.unwrap();
        let id = format!("a{round}");
        rig.publish(&queued(&id)).await;
        // A new consumer starts with the history; handlers expect that.
        while next(&mut events).await.id != id {}
        assert!(deleted.elapsed() < Duration::from_secs(3), "{:?}", deleted.elapsed());
    }
    work.stop().await;
}

#[tokio::test]
async fn loop_notices_a_frozen_server_and_recovers() {
    let rig = Rig::start().await;
    let (script, mut events) = recording::<Queued>();
    let mut work = Loop::start(&rig.bus, Durable::Fetcher, 4, script);
    work.is_attached(true).await;
    rig.queue("a", 20).await;
    several(&mut events, 20).await;
    rig.nats.freeze().unwrap();
    // No answer, no error, no end of the connection: only the missing heartbeats show it.
    work.is_attached(false).await;
    rig.nats.thaw().unwrap();
    let thawed = Instant::now();
    work.is_attached(true).await;
    rig.queue("b", 20).await;
    several(&mut events, 20).await;
    assert!(thawed.elapsed() < Duration::from_secs(5), "{:?}", thawed.elapsed());
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    work.stop().await;
}

#[tokio::test]
async fn lost_connection_loses_no_message() {
    let rig = Rig::start().await;
    let (script, mut held) = holding::<Queued>();
    rig.publish(&queued("held")).await;
    let keeper = Loop::start(&rig.connect().await, Durable::Fetcher, 1, script);
    next(&mut held).await;
    let (script, mut events) = recording::<Queued>();
    let work = Loop::start(&rig.bus, Durable::Fetcher, 4, script);
    rig.nats.freeze().unwrap();
    gavel_testkit::wait_until("the loss", TEST_TIMEOUT, async || !rig.bus.is_connected()).await.unwrap();
    rig.nats.thaw().unwrap();
    gavel_testkit::wait_until("us", TEST_TIMEOUT, async || rig.bus.is_connected()).await.unwrap();
    rig.queue("a", 50).await;
    let all: HashSet<_> = several(&mut events, 50).await.into_iter().map(|received| received.id).collect();
    assert!(all.iter().filter(|id| id.starts_with('a')).count() >= 49, "{all:?}");
    work.stop().await;
    keeper.abort.cancel();
    keeper.stop().await;
}

#[tokio::test]
async fn loop_backs_off_if_the_consumer_refuses_requests() {
    let rig = Rig::start().await;
    let raw = rig.raw().await;
    // A consumer that an operator has limited to single requests.
    let stream = raw.get_stream_no_info(Stream::Queued.name()).await.unwrap();
    stream.delete_consumer(Durable::Fetcher.name()).await.unwrap();
    let config = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some(Durable::Fetcher.name().to_owned()),
        filter_subject: "submission.queued.*".to_owned(),
        max_batch: 1,
        ..Default::default()
    };
    stream.create_consumer(config).await.unwrap();
    let mut requests = raw.client().subscribe("$JS.API.CONSUMER.>").await.unwrap();
    let (script, _events) = recording::<Queued>();
    let work = Loop::start(&rig.bus, Durable::Fetcher, 2, script);
    let mut seen = 0;
    let until = Instant::now() + Duration::from_secs(3);
    while let Ok(request) = tokio::time::timeout_at(until.into(), requests.next()).await {
        request.unwrap();
        seen += 1;
    }
    assert!((4..60).contains(&seen), "{seen} requests in three seconds");
    work.stop().await;
}

#[tokio::test]
async fn loop_waits_for_the_first_connection() {
    let server = gavel_testkit::NatsServer::start().await;
    server.stop().await.unwrap();
    let bus = connect(&server, settings()).await;
    let (script, mut events) = recording::<Queued>();
    let work = Loop::start(&bus, Durable::Fetcher, 1, script);
    let made = tokio::spawn({
        let bus = bus.clone();
        async move { bus.ensure_topology().await }
    });
    server.restart().await.unwrap();
    within("the streams", made).await.unwrap();
    publish(&bus, &queued("a")).await;
    next(&mut events).await;
    work.stop().await;
}
