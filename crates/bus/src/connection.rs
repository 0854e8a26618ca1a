//! The connection to NATS: how it is opened, and its state while it reconnects.

use std::fmt;
use std::time::{Duration, Instant};

use async_nats::connection::State;
use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, Event, RequestError, RequestErrorKind, ServerAddr, ServerError,
};
use bytes::Bytes;
use gavel_domain::text::is_unprintable;
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::identity::{Credentials, InvalidCredentials, Redacted, Tls};
use crate::timing::REQUEST_TIMEOUT;

/// The smallest `max_payload` of nats-server, in bytes, that everything fits into: a piece of a bundle, and an event with the
/// largest source or verdict that the settings allow. The default of nats-server is slightly larger.
pub const MIN_MAX_PAYLOAD: usize = 1_000_000;
/// How long a permission violation is reported. A service that keeps trying is refused again within this time.
const VIOLATION_SHOWN_FOR: Duration = Duration::from_mins(1);

/// The address of NATS, and the identity to connect with.
#[derive(Clone, Default)]
pub struct NatsConfig {
    /// One or more server URLs, separated by commas.
    pub url: String,
    /// The name that the server shows for this connection.
    pub name: String,
    /// How to authenticate; `None` if the server needs no authentication, or the URL holds user and password.
    pub credentials: Option<Credentials>,
    /// The TLS settings.
    pub tls: Tls,
    /// The prefix of this role's inboxes, so that no other role may subscribe to them; `None` for the client's own.
    pub inbox_prefix: Option<String>,
    /// Whether streams and consumers are created by someone else (`gavel streams`), so that this connection must not.
    pub is_topology_managed: bool,
}

impl NatsConfig {
    fn options(&self, servers: &[ServerAddr]) -> Result<ConnectOptions, InvalidCredentials> {
        let mut options = self.tls.apply(ConnectOptions::new()).name(&self.name);
        if let Some(credentials) = &self.credentials {
            options = credentials.apply(options)?;
        } else if let Some(server) = servers.iter().find(|server| server.has_user_pass()) {
            // The client itself ignores user and password in a URL.
            let (user, password) =
                (server.username().unwrap_or_default(), server.password().unwrap_or_default());
            options = options.user_and_password(user.to_owned(), password.to_owned());
        }
        if let Some(prefix) = &self.inbox_prefix {
            options = options.custom_inbox_prefix(prefix);
        }
        Ok(options)
    }
}

impl fmt::Debug for NatsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsConfig")
            .field("url", &Redacted(&self.url))
            .field("name", &self.name)
            .field("credentials", &self.credentials)
            .field("tls", &self.tls)
            .field("inbox_prefix", &self.inbox_prefix)
            .field("is_topology_managed", &self.is_topology_managed)
            .finish()
    }
}

/// Why a connection to NATS could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A URL cannot be parsed.
    #[error("invalid NATS URL")]
    Url(#[source] std::io::Error),
    /// The credentials cannot be parsed.
    #[error("invalid NATS credentials")]
    Credentials(#[source] InvalidCredentials),
    /// The server refused the credentials.
    #[error("NATS refused the credentials")]
    Unauthorized(#[source] async_nats::ConnectError),
    /// The server is unreachable, or the client cannot use the URLs.
    #[error("cannot connect to NATS")]
    Unreachable(#[source] async_nats::ConnectError),
    /// The server did not complete the handshake in time.
    #[error("cannot connect to NATS: no answer within {} s", .0.as_secs())]
    Timeout(Duration),
}

/// What has happened to a connection since it was opened.
#[derive(Clone, Debug, Default)]
pub struct ConnectionState {
    /// How many times the connection was established.
    pub connects: u64,
    /// How many times the connection was lost.
    pub disconnects: u64,
    /// How many messages the client has dropped because a subscriber was too slow.
    pub dropped: u64,
    /// How many requests the server has refused for lack of permission.
    pub violations: u64,
    /// When the last of them was refused, and the server's message, without control characters.
    pub last_violation: Option<(Instant, String)>,
}

impl ConnectionState {
    /// Changes with each connect and disconnect: the server forgets pull requests made before.
    pub(crate) fn epoch(&self) -> u64 {
        self.connects + self.disconnects
    }

    /// Whether the last event was that the connection was established. The client itself is connected slightly earlier.
    pub(crate) fn is_established(&self) -> bool {
        self.connects > self.disconnects
    }

    /// Takes note of an event of the client; returns whether it is a permission violation.
    fn record(&mut self, event: &Event) -> bool {
        match event {
            Event::Connected => self.connects += 1,
            Event::Disconnected => self.disconnects += 1,
            Event::SlowConsumer(_) => self.dropped += 1,
            Event::ServerError(ServerError::Other(text)) if is_violation(text) => {
                let text = text.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect();
                self.violations += 1;
                self.last_violation = Some((Instant::now(), text));
                return true;
            }
            _ => {}
        }
        false
    }

    /// The last permission violation, for a minute.
    fn recent_violation(&self) -> Option<&str> {
        let recent = self.last_violation.as_ref().filter(|(at, _)| at.elapsed() < VIOLATION_SHOWN_FOR);
        recent.map(|(_, text)| text.as_str())
    }
}

/// The server reports a violation apart from the request, and the protocol has only this text to recognize it by.
fn is_violation(text: &str) -> bool {
    text.to_ascii_lowercase().starts_with("permissions violation")
}

/// A connection to NATS that reconnects by itself. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    client: Client,
    state: watch::Receiver<ConnectionState>,
}

impl Connection {
    /// Opens a connection in the background: an unreachable server is not an error, the client keeps trying.
    ///
    /// # Errors
    /// Returns an error if the URLs or the credentials can never work.
    pub async fn open(config: &NatsConfig) -> Result<Self, ConnectError> {
        Self::build(config, ConnectOptions::retry_on_initial_connect).await
    }

    /// Opens a connection, which must be established within `timeout`.
    ///
    /// # Errors
    /// Returns an error if the URLs or credentials are invalid, or if the server is unreachable, refuses the credentials or
    /// does not answer within `timeout`.
    pub async fn open_within(config: &NatsConfig, timeout: Duration) -> Result<Self, ConnectError> {
        let connecting = Self::build(config, |options| options);
        tokio::time::timeout(timeout, connecting).await.map_err(|_| ConnectError::Timeout(timeout))?
    }

    async fn build(
        config: &NatsConfig,
        adjust: impl FnOnce(ConnectOptions) -> ConnectOptions,
    ) -> Result<Self, ConnectError> {
        let servers = servers(&config.url).map_err(ConnectError::Url)?;
        let options = config.options(&servers).map_err(ConnectError::Credentials)?;
        let (changes, state) = watch::channel(ConnectionState::default());
        let options = options
            // The default of 60 s leaves a half-open connection unnoticed for minutes.
            .ping_interval(Duration::from_secs(5))
            .request_timeout(Some(REQUEST_TIMEOUT))
            .reconnect_delay_callback(|attempt| {
                Duration::from_millis(50) * u32::try_from(attempt.min(20)).unwrap_or(20)
            })
            .event_callback(move |event| {
                let mut is_violation = false;
                changes.send_modify(|state| is_violation = state.record(&event));
                async move { log(&event, is_violation) }
            });
        let connected = adjust(options).connect(servers).await;
        let client = connected.map_err(|error| match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                ConnectError::Unauthorized(error)
            }
            _ => ConnectError::Unreachable(error),
        })?;
        Ok(Self { client, state })
    }

    /// The NATS client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The state of the connection, and its changes from now on.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        let mut state = self.state.clone();
        // The receiver that is kept here has seen no change.
        state.mark_unchanged();
        state
    }

    /// Whether the connection is up at this moment.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Returns once the connection is up.
    pub async fn wait_connected(&self) {
        let mut state = self.state();
        while !self.is_connected() && state.changed().await.is_ok() {}
    }

    /// Whether the server has permitted everything that was tried in the last minute, for `/readyz`.
    ///
    /// # Errors
    /// Returns the last permission violation of this minute, in one sentence.
    pub fn check_permissions(&self) -> Result<(), String> {
        match self.state.borrow().recent_violation() {
            None => Ok(()),
            Some(text) => Err(format!("permission denied by NATS: {text}")),
        }
    }

    /// Checks that the server accepts messages of [`MIN_MAX_PAYLOAD`] bytes.
    ///
    /// # Errors
    /// Returns the problem in one sentence.
    pub fn check_max_payload(&self) -> Result<(), String> {
        match self.client.max_payload() {
            MIN_MAX_PAYLOAD.. => Ok(()),
            limit => Err(format!(
                "max_payload of nats-server is {limit} bytes: set it to at least {MIN_MAX_PAYLOAD}, or large sources, \
                 results and test cases cannot be stored"
            )),
        }
    }

    /// Returns once the server has processed everything sent before. The client's own flush proves only that the
    /// kernel has the bytes: another connection's messages can still overtake them.
    pub(crate) async fn round_trip(&self) -> Result<(), RequestError> {
        // The subject has no subscribers, and the server answers at once that there are none.
        match self.client.request(self.client.new_inbox(), Bytes::new()).await {
            Err(error) if error.kind() != RequestErrorKind::NoResponders => Err(error),
            _ => Ok(()),
        }
    }
}

/// Parses a list of URLs.
fn servers(urls: &str) -> std::io::Result<Vec<ServerAddr>> {
    let server = |url: &str| {
        let server: ServerAddr = url.trim().parse()?;
        if server.host().is_empty() { Err(std::io::ErrorKind::InvalidInput.into()) } else { Ok(server) }
    };
    urls.split(',').map(server).collect()
}

fn log(event: &Event, is_violation: bool) {
    match event {
        _ if is_violation => {
            error!(%event, "permission denied by NATS: check this user's permissions");
        }
        Event::Connected => info!("connected to NATS"),
        Event::Disconnected => warn!("disconnected from NATS"),
        Event::Draining | Event::Closed => debug!(%event, "NATS client event"),
        other => warn!(event = %other, "NATS client event"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_keeps_only_permission_violations() {
        let mut state = ConnectionState::default();
        for other in [Event::Connected, Event::ServerError(ServerError::Other("stale connection".into()))] {
            assert!(!state.record(&other));
        }
        assert_eq!(state.recent_violation(), None);
        let text = "Permissions Violation for Publish to \"x\"";
        assert!(state.record(&Event::ServerError(ServerError::Other(text.into()))));
        assert_eq!(state.recent_violation(), Some(text));
    }
}
