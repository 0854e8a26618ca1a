//! Everything that a run starts: servers, the Convex double, the services, and a connection of our own.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use async_nats::jetstream::{self, consumer, stream};
use gavel_bus::topology::{Durable, Stream};
use gavel_mock_convex::{Limits, MockConvex};
use gavel_testkit::{NatsServer, wait_until};
use tokio::sync::{Mutex, MutexGuard};

use crate::journal::Journal;
use crate::plan::{Asked, Target};
use crate::programs;
use crate::service::Service;

/// Longer than a start takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long one request to the server may take.
const ANSWER_WAIT: Duration = Duration::from_secs(3);

/// The line at work.
#[derive(Debug)]
pub(crate) struct World {
    // Dropped before what they are connected to.
    pub(crate) services: Vec<Service>,
    pub(crate) convex: MockConvex,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) servers: Vec<NatsServer>,
    /// The servers' own addresses, where nothing is cut.
    pub(crate) urls: String,
    pub(crate) http: reqwest::Client,
    pub(crate) journal: Journal,
    turns: BTreeMap<Target, Mutex<()>>,
}

impl World {
    /// Starts all of it; returns once submissions are taken.
    pub(crate) async fn start(asked: &Asked, journal: &Journal) -> Result<Self> {
        let servers = if asked.cluster {
            NatsServer::start_cluster(3).await?
        } else {
            vec![NatsServer::builder().try_start().await?]
        };
        let convex = MockConvex::start_local(programs::questions()).await?;
        convex.seed(asked.seed);
        // Each call is part of the proof.
        convex.set_limits(Limits { calls: usize::MAX, call_bytes: 2 << 30, ..Limits::default() });
        let urls: Vec<String> = servers.iter().map(NatsServer::url).collect();
        let addresses: Result<Vec<async_nats::ServerAddr>, _> = urls.iter().map(|url| url.parse()).collect();
        let urls = urls.join(",");
        let client = async_nats::ConnectOptions::new()
            .name("chaos")
            .ping_interval(Duration::from_secs(2))
            .request_timeout(Some(ANSWER_WAIT))
            .connect(addresses?)
            .await?;
        let jetstream = jetstream::context::ContextBuilder::new().timeout(ANSWER_WAIT).build(client);
        let mut services = Vec::new();
        for target in Target::all(asked.cluster).into_iter().filter(|target| target.is_service()) {
            services.push(Service::start(target, &servers, &convex.url(), journal).await?);
        }
        let turns = Target::all(asked.cluster).into_iter().map(|target| (target, Mutex::default())).collect();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
        let world =
            Self { services, convex, jetstream, servers, urls, http, journal: journal.clone(), turns };
        world.wait_ready().await?;
        Ok(world)
    }

    /// Waits until every service says that it is ready.
    pub(crate) async fn wait_ready(&self) -> Result<()> {
        for service in &self.services {
            let ready = async || service.is_ready(&self.http).await;
            wait_until(&format!("{} to be ready", service.target), PATIENCE, ready).await?;
        }
        Ok(())
    }

    /// The right to harm a process. What the last fault takes longer than planned on a slow machine, the next one waits.
    pub(crate) async fn turn(&self, target: Target) -> Option<MutexGuard<'_, ()>> {
        Some(self.turns.get(&target)?.lock().await)
    }

    pub(crate) fn service(&self, target: Target) -> Result<&Service> {
        let found = self.services.iter().find(|service| service.target == target);
        found.with_context(|| format!("{target} is not a service"))
    }

    pub(crate) fn server(&self, target: Target) -> Result<&NatsServer> {
        let found = target.number.checked_sub(1).and_then(|place| self.servers.get(place));
        found.filter(|_| !target.is_service()).with_context(|| format!("{target} is not a server"))
    }

    /// The ingress.
    pub(crate) fn ingress(&self) -> &Service {
        &self.services[0]
    }

    pub(crate) async fn stream_info(&self, stream: Stream) -> Result<stream::Info> {
        let stream = self.jetstream.get_stream(stream.name()).await?;
        Ok(stream.cached_info().clone())
    }

    pub(crate) async fn consumer_info(&self, durable: Durable) -> Result<consumer::Info> {
        let stream = self.jetstream.get_stream_no_info(durable.stream().name()).await?;
        Ok(stream.consumer_info(durable.name()).await?)
    }

    /// The last message on a subject.
    pub(crate) async fn last_on(
        &self,
        stream: Stream,
        subject: &str,
    ) -> Result<Option<jetstream::message::StreamMessage>> {
        let stream = self.jetstream.get_stream(stream.name()).await?;
        match stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == stream::LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => bail!(error),
        }
    }

    /// Ends everything in peace, so that nothing of it stays behind.
    pub(crate) async fn stop(&self) {
        futures::future::join_all(self.services.iter().map(Service::stop)).await;
        self.convex.shutdown().await;
    }
}
