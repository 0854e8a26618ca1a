//! `GET /metrics`: the metrics of the service in the Prometheus text format.
//!
//! In `gavel up` four services share one process and its only recorder. Each service's port shows its own series, which
//! the label `service` identifies.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::pipeline_metrics::{DiscardCounter, measure_queues};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use gavel_bus::Bus;
use gavel_telemetry::{Kind, SERVICE, SERVICES, table};
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit, set_global_recorder,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::version::BUILD;

/// Upper bounds of the buckets of all histograms, in seconds: from a publish to a long wait for a judge.
const BUCKETS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0];
/// How often recorded values are moved into the buckets of their histograms; until then each value is kept.
pub(crate) const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The recorder of the process: one Prometheus recorder for each service.
struct RecorderByService(Vec<(&'static str, PrometheusRecorder)>);

/// The metrics of one service.
#[derive(Clone)]
pub(crate) struct Metrics {
    service: &'static str,
    bus: Bus,
    /// Set if this service measures the queues of all services, and counts the dead letters that are discarded.
    discards: Option<Arc<DiscardCounter>>,
    handle: Option<PrometheusHandle>,
}

impl Metrics {
    /// Returns the metrics of `service` and sets its build information.
    pub(crate) fn new(service: &'static str, bus: Bus) -> Self {
        table::BUILD.set([service, BUILD], 1.0);
        Self { service, bus, discards: None, handle: handle(service) }
    }

    /// Makes this service measure the queues of all services.
    pub(crate) fn measure_queues(&mut self) {
        DiscardCounter::init(self.service);
        self.discards = Some(Arc::default());
    }

    /// Returns the router of `/metrics`.
    pub(crate) fn route(&self) -> Router {
        let metrics = self.clone();
        let render = async move || ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render().await);
        Router::new().route("/metrics", get(render))
    }

    /// Moves recorded values into the buckets of their histograms.
    pub(crate) fn run_upkeep(&self) {
        if let Some(handle) = &self.handle {
            handle.run_upkeep();
        }
    }

    async fn render(&self) -> String {
        table::NATS_CONNECTED.set([self.service], f64::from(u8::from(self.bus.is_connected())));
        if let Some(discards) = &self.discards {
            tokio::join!(measure_queues(self.service, &self.bus), discards.measure(self.service, &self.bus));
        }
        self.handle.as_ref().map(PrometheusHandle::render).unwrap_or_default()
    }
}

/// Returns the handle of a service's recorder, or `None` if another recorder was installed first.
fn handle(service: &str) -> Option<PrometheusHandle> {
    handles().iter().find(|(name, _)| *name == service).map(|(_, handle)| handle.clone())
}

/// Installs the recorder; a second call does nothing. Values recorded before are lost.
pub(crate) fn install() {
    handles();
}

fn handles() -> &'static [(&'static str, PrometheusHandle)] {
    static HANDLES: OnceLock<Vec<(&'static str, PrometheusHandle)>> = OnceLock::new();
    HANDLES.get_or_init(|| {
        let recorders = RecorderByService(SERVICES.map(|service| (service, recorder())).into());
        let handles = recorders.0.iter().map(|(service, recorder)| (*service, recorder.handle())).collect();
        if set_global_recorder(recorders).is_err() {
            return Vec::new();
        }
        describe();
        handles
    })
}

fn recorder() -> PrometheusRecorder {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
        .expect("the list of buckets is not empty")
        .build_recorder()
}

fn describe() {
    metrics::with_recorder(|recorder| {
        for row in table::ALL {
            let (name, help) = (KeyName::from_const_str(row.name), SharedString::const_str(row.help));
            match row.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Histogram => recorder.describe_histogram(name, None, help),
            }
        }
    });
}

impl RecorderByService {
    fn of(&self, key: &Key) -> Option<&PrometheusRecorder> {
        let service = key.labels().find(|label| label.key() == SERVICE)?.value();
        self.0.iter().find(|(name, _)| *name == service).map(|(_, recorder)| recorder)
    }
}

impl Recorder for RecorderByService {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.iter().for_each(|(_, it)| it.describe_counter(name.clone(), unit, help.clone()));
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.iter().for_each(|(_, it)| it.describe_gauge(name.clone(), unit, help.clone()));
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.iter().for_each(|(_, it)| it.describe_histogram(name.clone(), unit, help.clone()));
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.of(key).map_or_else(Counter::noop, |it| it.register_counter(key, metadata))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.of(key).map_or_else(Gauge::noop, |it| it.register_gauge(key, metadata))
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.of(key).map_or_else(Histogram::noop, |it| it.register_histogram(key, metadata))
    }
}
