//! Events that a test publishes itself, on a server with streams and without services.

use std::ops::Deref;

use gavel_bus::{Outgoing, Trace};
use gavel_domain::event::{Judged, Queued, Ready};
use gavel_domain::{Status, Verdict};
pub(crate) use gavel_testkit::fixtures::{reported, running};
use gavel_testkit::{NatsServer, Process, TEST_TIMEOUT, fixtures, wait_until};

/// A source that no command may print.
const SECRET_SOURCE: &str = "print('a secret idea')";

/// A server with streams, and a publisher of events.
pub(crate) struct Rig(gavel_testkit::Rig);

impl Deref for Rig {
    type Target = gavel_testkit::Rig;

    fn deref(&self) -> &gavel_testkit::Rig {
        &self.0
    }
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::on(NatsServer::builder().with_roles().start().await).await
    }

    pub(crate) async fn on(nats: NatsServer) -> Self {
        Self(gavel_testkit::Rig::builder().nats(nats).start().await)
    }

    pub(crate) async fn publish(&self, event: impl Into<Outgoing>) {
        let trace = Trace { request_id: gavel_domain::RequestId::new("request-1"), traceparent: None };
        self.publish_with(event, &trace).await;
    }

    /// Publishes all events of a submission up to its report.
    pub(crate) async fn whole(&self, id: &str, status: Status) {
        self.publish(&queued(id)).await;
        self.publish(&ready(id)).await;
        self.publish(&running(id)).await;
        self.publish(&judged(id, status)).await;
        self.publish(&reported(id, status)).await;
    }

    /// Runs `gavel` against this server.
    pub(crate) fn gavel(&self, arguments: &[&str]) -> Process {
        gavel(&self.nats, arguments)
    }
}

/// Runs `gavel` with the role that the documentation names: `tap` for live events, `ops` for everything else.
pub(crate) fn gavel(nats: &NatsServer, arguments: &[&str]) -> Process {
    let reads_history = arguments.iter().any(|argument| ["--all", "--since"].contains(argument));
    let role = if arguments.first() == Some(&"tap") && !reads_history { "tap" } else { "ops" };
    Process::builder(env!("CARGO_BIN_EXE_gavel")).args(arguments).envs(nats.login(role)).start().unwrap()
}

/// Runs `gavel` against a server that is not one of a test.
pub(crate) fn gavel_at(url: &str, arguments: &[&str]) -> Process {
    Process::builder(env!("CARGO_BIN_EXE_gavel")).args(arguments).env("NATS_URL", url).start().unwrap()
}

pub(crate) async fn exit_code(process: &Process) -> Option<i32> {
    process.wait_exit(TEST_TIMEOUT).await.unwrap().code()
}

/// The output of a process without the lines that begin with the program's name.
pub(crate) fn lines(process: &Process) -> Vec<String> {
    process.log().into_iter().map(|line| line.text).filter(|line| !line.starts_with("gavel ")).collect()
}

/// What a command prints for people, as one text.
pub(crate) async fn printed(nats: &NatsServer, arguments: &[&str]) -> String {
    let process = gavel(nats, arguments);
    exit_code(&process).await;
    lines(&process).join("\n")
}

/// Waits until a command prints all these parts, and returns what it printed.
pub(crate) async fn expect(nats: &NatsServer, arguments: &[&str], parts: &[&str]) -> String {
    let mut text = String::new();
    wait_until("the output", TEST_TIMEOUT, async || {
        text = printed(nats, arguments).await;
        parts.iter().all(|part| text.contains(part))
    })
    .await
    .unwrap_or_else(|_| panic!("{arguments:?}: {text}"));
    text
}

pub(crate) fn queued(id: &str) -> Queued {
    Queued { source: SECRET_SOURCE.to_owned(), ..fixtures::queued(id) }
}

pub(crate) fn ready(id: &str) -> Ready {
    Ready { source: SECRET_SOURCE.to_owned(), ..fixtures::ready(id) }
}

pub(crate) fn judged(id: &str, status: Status) -> Judged {
    let failed = fixtures::failed();
    let first_failure = failed.first_failure.clone().filter(|_| status == Status::Failed);
    let reason = (status == Status::Error).then(|| "Something broke.".to_owned());
    fixtures::judged(id, Verdict { status, first_failure, reason, ..failed })
}
