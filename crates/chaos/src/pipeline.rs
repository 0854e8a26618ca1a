//! The processes of a run: servers, mock Convex and the services; and the run's own connection to NATS.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use async_nats::jetstream::{self, consumer, stream};
use futures::TryStreamExt as _;
use gavel_bus::topology::{Durable, Stream, TopologySettings};
use gavel_mock_convex::{Limits, MockConvex};
use gavel_testkit::{NatsServer, SmallDisk, rig, wait_until};
use tokio::sync::{Mutex, MutexGuard};

use crate::plan::{CallbackOrder, RunOptions, Target};
use crate::programs;
use crate::releases::Releases;
use crate::run_log::RunLog;
use crate::service::Service;

/// How long a service may take to become ready on a busy machine.
const READY_TIMEOUT: Duration = Duration::from_mins(2);
/// How long a service may be silent before its work is given to another; the services' `ACK_WAIT_MS` repeats it.
const ACK_WAIT: Duration = Duration::from_secs(2);
/// The timeout of one request to NATS.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// The running pipeline.
#[derive(Debug)]
pub(crate) struct Pipeline {
    // The first field, so that services are dropped before the servers they are connected to.
    pub(crate) services: Vec<Service>,
    pub(crate) convex: MockConvex,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) servers: Vec<NatsServer>,
    /// The addresses of the servers themselves, without the proxies that faults act on.
    pub(crate) urls: String,
    pub(crate) http: reqwest::Client,
    pub(crate) run_log: RunLog,
    pub(crate) order: CallbackOrder,
    locks: BTreeMap<Target, Mutex<()>>,
    pub(crate) releases: Releases,
    /// The judges read it at each start.
    _languages: tempfile::NamedTempFile,
}

impl Pipeline {
    /// Starts all processes, and returns once every service is ready.
    pub(crate) async fn start(options: &RunOptions, run_log: &RunLog) -> Result<Self> {
        let servers = if options.cluster {
            NatsServer::start_cluster(3).await?
        } else {
            vec![start_server(options, run_log).await?]
        };
        let replicas = servers.len();
        let topology = TopologySettings { replicas, ack_wait: ACK_WAIT, ..TopologySettings::default() };
        let created = async { rig::connect(&servers[0], topology).await.ensure_topology().await };
        tokio::time::timeout(READY_TIMEOUT, created).await.context("cannot create the streams")?;
        let convex = MockConvex::start_local(programs::questions()).await?;
        convex.seed(options.seed);
        if options.order == CallbackOrder::Guarded {
            convex.guard_order();
        }
        // The checks need every call.
        convex.set_limits(Limits { calls: usize::MAX, call_bytes: 2 << 30, ..Limits::default() });
        let urls: Vec<String> = servers.iter().map(NatsServer::url).collect();
        let addresses: Result<Vec<async_nats::ServerAddr>, _> = urls.iter().map(|url| url.parse()).collect();
        let urls = urls.join(",");
        let client = async_nats::ConnectOptions::new()
            .name("chaos")
            .ping_interval(Duration::from_secs(2))
            .request_timeout(Some(REQUEST_TIMEOUT))
            .connect(addresses?)
            .await?;
        let jetstream = jetstream::context::ContextBuilder::new().timeout(REQUEST_TIMEOUT).build(client);
        let languages = tempfile::NamedTempFile::new()?;
        std::fs::write(&languages, programs::other_languages())?;
        let releases = Releases::new(options.previous.as_deref())?;
        let mut services = Vec::new();
        for target in Target::all(options.cluster).into_iter().filter(|target| target.is_service()) {
            let (convex, languages) = (convex.url(), languages.path());
            let service =
                Service::start(target, &servers, &convex, options.order, languages, &releases, run_log);
            services.push(service.await?);
        }
        let locks =
            Target::all(options.cluster).into_iter().map(|target| (target, Mutex::default())).collect();
        let http = gavel_http::client().timeout(Duration::from_secs(10)).build()?;
        let (run_log, order) = (run_log.clone(), options.order);
        let pipeline = Self {
            services,
            convex,
            jetstream,
            servers,
            urls,
            http,
            run_log,
            order,
            locks,
            releases,
            _languages: languages,
        };
        pipeline.wait_ready().await?;
        Ok(pipeline)
    }

    /// Waits until every service is ready.
    pub(crate) async fn wait_ready(&self) -> Result<()> {
        for service in &self.services {
            let ready = async || service.is_ready(&self.http).await;
            wait_until(&format!("{} to be ready", service.target), READY_TIMEOUT, ready).await?;
        }
        Ok(())
    }

    /// Waits for the lock on a process, so that only one fault at a time acts on it. On a slow machine a fault may
    /// take longer than planned; the next one waits for it.
    pub(crate) async fn lock(&self, target: Target) -> Option<MutexGuard<'_, ()>> {
        Some(self.locks.get(&target)?.lock().await)
    }

    pub(crate) fn service(&self, target: Target) -> Result<&Service> {
        let found = self.services.iter().find(|service| service.target == target);
        found.with_context(|| format!("{target} is not a service"))
    }

    pub(crate) fn server(&self, target: Target) -> Result<&NatsServer> {
        let found = target.number.checked_sub(1).and_then(|index| self.servers.get(index));
        found.filter(|_| !target.is_service()).with_context(|| format!("{target} is not a server"))
    }

    /// Returns the ingress.
    pub(crate) fn ingress(&self) -> &Service {
        &self.services[0]
    }

    pub(crate) async fn stream_info(&self, stream: Stream) -> Result<stream::Info> {
        let stream = self.jetstream.get_stream(stream.name()).await?;
        Ok(stream.cached_info().clone())
    }

    /// Returns the subjects of the events in a stream.
    pub(crate) async fn event_subjects(&self, stream: Stream) -> Result<Vec<String>> {
        let stream = self.jetstream.get_stream_no_info(stream.name()).await?;
        let subjects = stream.info_with_subjects("submission.>").await?;
        Ok(subjects.map_ok(|(subject, _)| subject).try_collect().await?)
    }

    pub(crate) async fn consumer_info(&self, durable: Durable) -> Result<consumer::Info> {
        let stream = self.jetstream.get_stream_no_info(durable.stream().name()).await?;
        Ok(stream.consumer_info(durable.name()).await?)
    }

    /// Returns the last message on a subject, or `None` if there is none.
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

    /// Records as violations what a role of the deployment has tried without permission.
    pub(crate) fn check_permissions(&self) {
        for refusal in self.servers.iter().flat_map(NatsServer::violations) {
            self.run_log.violation(format_args!("accounts.conf does not permit it: {refusal}"));
        }
    }

    /// Shuts all processes down, so that none is left running.
    pub(crate) async fn stop(&self) {
        futures::future::join_all(self.services.iter().map(Service::stop)).await;
        self.convex.shutdown().await;
    }
}

/// Starts a server with a store on a small disk. Without root, which the disk needs, it has an ordinary store, and the disk
/// cannot fill up.
async fn start_server(options: &RunOptions, run_log: &RunLog) -> Result<NatsServer> {
    let builder = NatsServer::builder().with_roles();
    let bytes = (128 << 20) + (32 << 10) * options.submissions as u64;
    let builder = match SmallDisk::mount(bytes.min(2 << 30)).await {
        Ok(disk) => builder.disk(disk),
        Err(error) => {
            run_log.info(format_args!("no disk of NATS will be full: {error}"));
            builder
        }
    };
    Ok(builder.try_start().await?)
}
