//! Events as a test sends them, on a server of its own with the line's streams and nobody at work.

use gavel_bus::topology::TopologySettings;
use gavel_bus::{Bus, NatsConfig, Outgoing, Trace};
use gavel_domain::event::{BundleKey, Judged, Queued, Ready, Reported, Running};
use gavel_domain::{
    FirstFailure, LanguageId, QuestionId, Status, Submission, SubmissionId, SubmissionKind, Verdict,
};
use gavel_testkit::{NatsServer, Process};

use crate::line::PATIENCE;

/// A server with streams, and who publishes to it.
pub(crate) struct Rig {
    pub(crate) nats: NatsServer,
    pub(crate) bus: Bus,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::on(NatsServer::start().await).await
    }

    pub(crate) async fn on(nats: NatsServer) -> Self {
        let bus = connect(&nats.url()).await;
        bus.ensure_topology().await;
        Self { nats, bus }
    }

    pub(crate) async fn publish(&self, event: impl Into<Outgoing>) {
        let trace = Trace { request_id: gavel_domain::RequestId::new("request-1"), traceparent: None };
        self.bus.publish(&event.into(), &trace, PATIENCE).await.unwrap();
    }

    /// A submission's life up to its report.
    pub(crate) async fn whole(&self, id: &str, status: Status) {
        self.publish(&queued(id)).await;
        self.publish(&ready(id)).await;
        self.publish(&running(id)).await;
        self.publish(&judged(id, status)).await;
        self.publish(&reported(id, status)).await;
    }

    /// Runs `gavel` against this server.
    pub(crate) fn gavel(&self, arguments: &[&str]) -> Process {
        gavel(&self.nats.url(), arguments)
    }
}

pub(crate) async fn connect(url: &str) -> Bus {
    let config = NatsConfig { url: url.to_owned(), name: "test".to_owned(), ..NatsConfig::default() };
    Bus::connect(&config, TopologySettings { store_bytes: 1 << 30, ..TopologySettings::default() })
        .await
        .unwrap()
}

pub(crate) fn gavel(url: &str, arguments: &[&str]) -> Process {
    Process::builder(env!("CARGO_BIN_EXE_gavel")).args(arguments).env("NATS_URL", url).start().unwrap()
}

pub(crate) async fn exit_code(process: &Process) -> Option<i32> {
    process.wait_exit(PATIENCE).await.unwrap().code()
}

/// What a process has written, without what begins with its own name.
pub(crate) fn lines(process: &Process) -> Vec<String> {
    process.log().into_iter().map(|line| line.text).filter(|line| !line.starts_with("gavel ")).collect()
}

pub(crate) fn submission(id: &str) -> Submission {
    Submission {
        id: SubmissionId::new(id).unwrap(),
        question_id: QuestionId::new("q1").unwrap(),
        language: LanguageId(71),
        kind: SubmissionKind::Standard,
        accepted_at_ms: 0,
        generation: gavel_domain::Generation::FIRST,
    }
}

pub(crate) fn queued(id: &str) -> Queued {
    Queued { submission: submission(id), source: "print('a secret idea')".to_owned() }
}

pub(crate) fn ready(id: &str) -> Ready {
    let bundle = BundleKey { day: 1, digest: "ab".repeat(32) };
    Ready { submission: submission(id), source: "print('a secret idea')".to_owned(), bundle, renewals: 0 }
}

pub(crate) fn running(id: &str) -> Running {
    Running { submission: submission(id), instance: "judge-a".to_owned() }
}

pub(crate) fn judged(id: &str, status: Status) -> Judged {
    let failure = FirstFailure {
        index: 3,
        stdin: None,
        actual_output: None,
        expected_output: None,
        error_message: "Wrong answer".to_owned(),
    };
    let verdict = Verdict {
        status,
        passed_count: Some(3),
        total_count: Some(10),
        first_failure: (status == Status::Failed).then_some(failure),
        ..Verdict::error("something broke")
    };
    Judged {
        submission: submission(id),
        verdict,
        duration_ms: 812,
        instance: "judge-a".to_owned(),
        assignment: None,
    }
}

pub(crate) fn reported(id: &str, status: Status) -> Reported {
    Reported {
        submission: submission(id),
        status,
        attempts: 1,
        instance: "reporter-a".to_owned(),
        callback_attempts: Vec::new(),
    }
}
