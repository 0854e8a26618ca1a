//! `GET /metrics`: the service's figures, as Prometheus reads them.
//!
//! In `gavel up` four services share the process and its one recorder; each one's port shows its own series, told apart by
//! their label `service`.

use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use gavel_bus::Bus;
use gavel_telemetry::{Kind, SERVICE, SERVICES, table};
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit, set_global_recorder,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// Upper bounds of the histograms' buckets, in seconds: from a publish to a submission that waits for a judge.
const BUCKETS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0];
/// How often what histograms were told is put into their buckets; until then it is kept as it came.
pub(crate) const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The one recorder of the process.
struct ByService(Vec<(&'static str, PrometheusRecorder)>);

/// A service's figures.
#[derive(Clone)]
pub(crate) struct Metrics {
    bus: Bus,
    handle: Option<PrometheusHandle>,
}

impl Metrics {
    /// The figures of one service.
    pub(crate) fn of(service: &'static str, bus: Bus) -> Self {
        table::BUILD.set([service, env!("CARGO_PKG_VERSION")], 1.0);
        Self { bus, handle: handle(service) }
    }

    /// The route.
    pub(crate) fn route(&self) -> Router {
        let metrics = self.clone();
        let show = async move || ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.show().await);
        Router::new().route("/metrics", get(show))
    }

    /// Empties what histograms were told into their buckets.
    pub(crate) fn keep_up(&self) {
        if let Some(handle) = &self.handle {
            handle.run_upkeep();
        }
    }

    async fn show(&self) -> String {
        self.bus.measure().await;
        self.handle.as_ref().map(PrometheusHandle::render).unwrap_or_default()
    }
}

/// The part of the process's recorder that is a service's; nothing where another recorder was there first.
fn handle(service: &str) -> Option<PrometheusHandle> {
    handles().iter().find(|(name, _)| *name == service).map(|(_, handle)| handle.clone())
}

/// Begins to record; a second call does nothing. What is told before is lost.
pub(crate) fn record() {
    handles();
}

fn handles() -> &'static [(&'static str, PrometheusHandle)] {
    static HANDLES: OnceLock<Vec<(&'static str, PrometheusHandle)>> = OnceLock::new();
    HANDLES.get_or_init(|| {
        let recorders = ByService(SERVICES.map(|service| (service, recorder())).into());
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
        .expect("there are buckets")
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

impl ByService {
    fn of(&self, key: &Key) -> Option<&PrometheusRecorder> {
        let service = key.labels().find(|label| label.key() == SERVICE)?.value();
        self.0.iter().find(|(name, _)| *name == service).map(|(_, recorder)| recorder)
    }
}

impl Recorder for ByService {
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
