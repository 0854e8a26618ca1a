//! A server, connections to it, and handlers that do what a test says.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use async_nats::jetstream;
use futures::future::BoxFuture;
use gavel_bus::topology::{self, Durable, TopologySettings};
use gavel_bus::{
    Bus, Cause, ConsumeSettings, Delivery, Failure, Handler, LanguageTurns, NatsConfig, Outgoing, Stored,
    Trace,
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

/// Small enough for any disk, with an `ack_wait` longer than a test takes.
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

/// An event that a [`Script`] has received.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) attempt: u64,
}

pub(crate) type Done = Result<Vec<Outgoing>, Failure>;

/// A handler that calls a closure; a permanent failure ends with an `error` verdict.
pub(crate) struct Script<E> {
    act: Box<dyn Fn(Received) -> BoxFuture<'static, Done> + Send + Sync>,
    starts: bool,
    turns: Option<Arc<LanguageTurns>>,
    event: PhantomData<fn() -> E>,
}

impl<E> Script<E> {
    pub(crate) fn new<F>(act: impl Fn(Received) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Done> + Send + 'static,
    {
        let act = Box::new(move |received| Box::pin(act(received)) as BoxFuture<'static, Done>);
        Self { act, starts: false, turns: None, event: PhantomData }
    }

    pub(crate) fn with_turns(self, turns: &Arc<LanguageTurns>) -> Self {
        Self { turns: Some(Arc::clone(turns)), ..self }
    }

    pub(crate) fn with_started_event(self) -> Self {
        Self { starts: true, ..self }
    }
}

impl<E: WireEvent + Send + Sync + 'static> Handler for Script<E> {
    type Event = E;
    const STAGE: Stage = Stage::Judge;

    fn started_event(&self, event: &E) -> Option<Outgoing> {
        self.starts.then(|| Outgoing::from(&running(&event.key())))
    }

    fn language_turns(&self) -> Option<Arc<LanguageTurns>> {
        self.turns.clone()
    }

    async fn handle(&self, delivery: &Delivery<E>) -> Done {
        (self.act)(Received { id: delivery.event.key(), attempt: delivery.attempt }).await
    }

    fn give_up(&self, event: &E, _cause: &Cause) -> Vec<Outgoing> {
        vec![Outgoing::from(&judged(&event.key()))]
    }
}

/// Records what it receives, and never returns.
pub(crate) fn holding<E>() -> (Script<E>, mpsc::UnboundedReceiver<Received>) {
    let (events_tx, events) = mpsc::unbounded_channel();
    let script = Script::new(move |received| {
        events_tx.send(received).unwrap();
        futures::future::pending()
    });
    (script, events)
}

/// Records what it receives, and returns at once.
pub(crate) fn recording<E>() -> (Script<E>, mpsc::UnboundedReceiver<Received>) {
    let (events_tx, events) = mpsc::unbounded_channel();
    let script = Script::new(move |received| {
        events_tx.send(received).unwrap();
        async { Ok(Vec::new()) }
    });
    (script, events)
}

/// A running consumer loop.
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
        let (events_tx, attached) = watch::channel(false);
        let settings =
            ConsumeSettings { durable, slots, max_deliveries, stop: stop.clone(), abort: abort.clone() };
        let work = gavel_bus::consume(bus.clone(), Arc::new(script), settings, events_tx);
        Self { stop, abort, attached, task: tokio::spawn(work) }
    }

    pub(crate) async fn is_attached(&mut self, wanted: bool) {
        within("the attachment", self.attached.wait_for(|now| *now == wanted)).await.unwrap();
    }

    /// Waits until the loop has ended.
    pub(crate) async fn ended(self) {
        within("the end of the loop", self.task).await.unwrap();
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.ended().await;
    }
}

/// Returns the future's output; panics after a timeout.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TEST_TIMEOUT, future).await.unwrap_or_else(|_| panic!("timeout waiting for {what}"))
}

/// Returns the next event.
pub(crate) async fn next<T: Debug>(events: &mut mpsc::UnboundedReceiver<T>) -> T {
    within("the next event", events.recv()).await.unwrap()
}

/// Returns the next `count` events.
pub(crate) async fn several<T: Debug>(events: &mut mpsc::UnboundedReceiver<T>, count: usize) -> Vec<T> {
    let mut all = Vec::new();
    while all.len() < count {
        all.push(next(events).await);
    }
    all
}
