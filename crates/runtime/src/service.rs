//! A service as a process runs it: a port, a connection to NATS, consumers, and the order in which they stop.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::{Router, middleware};
use futures::future::{BoxFuture, join_all};
use gavel_bus::topology::{Durable, Stream};
use gavel_bus::{Bus, ConsumeSettings, Handler, consume, end_expiring};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::expiry::{UntakenSubmissions, UntakenVerdicts};
use crate::health::{self, Check, consumer_health};
use crate::heartbeat::{Identity, ServiceInfo, publish_heartbeats};
use crate::http::measure::{Requests, measure};
use crate::http::server;
use crate::nats::local_key;
use crate::stream_probes::StreamProbes;
use crate::telemetry::prometheus::{self, Metrics, UPKEEP_INTERVAL};
use crate::{Lifecycle, Misconfigured, ServiceConfig};

/// How often to check for missing streams and consumers: a server that has lost its store restarts without them.
const TOPOLOGY_CHECK_INTERVAL: Duration = Duration::from_secs(10);

type Routes = Box<dyn FnOnce(Router) -> Router + Send>;
type Consumer = Box<dyn FnOnce(Lifecycle) -> BoxFuture<'static, ()> + Send>;

/// A service that is bound to its port. Nothing is served or consumed before [`Service::run`].
pub struct Service {
    /// The connection to NATS; it may not be up yet.
    pub bus: Bus,
    /// What the heartbeats report.
    pub info: ServiceInfo,
    name: &'static str,
    identity: Identity,
    listener: TcpListener,
    metrics: Metrics,
    checks: Vec<Check>,
    routes: Routes,
    consumers: Vec<Consumer>,
    tasks: Vec<BoxFuture<'static, ()>>,
}

impl Service {
    /// Binds the port and starts to connect to NATS.
    ///
    /// # Errors
    /// Returns an error if the port is taken, or if the NATS URL or credentials are invalid. An unreachable server is
    /// not an error: the connection is retried.
    pub async fn bind(config: &ServiceConfig) -> anyhow::Result<Self> {
        // Values that are set before the recorder is installed are lost.
        prometheus::install();
        let listen = config.http.listen;
        let listener = server::listen(listen).map_err(|error| cannot_listen(listen, error))?;
        let bus = Bus::connect(&local_key::add(config.nats.clone()), config.topology).await;
        // An unreachable server is not an error here.
        let bus = bus.context(Misconfigured("cannot use the settings of NATS".to_owned()))?;
        Ok(Self {
            info: ServiceInfo::default(),
            name: config.service,
            identity: Identity::new(config),
            listener,
            metrics: Metrics::new(config.service, bus.clone()),
            checks: Vec::new(),
            routes: Box::new(std::convert::identity),
            consumers: Vec::new(),
            tasks: Vec::new(),
            bus,
        })
    }

    /// Returns the address that the service listens on.
    ///
    /// # Errors
    /// Returns an error if the operating system cannot report the address.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Adds a consumer that handles up to `slots` messages at a time. With `max_deliveries`, a message that was
    /// delivered that often without a result becomes a dead letter.
    pub fn consume<H: Handler>(
        &mut self,
        durable: Durable,
        slots: usize,
        max_deliveries: Option<u64>,
        handler: H,
    ) {
        let (state, check) = consumer_health(durable.name());
        self.checks.push(check);
        let bus = self.bus.clone();
        self.consumers.push(Box::new(move |lifecycle| {
            let Lifecycle { stop, abort } = lifecycle;
            let settings = ConsumeSettings { durable, slots, max_deliveries, stop, abort };
            Box::pin(consume(bus, Arc::new(handler), settings, state))
        }));
    }

    /// Makes the readiness depend on whether these streams, which the service publishes to, store messages.
    pub fn probe_streams(&mut self, streams: &[Stream]) {
        let probes = StreamProbes::new(self.name, streams);
        self.checks.push(probes.check());
        self.tasks.push(Box::pin(probes.run(self.bus.clone())));
    }

    /// Ends the queued submissions that no fetcher takes until their stream would soon delete them.
    pub fn end_expiring_submissions(&mut self) {
        let handler =
            Arc::new(UntakenSubmissions::new(self.bus.clone(), self.name, self.identity.instance()));
        self.add_task(end_expiring(self.bus.clone(), Durable::Fetcher, handler));
    }

    /// Makes dead letters of the verdicts that no reporter takes until their stream would soon delete them.
    pub fn end_expiring_verdicts(&mut self) {
        let handler = Arc::new(UntakenVerdicts::new(self.bus.clone(), self.identity.instance()));
        self.add_task(end_expiring(self.bus.clone(), Durable::ReporterJudged, handler));
    }

    /// Makes `/metrics` of this service include the queues of all services.
    pub fn measure_queues(&mut self) {
        self.metrics.measure_queues();
    }

    /// Adds a check to `/readyz` and to the problems in the heartbeats.
    pub fn add_check(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// Returns the checks of `/readyz`.
    pub(crate) fn checks(&self) -> Vec<Check> {
        let server = server_check(self.bus.clone());
        self.checks.iter().cloned().chain([server]).collect()
    }

    /// Sets the routes of the service; `routes` is given the router of `/healthz` and `/readyz`.
    pub fn set_routes(&mut self, routes: impl FnOnce(Router) -> Router + Send + 'static) {
        self.routes = Box::new(routes);
    }

    /// Adds a task that runs until the service has stopped.
    pub fn add_task(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(Box::pin(task));
    }

    /// Serves and consumes until `lifecycle` stops it, then lets open requests finish and flushes the connection.
    /// Streams and consumers that are missing in NATS are created meanwhile, unless the configuration forbids it.
    ///
    /// # Errors
    /// Returns an error if the operating system cannot report the address of the listener.
    pub async fn run(self, lifecycle: Lifecycle) -> anyhow::Result<()> {
        info!(service = self.name, address = %self.address()?, "listening");
        let checks = self.checks();
        let Self { bus, info, name, identity, listener, metrics, routes, consumers, tasks, .. } = self;
        let requests = Arc::new(Requests::new(name));
        let measure = middleware::from_fn(move |request, next| measure(Arc::clone(&requests), request, next));
        let router = routes(health::router(checks.clone())).merge(metrics.route()).layer(measure);

        let mut background = JoinSet::new();
        background.spawn(keep_topology(bus.clone()));
        background.spawn(log_max_payload(bus.clone()));
        background.spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP_INTERVAL).await;
                metrics.run_upkeep();
            }
        });
        background.spawn(publish_heartbeats(bus.clone(), identity, info, checks));
        for task in tasks {
            background.spawn(task);
        }

        let drain = CancellationToken::new();
        let work = async {
            if consumers.is_empty() {
                lifecycle.stop.cancelled().await;
            } else {
                join_all(consumers.into_iter().map(|consumer| consumer(lifecycle.clone()))).await;
            }
            drain.cancel();
        };
        tokio::join!(server::serve(listener, router, drain.clone()), work);
        background.abort_all();
        bus.flush().await;
        info!("stopped");
        Ok(())
    }
}

/// The address may be free at the next start, unless this machine does not have it or permits it to root only.
fn cannot_listen(address: SocketAddr, error: io::Error) -> anyhow::Error {
    let remedy = match error.kind() {
        ErrorKind::AddrNotAvailable => "set BIND_ADDRESS to an address of this machine, or to 0.0.0.0",
        ErrorKind::PermissionDenied => {
            "set PORT to 1024 or above, or run the service with CAP_NET_BIND_SERVICE"
        }
        _ => return anyhow::Error::new(error).context(format!("cannot listen on {address}")),
    };
    anyhow::Error::new(error).context(Misconfigured(format!("cannot listen on {address}; {remedy}")))
}

/// Fails while NATS denies a permission that the service needs, or is configured in a way that it cannot work with.
fn server_check(bus: Bus) -> Check {
    health::check(move || {
        let connection = bus.connection();
        let checks = [connection.check_permissions(), connection.check_max_payload(), bus.check_topology()];
        let problems: Vec<String> = checks.into_iter().filter_map(Result::err).collect();
        std::future::ready(if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) })
    })
}

/// Logs at start if the server's `max_payload` is too small.
async fn log_max_payload(bus: Bus) {
    bus.connection().wait_connected().await;
    if let Err(problem) = bus.connection().check_max_payload() {
        error!("{problem}");
    }
}

async fn keep_topology(bus: Bus) {
    let mut known = Vec::new();
    loop {
        let missing = bus.ensure_topology().await;
        for stream in missing.iter().filter(|stream| !known.contains(*stream)) {
            warn!("{stream}");
        }
        known = missing;
        tokio::time::sleep(TOPOLOGY_CHECK_INTERVAL).await;
    }
}
