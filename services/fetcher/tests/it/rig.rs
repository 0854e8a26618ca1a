//! A fetcher for one test, the mock Convex that it calls, and the streams that it reads from and writes to.

use std::ops::Deref;
use std::time::Duration;

use gavel_bus::Trace;
use gavel_bus::topology::{Durable, Stream};
use gavel_domain::event::{DeadLetter, Judged, Queued, Ready};
use gavel_domain::{QuestionId, RequestId, Status, Submission, SubmissionKind};
use gavel_mock_convex::Question;
use gavel_testkit::fixtures::submission;
use gavel_testkit::rig::Builder;
use gavel_testkit::{Events, ServiceProcess, process};

/// The fetcher's binary, on a free port.
pub(crate) fn binary(nats_url: &str, convex_url: &str) -> process::Builder {
    let program = ServiceProcess::builder(env!("CARGO_BIN_EXE_gavel-fetcher"), nats_url);
    program.env("CONVEX_SITE_URL", convex_url)
}

/// A queued submission.
pub(crate) fn queued(id: &str, question: &str, kind: SubmissionKind) -> Queued {
    let question_id = QuestionId::new(question).unwrap();
    let submission = Submission { question_id, kind, ..submission(id) };
    Queued { submission, source: format!("print({id:?})\r\n") }
}

/// How many messages each stream holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) ready: u64,
    /// Verdicts: these tests publish no other event to that stream.
    pub(crate) judged: u64,
    pub(crate) dead: u64,
}

/// A fetcher that consumes its queue, and everything that it needs. The fetcher ends first.
pub(crate) struct Rig {
    pub(crate) fetcher: ServiceProcess,
    pub(crate) events: Events,
    servers: gavel_testkit::Rig,
}

impl Deref for Rig {
    type Target = gavel_testkit::Rig;

    fn deref(&self) -> &gavel_testkit::Rig {
        &self.servers
    }
}

impl Rig {
    pub(crate) async fn start(questions: Vec<Question>) -> Self {
        Self::with(questions, &[]).await
    }

    pub(crate) async fn with(questions: Vec<Question>, settings: &[(&str, &str)]) -> Self {
        Self::on(gavel_testkit::Rig::builder().questions(questions), settings).await
    }

    /// A rig that delivers a message again after 1.5 s without a sign of progress.
    pub(crate) async fn with_short_ack_wait(questions: Vec<Question>) -> Self {
        let builder = gavel_testkit::Rig::builder().questions(questions);
        Self::on(builder.ack_wait(Duration::from_millis(1500)), &[]).await
    }

    pub(crate) async fn on(builder: Builder, settings: &[(&str, &str)]) -> Self {
        let rig = builder.start().await;
        let events = rig.events().await;
        let fetcher = start_fetcher(&rig, settings).await;
        Self { fetcher, events, servers: rig }
    }

    /// Starts another fetcher next to the first.
    pub(crate) async fn another(&self, settings: &[(&str, &str)]) -> ServiceProcess {
        start_fetcher(&self.servers, settings).await
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
        self.publish_with(event, &trace).await;
    }

    pub(crate) async fn ready(&mut self, id: &str) -> Ready {
        self.events.wait(id).await
    }

    /// Waits for the `error` verdict of a submission, and returns its reason.
    pub(crate) async fn reason(&mut self, id: &str) -> String {
        let judged: Judged = self.events.wait(id).await;
        assert_eq!((judged.submission.id.as_str(), judged.verdict.status), (id, Status::Error));
        assert!(judged.duration_ms > 0 && judged.instance.starts_with("fetcher-"));
        judged.verdict.reason.unwrap()
    }

    pub(crate) async fn dead(&mut self, id: &str) -> DeadLetter {
        self.events.wait(id).await
    }

    /// Returns the numbers of pending messages, and of delivered messages that are not acknowledged.
    pub(crate) async fn backlog(&self) -> (u64, usize) {
        let info = self.jetstream.consumer_info(Durable::Fetcher).await;
        (info.num_pending, info.num_ack_pending)
    }

    /// Waits until everything that was queued is acknowledged, then counts what is stored.
    pub(crate) async fn settled(&self) -> Counts {
        self.jetstream.wait_idle(Durable::Fetcher).await;
        self.counts().await
    }

    /// Removes all ready events, as judges do.
    pub(crate) async fn purge_ready(&self) {
        self.jetstream.context.get_stream(Stream::Ready.name()).await.unwrap().purge().await.unwrap();
    }

    pub(crate) async fn counts(&self) -> Counts {
        Counts {
            ready: self.jetstream.message_count(Stream::Ready).await,
            judged: self.jetstream.message_count(Stream::Result).await,
            dead: self.jetstream.message_count(Stream::DeadLetter).await,
        }
    }
}

async fn start_fetcher(rig: &gavel_testkit::Rig, settings: &[(&str, &str)]) -> ServiceProcess {
    let builder = rig.service(env!("CARGO_BIN_EXE_gavel-fetcher"));
    ServiceProcess::start(builder.envs(settings.iter().copied())).await
}

/// A question of mock Convex with one public test.
pub(crate) fn question(id: &str) -> Question {
    Question::build(gavel_mock_convex::SubmissionKind::Standard, id).public("1\n", "2\n").done()
}
