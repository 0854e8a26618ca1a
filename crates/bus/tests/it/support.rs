//! A server, connections to it, events to send, and handlers that do what a test says.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use async_nats::jetstream;
use futures::future::BoxFuture;
use gavel_bus::topology::{self, Durable, TopologySettings};
use gavel_bus::{
    Bus, Cause, ConsumeSettings, Delivery, Failure, Handler, NatsConfig, Outgoing, Stored, Trace,
};
use gavel_domain::Verdict;
use gavel_domain::event::{Judged, Stage};
use gavel_proto::WireEvent;
use gavel_testkit::fixtures;
pub(crate) use gavel_testkit::fixtures::{key, queued, ready, running, submission};
use gavel_testkit::{NatsServer, TEST_TIMEOUT};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Small enough for any disk, and an `ack_wait` that nothing in a quick test should ever wait for.
pub(crate) fn settings() -> TopologySettings {
    TopologySettings { store_bytes: 1 << 30, ..TopologySettings::default() }
}

/// A server with the streams on it, and a connection.
pub(crate) struct Rig(gavel_testkit::Rig);

impl Deref for Rig {
    type Target = gavel_testkit::Rig;

    fn deref(&self) -> &gavel_testkit::Rig {
        &self.0
    }
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(settings()).await
    }

    pub(crate) async fn with(settings: TopologySettings) -> Self {
        Self::on(NatsServer::start().await, settings).await
    }

    pub(crate) async fn on(server: NatsServer, settings: TopologySettings) -> Self {
        Self(gavel_testkit::Rig::builder().nats(server).topology(settings).start().await)
    }

    /// The server as an operator sees it.
    pub(crate) async fn raw(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(self.nats.url()).await.unwrap())
    }

    /// Queues submissions `<prefix>0`, `<prefix>1`, … many at a time.
    pub(crate) async fn queue(&self, prefix: &str, count: usize) {
        let publish = |n| async move { self.publish(&queued(&format!("{prefix}{n}"))).await };
        for first in (0..count).step_by(100) {
            futures::future::join_all((first..count.min(first + 100)).map(publish)).await;
        }
    }
}

pub(crate) async fn publish(bus: &Bus, event: impl Into<Outgoing>) -> Stored {
    bus.publish(&event.into(), &Trace::default(), TEST_TIMEOUT).await.unwrap()
}

pub(crate) async fn connect(server: &NatsServer, settings: TopologySettings) -> Bus {
    let config = NatsConfig { url: server.url(), name: "test".to_owned(), ..NatsConfig::default() };
    Bus::connect(&config, settings).await.unwrap()
}

pub(crate) async fn consumer(raw: &jetstream::Context, durable: Durable) -> jetstream::consumer::Info {
    let stream = raw.get_stream_no_info(durable.stream().name()).await.unwrap();
    stream.consumer_info(durable.name()).await.unwrap()
}

/// The last message on a subject.
pub(crate) async fn stored(
    raw: &jetstream::Context,
    stream: topology::Stream,
    subject: &str,
) -> Option<jetstream::message::StreamMessage> {
    let stream = raw.get_stream_no_info(stream.name()).await.unwrap();
    stream.direct_get_last_for_subject(subject).await.ok()
}

pub(crate) fn judged(text: &str) -> Judged {
    fixtures::judged(text, Verdict::error("for the test"))
}

/// An event in the hand of a [`Script`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Hand {
    pub(crate) id: String,
    pub(crate) attempt: u64,
}

pub(crate) type Done = Result<Vec<Outgoing>, Failure>;

/// A handler that does what a closure says; gives up with an `error` verdict.
pub(crate) struct Script<E> {
    act: Box<dyn Fn(Hand) -> BoxFuture<'static, Done> + Send + Sync>,
    announces: bool,
    event: PhantomData<fn() -> E>,
}

impl<E> Script<E> {
    pub(crate) fn new<F>(act: impl Fn(Hand) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Done> + Send + 'static,
    {
        let act = Box::new(move |hand| Box::pin(act(hand)) as BoxFuture<'static, Done>);
        Self { act, announces: false, event: PhantomData }
    }

    pub(crate) fn announcing(self) -> Self {
        Self { announces: true, ..self }
    }
}

impl<E: WireEvent + Send + Sync + 'static> Handler for Script<E> {
    type Event = E;
    const STAGE: Stage = Stage::Judge;

    fn started_event(&self, event: &E) -> Option<Outgoing> {
        self.announces.then(|| Outgoing::from(&running(&event.key())))
    }

    async fn handle(&self, delivery: &Delivery<E>) -> Done {
        (self.act)(Hand { id: delivery.event.key(), attempt: delivery.attempt }).await
    }

    fn give_up(&self, event: &E, _cause: &Cause) -> Vec<Outgoing> {
        vec![Outgoing::from(&judged(&event.key()))]
    }
}

/// Handles nothing: tells what it was given, and waits in vain until it is dropped.
pub(crate) fn holding<E>() -> (Script<E>, mpsc::UnboundedReceiver<Hand>) {
    let (tell, told) = mpsc::unbounded_channel();
    let script = Script::new(move |hand| {
        tell.send(hand).unwrap();
        futures::future::pending()
    });
    (script, told)
}

/// Handles at once, and tells what it was given.
pub(crate) fn telling<E>() -> (Script<E>, mpsc::UnboundedReceiver<Hand>) {
    let (tell, told) = mpsc::unbounded_channel();
    let script = Script::new(move |hand| {
        tell.send(hand).unwrap();
        async { Ok(Vec::new()) }
    });
    (script, told)
}

/// A loop at work.
pub(crate) struct Loop {
    pub(crate) stop: CancellationToken,
    pub(crate) abort: CancellationToken,
    attached: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Loop {
    pub(crate) fn start<E: WireEvent + Send + Sync + 'static>(
        bus: &Bus,
        durable: Durable,
        slots: usize,
        script: Script<E>,
    ) -> Self {
        Self::bounded(bus, durable, slots, None, script)
    }

    pub(crate) fn bounded<E: WireEvent + Send + Sync + 'static>(
        bus: &Bus,
        durable: Durable,
        slots: usize,
        max_deliveries: Option<u64>,
        script: Script<E>,
    ) -> Self {
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let (tell, attached) = watch::channel(false);
        let settings =
            ConsumeSettings { durable, slots, max_deliveries, stop: stop.clone(), abort: abort.clone() };
        let work = gavel_bus::consume(bus.clone(), Arc::new(script), settings, tell);
        Self { stop, abort, attached, task: tokio::spawn(work) }
    }

    pub(crate) async fn is_attached(&mut self, wanted: bool) {
        within("the attachment", self.attached.wait_for(|now| *now == wanted)).await.unwrap();
    }

    /// Waits for its end, which it was asked for.
    pub(crate) async fn ended(self) {
        within("the end of the loop", self.task).await.unwrap();
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.ended().await;
    }
}

/// What the future comes to, or a failure that says what did not happen.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TEST_TIMEOUT, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// The next thing told.
pub(crate) async fn next<T: Debug>(told: &mut mpsc::UnboundedReceiver<T>) -> T {
    within("what was to be told", told.recv()).await.unwrap()
}

/// So many of what is told.
pub(crate) async fn several<T: Debug>(told: &mut mpsc::UnboundedReceiver<T>, count: usize) -> Vec<T> {
    let mut all = Vec::new();
    while all.len() < count {
        all.push(next(told).await);
    }
    all
}
