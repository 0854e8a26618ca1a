//! The connection, and what a service needs to know of its health.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{Client, ConnectOptions, Event, RequestError, RequestErrorKind, ServerAddr};
use bytes::Bytes;
use gavel_telemetry::series::Histogram;
use gavel_telemetry::table;
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::identity::{Credentials, InvalidCredentials, Redacted, Tls};
use crate::pull::Pace;
use crate::refusals::Refusals;
use crate::topology::{Durable, Stream, TopologySettings};

/// How long the server may take to answer one request.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// Where NATS is, and who we are to it.
#[derive(Clone, Default)]
pub struct NatsConfig {
    /// One or more server URLs, separated by commas.
    pub url: String,
    /// The name that the server shows for this connection.
    pub name: String,
    /// What the server lets us in with; nothing where it lets in everybody.
    pub credentials: Option<Credentials>,
    /// How TLS is made.
    pub tls: Tls,
    /// What the inboxes of this role begin with, so that no other role may listen to them; nothing for the
    /// client's own choice.
    pub inbox: Option<String>,
    /// Whether streams and consumers that are missing are left to others, who may make them.
    pub only_finds: bool,
}

impl NatsConfig {
    /// Who we are to the server, and how we come to it.
    pub(crate) fn options(&self) -> Result<ConnectOptions, InvalidCredentials> {
        let mut options = self.tls.apply(ConnectOptions::new());
        if let Some(credentials) = &self.credentials {
            options = credentials.apply(options)?;
        }
        if let Some(prefix) = &self.inbox {
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
            .field("inbox", &self.inbox)
            .field("only_finds", &self.only_finds)
            .finish()
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// One of the URLs is none.
    #[error("the URL of NATS is not valid")]
    Url(#[source] std::io::Error),
    /// The credentials are none.
    #[error("the credentials for NATS are not valid")]
    Credentials(#[source] InvalidCredentials),
    /// The client refuses to begin, over the schemes of the URLs for instance.
    #[error("cannot connect to NATS")]
    Connect(#[source] async_nats::ConnectError),
}

/// A connection to NATS that comes back by itself. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    pub(crate) client: Client,
    pub(crate) context: jetstream::Context,
    /// Counts connections; a change means that what was asked of the server before is forgotten there.
    pub(crate) epoch: watch::Receiver<u64>,
    pub(crate) settings: TopologySettings,
    /// Whose figures these are.
    pub(crate) service: &'static str,
    pub(crate) publish_times: Histogram,
    pub(crate) pace: Pace,
    /// Counts the messages in hand.
    pub(crate) in_hand: Arc<AtomicUsize>,
    /// Whether what is missing is not ours to make.
    pub(crate) only_finds: bool,
    refusals: Refusals,
}

impl Bus {
    /// Connects, or starts trying to: a server that is away now is no error, see [`Bus::check`].
    ///
    /// # Errors
    /// [`ConnectError`] where the URLs can never work.
    pub async fn connect(config: &NatsConfig, settings: TopologySettings) -> Result<Self, ConnectError> {
        let servers = servers(&config.url).map_err(ConnectError::Url)?;
        let (epochs, epoch) = watch::channel(0);
        let refusals = Refusals::default();
        let noted = refusals.clone();
        let options = config.options().map_err(ConnectError::Credentials)?;
        let client = options
            .name(&config.name)
            // The default of 60 s leaves a half-open connection unnoticed for minutes.
            .ping_interval(Duration::from_secs(5))
            .retry_on_initial_connect()
            .request_timeout(Some(ANSWER_WAIT))
            .reconnect_delay_callback(|attempt| {
                Duration::from_millis(50) * u32::try_from(attempt.min(20)).unwrap_or(20)
            })
            .event_callback(move |event| {
                if matches!(event, Event::Connected | Event::Disconnected) {
                    epochs.send_modify(|epoch| *epoch += 1);
                }
                let is_refusal = noted.note(&event);
                async move { log(&event, is_refusal) }
            })
            .connect(servers)
            .await
            .map_err(ConnectError::Connect)?;
        let context = ContextBuilder::new().timeout(ANSWER_WAIT).build(client.clone());
        let service = gavel_telemetry::service_of(&config.name);
        let (pace, in_hand, only_finds) = (Pace::default(), Arc::default(), config.only_finds);
        let publish_times = table::PUBLISH_SECONDS.series([service]);
        Ok(Self {
            client,
            context,
            epoch,
            settings,
            service,
            publish_times,
            pace,
            in_hand,
            only_finds,
            refusals,
        })
    }

    /// Whether the connection is up at this moment.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Returns once the connection is up.
    pub async fn until_connected(&self) {
        let mut epoch = self.epoch.clone();
        while !self.is_connected() && epoch.changed().await.is_ok() {}
    }

    /// How many messages are in hand at this moment, over all loops of this connection.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.in_hand.load(Ordering::Relaxed)
    }

    /// Whether the server has let us do all that we tried in the last minute, for `/readyz`.
    ///
    /// # Errors
    /// The last refusal, in one plain sentence.
    pub fn permitted(&self) -> Result<(), String> {
        self.refusals.last().map_or(Ok(()), |text| Err(format!("NATS does not let us: {text}")))
    }

    /// Makes the streams and consumers that are missing, and leaves those that exist as they are. It keeps
    /// trying until the server is there. Where that is left to others it does nothing.
    pub async fn ensure_topology(&self) {
        if self.only_finds {
            return;
        }
        let mut tries = 0_u32;
        while let Err(error) = self.make_missing().await {
            // The first tries mostly meet a connection that is just being made.
            if tries % 20 == 4 {
                warn!(%error, "cannot make streams and consumers yet, trying again");
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    async fn make_missing(&self) -> Result<(), async_nats::Error> {
        if !self.is_connected() {
            return Err("NATS is not connected".into());
        }
        for stream in Stream::ALL {
            self.context.get_or_create_stream(stream.config(&self.settings)).await?;
        }
        for durable in Durable::ALL {
            let stream = self.context.get_stream_no_info(durable.stream().name()).await?;
            stream.get_or_create_consumer(durable.name(), durable.config(&self.settings)).await?;
        }
        Ok(())
    }

    /// Has the server take what is still buffered; the last thing that a service does.
    pub async fn flush(&self) {
        if self.round_trip().await.is_err() {
            warn!("NATS did not take the last messages; what they settled comes back");
        }
    }

    /// Returns once the server has processed what was sent before. The client's own flush says only that the
    /// bytes are with the kernel: another connection's messages can still overtake them.
    pub(crate) async fn round_trip(&self) -> Result<(), RequestError> {
        // To a subject that nobody listens to, which the server says at once.
        match self.client.request(self.client.new_inbox(), Bytes::new()).await {
            Err(error) if error.kind() != RequestErrorKind::NoResponders => Err(error),
            _ => Ok(()),
        }
    }
}

/// The servers of a list of URLs.
pub(crate) fn servers(urls: &str) -> std::io::Result<Vec<ServerAddr>> {
    let server = |url: &str| {
        let server: ServerAddr = url.trim().parse()?;
        if server.host().is_empty() { Err(std::io::ErrorKind::InvalidInput.into()) } else { Ok(server) }
    };
    urls.split(',').map(server).collect()
}

fn log(event: &Event, is_refusal: bool) {
    match event {
        _ if is_refusal => {
            error!(%event, "NATS does not let us; is this the right user, and its permissions?");
        }
        Event::Connected => info!("NATS connected"),
        Event::Disconnected => warn!("NATS disconnected"),
        Event::Draining | Event::Closed => debug!(%event, "NATS"),
        other => warn!(event = %other, "NATS"),
    }
}
