//! A service's connection to the bus, and the streams and consumers it works on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::{self, context::ContextBuilder};
use gavel_telemetry::series::Histogram;
use gavel_telemetry::table;
use tokio::sync::watch;
use tracing::warn;

use crate::connection::{ConnectError, Connection, ConnectionState, NatsConfig};
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
    pub(crate) pull_timing: PullTiming,
    /// Counts the messages in progress.
    pub(crate) in_progress: Arc<AtomicUsize>,
    /// Whether someone else creates streams and consumers.
    pub(crate) is_topology_managed: bool,
    connection: Connection,
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
            pull_timing: PullTiming::default(),
            in_progress: Arc::default(),
            is_topology_managed: config.is_topology_managed,
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

    /// Creates the streams and consumers that are missing, and leaves those that exist as they are. It retries until it
    /// succeeds. If the topology is managed elsewhere, it does nothing.
    pub async fn ensure_topology(&self) {
        if self.is_topology_managed {
            return;
        }
        let mut attempts = 0_u32;
        while let Err(error) = self.create_missing().await {
            // The first attempts mostly meet a connection that is still being established.
            if attempts % 20 == 4 {
                warn!(%error, "cannot create streams and consumers yet: retrying");
            }
            attempts += 1;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    async fn create_missing(&self) -> Result<(), async_nats::Error> {
        if !self.is_connected() {
            return Err("not connected to NATS".into());
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

    /// Waits until the server has processed everything sent before; the last thing that a service does.
    pub async fn flush(&self) {
        if self.connection.round_trip().await.is_err() {
            warn!("NATS did not confirm the last messages: unacknowledged events will be delivered again");
        }
    }
}
