//! A fetcher of a test's own, the Convex that it asks, and the line that it reads from and writes to.

use std::net::SocketAddr;
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::{Message, Subscriber, jetstream};
use futures::StreamExt as _;
use gavel_bus::topology::{Durable, Stream, TopologySettings};
use gavel_bus::{Bus, NatsConfig, Outgoing, Trace};
use gavel_domain::event::{DeadLetter, Judged, Queued, Ready};
use gavel_domain::{
    Generation, LanguageId, QuestionId, RequestId, Status, Submission, SubmissionId, SubmissionKind,
};
use gavel_mock_convex::{MockConvex, Question};
use gavel_proto::WireEvent;
use gavel_testkit::{NatsServer, Process, process, wait_until};

/// Long enough for a loaded machine; nothing waits for it unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, on any free port.
pub(crate) fn binary(nats_url: &str, convex_url: &str) -> process::Builder {
    let program = Process::builder(env!("CARGO_BIN_EXE_gavel-fetcher")).env("PORT", "0");
    program.env("NATS_URL", nats_url).env("CONVEX_SITE_URL", convex_url)
}

/// The address that a started binary listens on.
pub(crate) async fn address(process: &Process) -> SocketAddr {
    let listening = process.wait_log("the address", PATIENCE, |line| line.contains("listening")).await;
    listening.unwrap().field("/address").unwrap().as_str().unwrap().parse().unwrap()
}

/// A queued submission.
pub(crate) fn queued(id: &str, question: &str, kind: SubmissionKind) -> Queued {
    let submission = Submission {
        id: SubmissionId::new(id).unwrap(),
        question_id: QuestionId::new(question).unwrap(),
        language: LanguageId(71),
        kind,
        accepted_at_ms: 1_700_000_000_000,
        generation: Generation::FIRST,
    };
    Queued { submission, source: format!("print({id:?})\r\n") }
}

/// What was stored, by stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) ready: u64,
    /// Verdicts: nothing else is told of a submission here.
    pub(crate) judged: u64,
    pub(crate) dead: u64,
}

/// The line as a test sees it: it puts in what is queued, and is told each event.
pub(crate) struct Line {
    pub(crate) bus: Bus,
    pub(crate) client: async_nats::Client,
    context: jetstream::Context,
    events: Subscriber,
    seen: Vec<Message>,
}

impl Line {
    /// Makes streams and consumers, and listens.
    pub(crate) async fn of(nats: &NatsServer, settings: TopologySettings) -> Self {
        let config = NatsConfig { url: nats.url(), name: "a test".to_owned(), ..NatsConfig::default() };
        let bus = Bus::connect(&config, settings).await.unwrap();
        bus.ensure_topology().await;
        let client = async_nats::connect(nats.url()).await.unwrap();
        let events = client.subscribe("submission.>").await.unwrap();
        client.flush().await.unwrap();
        Self { bus, context: jetstream::new(client.clone()), client, events, seen: Vec::new() }
    }

    /// Queues a standard submission.
    pub(crate) async fn queue(&self, id: &str, question: &str) {
        self.queue_with(&queued(id, question, SubmissionKind::Standard), &format!("req-{id}")).await;
    }

    pub(crate) async fn queue_with(&self, event: &Queued, request_id: &str) {
        let trace = Trace {
            request_id: RequestId::new(request_id),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        };
        self.bus.publish(&Outgoing::from(event), &trace, PATIENCE).await.unwrap();
    }

    /// The event of a kind about a submission, as soon as it is published.
    pub(crate) async fn event<E: WireEvent>(&mut self, id: &str) -> E {
        E::decode(&self.message(E::NAME, id).await.payload).unwrap()
    }

    pub(crate) async fn message(&mut self, name: &str, id: &str) -> Message {
        let subject = format!("submission.{name}.{id}");
        if let Some(seen) = self.seen.iter().find(|message| message.subject.as_str() == subject) {
            return seen.clone();
        }
        loop {
            let next = tokio::time::timeout(PATIENCE, self.events.next()).await;
            let message = next.unwrap_or_else(|_| panic!("no {subject}")).unwrap();
            self.seen.push(message.clone());
            if message.subject.as_str() == subject {
                return message;
            }
        }
    }

    pub(crate) async fn ready(&mut self, id: &str) -> Ready {
        self.event(id).await
    }

    /// The reason of the error that a submission ends in.
    pub(crate) async fn reason(&mut self, id: &str) -> String {
        let judged: Judged = self.event(id).await;
        assert_eq!((judged.submission.id.as_str(), judged.verdict.status), (id, Status::Error));
        assert!(judged.duration_ms > 0 && judged.instance.starts_with("fetcher-"));
        judged.verdict.stderr.unwrap()
    }

    pub(crate) async fn dead(&mut self, id: &str) -> DeadLetter {
        self.event(id).await
    }

    /// All that was seen so far, in order.
    pub(crate) fn seen(&self) -> &[Message] {
        &self.seen
    }

    /// Messages that wait for a fetcher, and those that one has in hand.
    pub(crate) async fn backlog(&self) -> (u64, usize) {
        let stream = self.context.get_stream_no_info(Stream::Queued.name()).await.unwrap();
        let mut consumer: PullConsumer = stream.get_consumer(Durable::Fetcher.name()).await.unwrap();
        let info = consumer.info().await.unwrap();
        (info.num_pending, info.num_ack_pending)
    }

    /// Waits until all that was queued is acknowledged, which nobody tells; what is stored then.
    pub(crate) async fn settled(&self) -> Counts {
        let done = async || self.backlog().await == (0, 0);
        wait_until("the end of the work", PATIENCE, done).await.unwrap();
        self.counts().await
    }

    /// Does away with what is ready, as judges would.
    pub(crate) async fn purge_ready(&self) {
        self.context.get_stream(Stream::Ready.name()).await.unwrap().purge().await.unwrap();
    }

    pub(crate) async fn counts(&self) -> Counts {
        let count = async |stream: Stream| {
            self.context.get_stream(stream.name()).await.unwrap().cached_info().state.messages
        };
        Counts {
            ready: count(Stream::Ready).await,
            judged: count(Stream::Result).await,
            dead: count(Stream::DeadLetter).await,
        }
    }
}

/// A fetcher that is attached to its queue, with all that it needs. It ends first.
pub(crate) struct Rig {
    pub(crate) fetcher: Process,
    pub(crate) convex: MockConvex,
    pub(crate) line: Line,
    pub(crate) nats: NatsServer,
}

impl Rig {
    pub(crate) async fn start(questions: Vec<Question>) -> Self {
        Self::with(questions, &[]).await
    }

    pub(crate) async fn with(questions: Vec<Question>, settings: &[(&str, &str)]) -> Self {
        Self::on(NatsServer::start().await, TopologySettings::default(), questions, settings).await
    }

    /// One whose messages in hand are given to another after a second and a half of silence.
    pub(crate) async fn impatient(questions: Vec<Question>) -> Self {
        let ack_wait = Duration::from_millis(1500);
        let topology = TopologySettings { ack_wait, ..TopologySettings::default() };
        Self::on(NatsServer::start().await, topology, questions, &[]).await
    }

    pub(crate) async fn on(
        nats: NatsServer,
        topology: TopologySettings,
        questions: Vec<Question>,
        settings: &[(&str, &str)],
    ) -> Self {
        let line = Line::of(&nats, topology).await;
        let convex = MockConvex::start_local(questions).await.unwrap();
        let fetcher = binary(&nats.url(), &convex.url()).envs(settings.iter().copied()).start().unwrap();
        Self { fetcher, convex, line, nats }
    }

    /// Another fetcher beside the first.
    pub(crate) fn another(&self, settings: &[(&str, &str)]) -> Process {
        binary(&self.nats.url(), &self.convex.url()).envs(settings.iter().copied()).start().unwrap()
    }
}

/// A question with one public test.
pub(crate) fn question(id: &str) -> Question {
    Question::build(gavel_mock_convex::SubmissionKind::Standard, id).public("1\n", "2\n").done()
}
