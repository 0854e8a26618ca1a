//! The connection of a person's command, and the errors that it can meet.

use std::time::Duration;

use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{Client, RequestErrorKind};
use bytes::Bytes;
use gavel_bus::topology::Stream;
use gavel_bus::{Bus, ConnectError, Connection, ConnectionState, NatsConfig, REQUEST_TIMEOUT, StoreError};
use tokio::sync::watch;

/// How long the connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the pipeline cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server does not answer a request.
    #[error("NATS does not answer")]
    NoAnswer,
    /// The server refused a request for lack of permission, with this message.
    #[error("permission denied by NATS: {0}")]
    PermissionDenied(String),
    /// The server runs without `JetStream`.
    #[error("JetStream is not enabled")]
    NoJetStream,
    /// A stream is missing: this server is not Gavel's, or no service has started on it yet.
    #[error("stream {0} does not exist")]
    NoStream(&'static str),
    /// A consumer is missing.
    #[error("consumer {0} does not exist")]
    NoConsumer(&'static str),
    /// The server's answer is not one that this version understands.
    #[error("unexpected answer from NATS: {0}")]
    UnexpectedAnswer(String),
}

/// A read-only view of the pipeline. Cheap to clone.
#[derive(Clone)]
pub struct Inspector {
    connection: Connection,
}

impl Inspector {
    /// Connects. Unlike a service's, this connection must be established at once; later it reconnects by itself.
    ///
    /// # Errors
    /// Returns an error if the configuration is invalid, or if NATS is unreachable or refuses the credentials.
    pub async fn connect(config: &NatsConfig) -> Result<Self, InspectError> {
        Ok(Self { connection: Connection::open_within(config, CONNECT_TIMEOUT).await? })
    }

    /// Inspects through a service's connection.
    #[must_use]
    pub fn of(bus: &Bus) -> Self {
        Self { connection: bus.connection().clone() }
    }

    /// The version that the server reports.
    #[must_use]
    pub fn server_version(&self) -> String {
        self.client().server_info().version
    }

    /// Checks that the server's `max_payload` is sufficient.
    ///
    /// # Errors
    /// Returns the problem in one sentence.
    pub fn check_max_payload(&self) -> Result<(), String> {
        self.connection.check_max_payload()
    }

    /// Checks that a stream can store messages: stores a probe that expires within seconds. It is the only thing that an
    /// inspector stores.
    ///
    /// # Errors
    /// Returns an error if the stream does not store it.
    pub async fn check_store(&self, stream: Stream) -> Result<(), StoreError> {
        gavel_bus::check_store(&self.jetstream(), stream).await
    }

    pub(crate) fn client(&self) -> &Client {
        self.connection.client()
    }

    pub(crate) fn jetstream(&self) -> jetstream::Context {
        ContextBuilder::new().timeout(REQUEST_TIMEOUT).build(self.client().clone())
    }

    pub(crate) fn connection_state(&self) -> watch::Receiver<ConnectionState> {
        self.connection.state()
    }

    /// Returns once the server has processed everything sent so far, such as a subscription. The user need not have
    /// the permission to publish: a violation, too, is reported after everything that was sent before it.
    pub(crate) async fn round_trip(&self) -> Result<(), InspectError> {
        let mut state = self.connection_state();
        let violations = state.borrow_and_update().violations;
        tokio::select! {
            answer = self.client().request(self.client().new_inbox(), Bytes::new()) => match answer {
                Err(error) if error.kind() != RequestErrorKind::NoResponders => Err(InspectError::NoAnswer),
                _ => Ok(()),
            },
            _ = state.wait_for(|now| now.violations > violations) => Ok(()),
        }
    }

    /// Fails if the server has refused a subscription to this subject.
    pub(crate) fn check_subscription(&self, subject: &str) -> Result<(), InspectError> {
        match self.last_violation() {
            Some(text) if text.contains("Subscription") && text.contains(subject) => {
                Err(InspectError::PermissionDenied(text))
            }
            _ => Ok(()),
        }
    }

    /// Why a request has no answer: the server has refused it, or is silent.
    pub(crate) fn unanswered(&self, subject: &str) -> InspectError {
        match self.last_violation() {
            // Credentials of another role may not read the answer.
            Some(text)
                if text.contains(&format!("\"{subject}\"")) || text.contains("Subscription to \"_INBOX") =>
            {
                InspectError::PermissionDenied(text)
            }
            _ => InspectError::NoAnswer,
        }
    }

    fn last_violation(&self) -> Option<String> {
        self.connection_state().borrow().last_violation.as_ref().map(|(_, text)| text.clone())
    }
}
