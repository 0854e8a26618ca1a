//! The server goes away, hangs, or forgets: the loop comes back by itself, and does not spin meanwhile.

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
    Hand, Loop, Rig, Script, connect, holding, next, publish, queued, ready, settings, several, stored,
    telling, within,
};

/// Counts what this crate logs.
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
async fn killed_and_restarted_under_load_every_message_is_handled() {
    let short = TopologySettings { ack_wait: Duration::from_secs(2), ..settings() };
    let rig = Rig::with(short).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut loops = Vec::new();
    for _ in 0..2 {
        let tell = tell.clone();
        let script = Script::<Queued>::new(move |hand: Hand| {
            let tell = tell.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(2)).await;
                let output = Outgoing::from(&ready(&hand.id));
                tell.send(hand.id).unwrap();
                Ok(vec![output])
            }
        });
        loops.push(Loop::start(&rig.connect().await, Durable::Fetcher, 8, script));
    }
    let mut handled = HashSet::new();
    for round in 0..3 {
        rig.queue(&format!("r{round}n"), 400).await;
        // In the middle of it.
        while handled.len() < round * 400 + 200 {
            handled.insert(next(&mut told).await);
        }
        rig.nats.kill().await.unwrap();
        rig.nats.restart().await.unwrap();
        gavel_testkit::wait_until("us", TEST_TIMEOUT, async || rig.bus.is_connected()).await.unwrap();
    }
    while handled.len() < 1_200 {
        handled.insert(next(&mut told).await);
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
async fn stopped_for_a_while_nobody_spins_and_all_come_back() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let rig = Rig::start().await;
    let (script, mut told) = telling::<Queued>();
    let mut work = Loop::start(&rig.bus, Durable::Fetcher, 4, script);
    work.is_attached(true).await;
    rig.nats.stop().await.unwrap();
    work.is_attached(false).await;
    let before = lines.0.load(Ordering::SeqCst);
    // Time has to pass here: what is looked for is what happens too often in it.
    let away = Instant::now() + Duration::from_secs(4);
    assert!(tokio::time::timeout_at(away.into(), work.is_attached(true)).await.is_err());
    let written = lines.0.load(Ordering::SeqCst) - before;
    assert!(written < 15, "{written} lines in four seconds");
    rig.nats.restart().await.unwrap();
    work.is_attached(true).await;
    rig.publish(&queued("a")).await;
    next(&mut told).await;
    work.stop().await;
}

#[tokio::test]
async fn reattached_within_a_second_of_the_server_s_return() {
    let rig = Rig::start().await;
    let (script, mut told) = telling::<Queued>();
    let mut work = Loop::start(&rig.bus, Durable::Fetcher, 4, script);
    work.is_attached(true).await;
    rig.nats.kill().await.unwrap();
    rig.nats.restart().await.unwrap();
    let back = Instant::now();
    gavel_testkit::wait_until("us", TEST_TIMEOUT, async || rig.bus.is_connected()).await.unwrap();
    rig.publish(&queued("a")).await;
    next(&mut told).await;
    assert!(back.elapsed() < Duration::from_millis(1_500), "{:?}", back.elapsed());
    work.stop().await;
}

#[tokio::test]
async fn a_deleted_consumer_is_made_again() {
    let rig = Rig::start().await;
    let (script, mut told) = telling::<Queued>();
    let mut work = Loop::start(&rig.bus, Durable::Fetcher, 4, script);
    work.is_attached(true).await;
    let raw = rig.raw().await;
    for round in 0..3 {
        let stream = raw.get_stream_no_info(Stream::Queued.name()).await.unwrap();
        let deleted = Instant::now();
        stream.delete_consumer(Durable::Fetcher.name()).await.unwrap();
        let id = format!("a{round}");
        rig.publish(&queued(&id)).await;
        // A new consumer begins with the history; handlers are made for that.
        while next(&mut told).await.id != id {}
        assert!(deleted.elapsed() < Duration::from_secs(3), "{:?}", deleted.elapsed());
    }
    work.stop().await;
}

#[tokio::test]
async fn a_server_that_hangs_is_noticed_and_found_again() {
    let rig = Rig::start().await;
    let (script, mut told) = telling::<Queued>();
    let mut work = Loop::start(&rig.bus, Durable::Fetcher, 4, script);
    work.is_attached(true).await;
    rig.queue("a", 20).await;
    several(&mut told, 20).await;
    rig.nats.freeze().unwrap();
    // No answer, no error, no end of the connection: only the missing heartbeats tell.
    work.is_attached(false).await;
    rig.nats.thaw().unwrap();
    let thawed = Instant::now();
    work.is_attached(true).await;
    rig.queue("b", 20).await;
    several(&mut told, 20).await;
    assert!(thawed.elapsed() < Duration::from_secs(5), "{:?}", thawed.elapsed());
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    work.stop().await;
}

#[tokio::test]
async fn a_hang_that_costs_the_connection_costs_nothing_else() {
    let rig = Rig::start().await;
    let (script, mut held) = holding::<Queued>();
    rig.publish(&queued("held")).await;
    let keeper = Loop::start(&rig.connect().await, Durable::Fetcher, 1, script);
    next(&mut held).await;
    let (script, mut told) = telling::<Queued>();
    let work = Loop::start(&rig.bus, Durable::Fetcher, 4, script);
    rig.nats.freeze().unwrap();
    gavel_testkit::wait_until("the loss", TEST_TIMEOUT, async || !rig.bus.is_connected()).await.unwrap();
    rig.nats.thaw().unwrap();
    gavel_testkit::wait_until("us", TEST_TIMEOUT, async || rig.bus.is_connected()).await.unwrap();
    rig.queue("a", 50).await;
    let all: HashSet<_> = several(&mut told, 50).await.into_iter().map(|hand| hand.id).collect();
    assert!(all.iter().filter(|id| id.starts_with('a')).count() >= 49, "{all:?}");
    work.stop().await;
    keeper.abort.cancel();
    keeper.stop().await;
}

#[tokio::test]
async fn a_consumer_that_refuses_our_requests_is_not_hammered() {
    let rig = Rig::start().await;
    let raw = rig.raw().await;
    // An operator's consumer that takes single requests only.
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
    let (script, _told) = telling::<Queued>();
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
async fn the_first_connection_may_come_late() {
    let server = gavel_testkit::NatsServer::start().await;
    server.stop().await.unwrap();
    let bus = connect(&server, settings()).await;
    let (script, mut told) = telling::<Queued>();
    let work = Loop::start(&bus, Durable::Fetcher, 1, script);
    let made = tokio::spawn({
        let bus = bus.clone();
        async move { bus.ensure_topology().await }
    });
    server.restart().await.unwrap();
    within("the streams", made).await.unwrap();
    publish(&bus, &queued("a")).await;
    next(&mut told).await;
    work.stop().await;
}
