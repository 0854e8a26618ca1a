//! What most tests of services start with: a server with Gavel's streams, connections to it, and mock Convex.

use std::{ffi::OsStr, path::Path, time::Duration};

use gavel_bus::topology::TopologySettings;
use gavel_bus::{Bus, NatsConfig, Outgoing, Stored, Trace};
use gavel_mock_convex::{MockConvex, Question};

use crate::{Events, JetStream, NatsServer, ServiceProcess, TEST_TIMEOUT, process};

/// A server with streams and consumers, a connection to it as a service has one, and mock Convex.
pub struct Rig {
    /// A connection as services have it, but with all permissions.
    pub bus: Bus,
    /// A connection as operators have it.
    pub jetstream: JetStream,
    /// Mock Convex.
    pub convex: MockConvex,
    /// The server.
    pub nats: NatsServer,
    topology: TopologySettings,
}

impl Rig {
    /// A rig with the default topology and no questions.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A rig that differs from the default one.
    pub fn builder() -> Builder {
        // Small enough for any disk.
        let topology = TopologySettings { store_bytes: 1 << 30, ..TopologySettings::default() };
        Builder { nats: None, topology, questions: Vec::new() }
    }

    /// Opens another connection, as another service has it.
    ///
    /// # Panics
    /// Panics if the server does not answer within [`TEST_TIMEOUT`].
    pub async fn connect(&self) -> Bus {
        let bus = connect(&self.nats, self.topology).await;
        let connected = tokio::time::timeout(TEST_TIMEOUT, bus.connection().wait_connected()).await;
        connected.expect("a server that answers");
        bus
    }

    /// Publishes an event and returns what the server made of it.
    ///
    /// # Panics
    /// Panics if it cannot be published.
    pub async fn publish(&self, event: impl Into<Outgoing>) -> Stored {
        self.publish_with(event, &Trace::default()).await
    }

    /// Publishes an event with the headers of a request.
    ///
    /// # Panics
    /// Panics if it cannot be published.
    pub async fn publish_with(&self, event: impl Into<Outgoing>, trace: &Trace) -> Stored {
        let stored = self.bus.publish(&event.into(), trace, TEST_TIMEOUT).await;
        stored.unwrap_or_else(|error| panic!("cannot publish: {error}"))
    }

    /// Subscribes to the events of all submissions.
    pub async fn events(&self) -> Events {
        Events::subscribe(&self.jetstream).await
    }

    /// A service of this rig: its server, its role, its mock Convex and its topology are set.
    ///
    /// # Panics
    /// Panics if the program is not one of the services.
    #[must_use]
    pub fn service(&self, program: impl AsRef<Path>) -> process::Builder {
        let name = program.as_ref().file_name().and_then(OsStr::to_str).unwrap_or_default();
        let role = name.strip_prefix("gavel-").expect("the program of a service");
        ServiceProcess::builder(&program, &self.nats.url())
            .envs(self.nats.login(role))
            .env("CONVEX_SITE_URL", self.convex.url())
            .env("ACK_WAIT_MS", self.topology.ack_wait.as_millis().to_string())
    }
}

/// How a rig differs from the default one.
#[derive(Debug)]
#[must_use = "it does nothing until it is started"]
pub struct Builder {
    nats: Option<NatsServer>,
    topology: TopologySettings,
    questions: Vec<Question>,
}

impl Builder {
    /// Uses this server; a new one with the users of the deployment unless set.
    pub fn nats(mut self, nats: NatsServer) -> Self {
        self.nats = Some(nats);
        self
    }

    /// Makes the streams and consumers with these settings.
    pub fn topology(mut self, topology: TopologySettings) -> Self {
        self.topology = topology;
        self
    }

    /// Sets the time after which an unacknowledged message is delivered again; 15 s unless set.
    pub fn ack_wait(mut self, ack_wait: Duration) -> Self {
        self.topology.ack_wait = ack_wait;
        self
    }

    /// Gives mock Convex these questions.
    pub fn questions(mut self, questions: Vec<Question>) -> Self {
        self.questions = questions;
        self
    }

    /// Starts it; returns once the streams and consumers exist.
    ///
    /// # Panics
    /// Panics if a part does not start.
    pub async fn start(self) -> Rig {
        let nats = match self.nats {
            Some(nats) => nats,
            None => NatsServer::builder().with_roles().start().await,
        };
        let bus = connect(&nats, self.topology).await;
        bus.ensure_topology().await;
        let jetstream = JetStream::connect(&nats).await;
        let convex = MockConvex::start_local(self.questions).await.expect("a free port for mock Convex");
        Rig { bus, jetstream, convex, nats, topology: self.topology }
    }
}

/// Connects to a server as the test itself, which may do everything.
///
/// # Panics
/// Panics if the address is invalid.
pub async fn connect(nats: &NatsServer, topology: TopologySettings) -> Bus {
    let config = NatsConfig { url: nats.url(), name: "test".to_owned(), ..NatsConfig::default() };
    Bus::connect(&config, topology).await.unwrap_or_else(|error| panic!("cannot connect to NATS: {error}"))
}
