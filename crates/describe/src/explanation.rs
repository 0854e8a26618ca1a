//! Failures of NATS as people read them.

use gavel_bus::ConnectError;
use gavel_inspect::InspectError;

/// What to do if NATS is unreachable.
pub const START_NATS: &str = "Start it with \"gavel up\", or set NATS_URL and the credentials.";

/// A failure with its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What failed, as a clause.
    pub message: String,
    /// What to do about it, as full sentences.
    pub remedy: &'static str,
}

impl From<&InspectError> for Explanation {
    fn from(error: &InspectError) -> Self {
        let (message, remedy) = match error {
            InspectError::Connect(ConnectError::Url(_)) => {
                ("NATS_URL is not valid".to_owned(), "Set it to a URL such as nats://HOST:4222.")
            }
            InspectError::Connect(ConnectError::Unreachable(_) | ConnectError::Timeout(_))
            | InspectError::NoAnswer => ("NATS does not answer".to_owned(), START_NATS),
            InspectError::Connect(ConnectError::Credentials(_) | ConnectError::Unauthorized(_)) => (
                "NATS rejected the credentials".to_owned(),
                "Set NATS_NKEY, NATS_CREDS or NATS_USER to a user that this server knows. The server of gavel up knows the \
                 commands of the user who started it.",
            ),
            InspectError::PermissionDenied(said) => (
                format!("NATS denied permission: {said}"),
                "NATS_NKEY=tap.nk is enough for live events; history, trace, status and doctor need ops.nk, \
                 or a user with the permissions that docs/operations.md lists.",
            ),
            InspectError::NoJetStream => (
                "JetStream is not enabled".to_owned(),
                "Start nats-server with --jetstream, and enable JetStream for the account.",
            ),
            InspectError::NoStream(name) => (
                format!("no stream {name} on this NATS server"),
                "Gavel has not run on it yet, or NATS_URL names a different server.",
            ),
            InspectError::NoConsumer(name) => (
                format!("no consumer {name} on this NATS server"),
                "Start the services, or run \"gavel streams\": both create it.",
            ),
            InspectError::UnexpectedAnswer(said) => {
                (format!("unexpected answer from NATS: {said}"), "See the log of nats-server.")
            }
        };
        Self { message, remedy }
    }
}
