//! A service's connection to the bus, and the streams and consumers it works on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::context::{ContextBuilder, CreateStreamError, CreateStreamErrorKind};
use async_nats::jetstream::stream::DiscardPolicy;
use async_nats::jetstream::{self, stream};
use gavel_telemetry::series::{Counter, Histogram, Known};
use gavel_telemetry::table;
use tokio::sync::watch;
use tracing::{error, warn};

use crate::connection::{ConnectError, Connection, ConnectionState, NatsConfig};
use crate::refusal::is_full;
use crate::timing::{PullTiming, REQUEST_TIMEOUT};
use crate::topology::{Durable, Stream, TopologySettings};

/// A connection that publishes and consumes. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    pub(crate) client: Client,
    pub(crate) context: jetstream::Context,
    pub(crate) state: watch::Receiver<ConnectionState>,
    pub(crate) settings: TopologySettings,
    /// The service in the labels of the metrics.
    pub(crate) service: &'static str,
    pub(crate) publish_times: Histogram,
    /// By schema and result.
    pub(crate) published: Arc<Known<(&'static str, &'static str), Counter>>,
    pub(crate) pull_timing: PullTiming,
    /// Counts the messages in progress.
    pub(crate) in_progress: Arc<AtomicUsize>,
    /// Whether someone else creates streams and consumers.
    pub(crate) is_topology_managed: bool,
    /// Why the streams cannot be created, if they cannot.
    topology_problem: Arc<watch::Sender<Option<String>>>,
    connection: Connection,
}

/// Why streams and consumers cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// There is no connection.
    #[error("not connected to NATS")]
    Disconnected,
    /// The server may not use that much space.
    #[error(
        "nats-server has too little space for streams of {0} bytes together: set NATS_STORE_BYTES to less, or give \
         nats-server more (its max_file_store is by default 75 % of the free disk space)"
    )]
    NoSpace(u64),
    /// The server does not create them.
    #[error("{0}")]
    Failed(#[from] async_nats::Error),
}

/// An optional stream that nats-server has no space for: one sentence, with the consequence and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "nats-server has no space for stream {} of {bytes} bytes, so {effect}: give it more (max_file_store)",
    .stream.name()
)]
pub struct MissingStream {
    /// The stream.
    pub stream: Stream,
    bytes: i64,
    effect: &'static str,
}

impl TopologyError {
    fn of_stream(error: CreateStreamError, settings: &TopologySettings) -> Self {
        match error.kind() {
            CreateStreamErrorKind::JetStream(refusal) if is_full(refusal.error_code()) => {
                Self::NoSpace(settings.store_bytes)
            }
            _ => Self::Failed(error.into()),
        }
    }
}

impl Bus {
    /// Connects in the background: an unreachable server is not an error, see [`Bus::check_stream`].
    ///
    /// # Errors
    /// Returns an error if the URLs or the credentials can never work.
    pub async fn connect(config: &NatsConfig, settings: TopologySettings) -> Result<Self, ConnectError> {
        let connection = Connection::open(config).await?;
        let client = connection.client().clone();
        let service = gavel_telemetry::service_of(&config.name);
        Ok(Self {
            context: ContextBuilder::new().timeout(REQUEST_TIMEOUT).build(client.clone()),
            client,
            state: connection.state(),
            settings,
            service,
            publish_times: table::PUBLISH_SECONDS.series([service]),
            published: Arc::default(),
            pull_timing: PullTiming::default(),
            in_progress: Arc::default(),
            is_topology_managed: config.is_topology_managed,
            topology_problem: Arc::default(),
            connection,
        })
    }

    /// The connection to NATS.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether the connection is up at this moment.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection.is_connected()
    }

    /// How many messages are in progress at this moment, over all consumer loops of this connection.
    #[must_use]
    pub fn in_progress(&self) -> usize {
        self.in_progress.load(Ordering::Relaxed)
    }

    /// Creates the streams and consumers that are missing. Those that exist stay as they are, except that what a later version
    /// needs is added: subjects, and the policy for full streams of dead letters. It retries until it succeeds. If the topology
    /// is managed elsewhere, it does nothing.
    ///
    /// Returns the optional streams that nats-server has no space for.
    pub async fn ensure_topology(&self) -> Vec<MissingStream> {
        if self.is_topology_managed {
            return Vec::new();
        }
        let mut attempts = 0_u32;
        loop {
            let error = match self.create_missing().await {
                Ok(missing) => {
                    self.topology_problem.send_replace(None);
                    return missing;
                }
                Err(error) => error,
            };
            match error {
                TopologyError::NoSpace(_) if attempts.is_multiple_of(20) => error!("{error}"),
                // The first attempts mostly meet a connection that is still being established.
                TopologyError::Disconnected | TopologyError::Failed(_) if attempts % 20 == 4 => {
                    warn!(%error, "cannot create streams and consumers yet: retrying");
                }
                _ => {}
            }
            self.topology_problem.send_replace(Some(error.to_string()));
            attempts += 1;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Checks that nothing prevents the creation of streams and consumers, for `/readyz`.
    ///
    /// # Errors
    /// Returns the problem of the last attempt in one sentence.
    pub fn check_topology(&self) -> Result<(), String> {
        self.topology_problem.borrow().clone().map_or(Ok(()), Err)
    }

    /// Returns the optional streams that the server has no space for.
    async fn create_missing(&self) -> Result<Vec<MissingStream>, TopologyError> {
        if !self.is_connected() {
            return Err(TopologyError::Disconnected);
        }
        let mut missing = Vec::new();
        for stream in Stream::ALL {
            let config = stream.config(&self.settings);
            let existing = self.context.get_or_create_stream(config.clone()).await;
            let existing = existing.map_err(|error| TopologyError::of_stream(error, &self.settings));
            let existing = match (existing, stream.effect_if_missing()) {
                (Err(TopologyError::NoSpace(_)), Some(effect)) => {
                    missing.push(MissingStream { stream, bytes: config.max_bytes, effect });
                    continue;
                }
                (existing, _) => existing?,
            };
            if let Some(config) = with_additions(&existing.cached_info().config, config) {
                self.context.update_stream(config).await.map_err(async_nats::Error::from)?;
            }
        }
        for durable in Durable::ALL {
            let stream = self.context.get_stream_no_info(durable.stream().name()).await;
            let stream = stream.map_err(async_nats::Error::from)?;
            let consumer =
                stream.get_or_create_consumer(durable.name(), durable.config(&self.settings)).await;
            consumer.map_err(async_nats::Error::from)?;
        }
        Ok(missing)
    }

    /// Waits until the server has processed everything sent before; the last thing that a service does.
    pub async fn flush(&self) {
        if self.connection.round_trip().await.is_err() {
            warn!("NATS did not confirm the last messages: unacknowledged events will be delivered again");
        }
    }
}

/// Returns the configuration of an existing stream with what an earlier version did not have; `None` if it has everything.
fn with_additions(existing: &stream::Config, wanted: stream::Config) -> Option<stream::Config> {
    let mut config = existing.clone();
    config
        .subjects
        .extend(wanted.subjects.into_iter().filter(|subject| !existing.subjects.contains(subject)));
    config.allow_message_ttl |= wanted.allow_message_ttl;
    if wanted.discard == DiscardPolicy::Old {
        config.discard = wanted.discard;
    }
    (config != *existing).then_some(config)
}
