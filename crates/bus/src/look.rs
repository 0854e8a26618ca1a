//! Looking at the line from outside, for people: nothing here publishes, makes or acknowledges anything.
//!
//! What moves is heard on a plain subscription; what is stored is read with direct gets, which need neither a
//! consumer nor the right to make one, and which a work queue answers, too. So no worker is ever disturbed.

use std::time::{Duration, SystemTime};

use async_nats::{Client, ConnectErrorKind, Event, HeaderMap, ServerError};
use bytes::Bytes;
use tokio::sync::watch;

use crate::connect::{ANSWER_WAIT, Bus, NatsConfig, servers};
use crate::topology::Stream;

mod census;
mod life;
mod present;
mod queue;
mod read;
mod tap;

pub use census::{Census, Fault, Place, StageCount, StreamCount};
pub use life::{Claim, Life};
pub use read::Reader;
pub use tap::{Begin, Item, Tap};

/// How long a connection may take to be made.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// One of the URLs is none.
    #[error("the URL of NATS is not valid")]
    Url(#[source] std::io::Error),
    /// Nobody answers there.
    #[error("NATS cannot be reached")]
    Unreachable(#[source] async_nats::ConnectError),
    /// Nobody answers there in time.
    #[error("NATS does not answer")]
    Silent,
    /// The server does not know us.
    #[error("NATS refuses the credentials")]
    Credentials,
    /// The server knows us, and does not let us.
    #[error("NATS does not let this user: {0}")]
    Denied(String),
    /// There is no `JetStream` there.
    #[error("JetStream is not enabled")]
    NoJetStream,
    /// There is no such stream, so this is not the line's NATS, or the line was never up.
    #[error("the stream {0} is not there")]
    NoStream(&'static str),
    /// There is no such consumer.
    #[error("the consumer {0} is not there")]
    NoConsumer(&'static str),
    /// The server answers what we do not understand.
    #[error("NATS answers {0}")]
    Odd(String),
}

/// A message as it was seen or stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When the server stored it, or when we heard it.
    pub at: SystemTime,
    /// Its subject. Anybody may have sent it, so its tokens may be anything.
    pub subject: String,
    /// Its headers; those that the server adds when it is read are not among them.
    pub headers: Vec<(String, String)>,
    /// What it says.
    pub payload: Bytes,
    /// Its place in its stream; nothing where it was heard and not read.
    pub sequence: Option<u64>,
}

impl Message {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(each, _)| each.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// What has become of the connection.
#[derive(Clone, Debug, Default)]
struct Line {
    /// Counts losses of the connection.
    lost: u64,
    /// Counts connections.
    made: u64,
    /// Counts what the client has dropped because we did not take it in time.
    dropped: u64,
    /// Counts refusals.
    refusals: u64,
    /// The last thing that the server did not let us do.
    refused: Option<String>,
}

/// A connection to look through. Cheap to clone.
#[derive(Clone)]
pub struct Look {
    client: Client,
    line: watch::Receiver<Line>,
}

impl Bus {
    /// Looks through this connection; what the server refuses is then known to the bus alone.
    pub(crate) fn look(&self) -> Look {
        Look { client: self.client.clone(), line: watch::channel(Line::default()).1 }
    }
}

impl Look {
    /// Connects. Unlike a service's, this connection must be there at once; later it comes back by itself.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn connect(config: &NatsConfig) -> Result<Self, LookError> {
        let servers = servers(&config.url).map_err(LookError::Url)?;
        let (news, line) = watch::channel(Line::default());
        let mut options = config.options().map_err(|_| LookError::Credentials)?;
        // The client itself takes no notice of a name and a password in a URL.
        if let Some(server) = servers.iter().find(|server| server.has_user_pass()) {
            let (user, password) =
                (server.username().unwrap_or_default(), server.password().unwrap_or_default());
            options = options.user_and_password(user.to_owned(), password.to_owned());
        }
        let connecting = options
            .name(&config.name)
            .ping_interval(Duration::from_secs(5))
            .request_timeout(Some(ANSWER_WAIT))
            .reconnect_delay_callback(|attempt| {
                Duration::from_millis(50) * u32::try_from(attempt.min(20)).unwrap_or(20)
            })
            .event_callback(move |event| {
                news.send_modify(|line| line.note(&event));
                async {}
            })
            .connect(servers);
        let connected = tokio::time::timeout(CONNECT_WAIT, connecting).await;
        let client = connected.map_err(|_| LookError::Silent)?.map_err(|error| match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                LookError::Credentials
            }
            _ => LookError::Unreachable(error),
        })?;
        Ok(Self { client, line })
    }

    /// The version of the server, as it calls it.
    #[must_use]
    pub fn server_version(&self) -> String {
        self.client.server_info().version
    }

    /// Returns once the server has heard all that we sent so far, a subscription for instance. Whether it lets us
    /// publish is of no matter: a refusal comes after what was sent before it, too.
    async fn settled(&self) -> Result<(), LookError> {
        let mut line = self.line.clone();
        let refusals = line.borrow_and_update().refusals;
        tokio::select! {
            answer = self.client.request(self.client.new_inbox(), Bytes::new()) => match answer {
                Err(error) if error.kind() != async_nats::RequestErrorKind::NoResponders => Err(LookError::Silent),
                _ => Ok(()),
            },
            _ = line.wait_for(|now| now.refusals > refusals) => Ok(()),
        }
    }

    /// The server's refusal to let us hear what this subject brings.
    fn deafness(&self, subject: &str) -> Option<LookError> {
        let line = self.line.borrow();
        let text =
            line.refused.as_ref().filter(|text| text.contains("Subscription") && text.contains(subject))?;
        Some(LookError::Denied(text.clone()))
    }

    /// What a request that was not answered has met: the server's refusal, where it said so.
    fn unanswered(&self, subject: &str) -> LookError {
        match &self.line.borrow().refused {
            Some(text) if text.contains(&format!("\"{subject}\"")) => LookError::Denied(text.clone()),
            _ => LookError::Silent,
        }
    }
}

impl Line {
    fn note(&mut self, event: &Event) {
        match event {
            Event::Connected => self.made += 1,
            Event::Disconnected => self.lost += 1,
            Event::SlowConsumer(_) => self.dropped += 1,
            Event::ServerError(ServerError::Other(text)) if text.contains("ermissions") => {
                self.refusals += 1;
                self.refused = Some(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect());
            }
            _ => {}
        }
    }
}

/// The headers as they were sent. `Nats-` is the server's own; of those only what a publisher has set is told.
fn sent_headers(headers: Option<&HeaderMap>) -> Vec<(String, String)> {
    const ADDED: [&str; 7] = [
        "Nats-Stream",
        "Nats-Subject",
        "Nats-Sequence",
        "Nats-Time-Stamp",
        "Nats-Num-Pending",
        "Nats-Last-Sequence",
        "Nats-UpTo-Sequence",
    ];
    let all = headers.into_iter().flat_map(HeaderMap::iter);
    let pairs = all.flat_map(|(name, values)| {
        values.iter().map(move |value| (name.to_string(), value.as_str().to_owned()))
    });
    let mut sent: Vec<_> = pairs.filter(|(name, _)| !ADDED.contains(&name.as_str())).collect();
    sent.sort();
    sent
}

/// The streams whose messages are a submission's life.
const OF_SUBMISSIONS: [Stream; 4] = [Stream::Queued, Stream::Ready, Stream::Result, Stream::DeadLetter];
