//! Traces on their way to a collector: OTLP over HTTP, with protobuf.
//!
//! Spans wait in a bounded queue and leave in batches, from a thread of their own. A collector that is away or slow costs
//! its spans and nothing else.

use std::env::var_os;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use axum::http::{Request, Response, Uri};
use bytes::Bytes;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Subscriber, info, warn};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

/// How long the collector may take to answer one batch.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the last batch may take when the process ends.
const FAREWELL: Duration = Duration::from_secs(3);

/// The traces of this process.
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Begins to send to the collector at this URL, from `runtime`.
    pub(crate) fn start(url: &str, name: &'static str, runtime: Handle) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("the HTTP client for traces cannot be made")?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender { http, runtime, is_failing: AtomicBool::new(false) })
            .with_endpoint(format!("{}/v1/traces", url.trim_end_matches('/')))
            .with_timeout(PATIENCE)
            .build()
            .context("traces cannot be sent")?;
        let resource =
            Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        // The SDK has taken the operator's own name already, where there is one.
        let resource =
            if var_os("OTEL_SERVICE_NAME").is_some() { resource } else { resource.with_service_name(name) };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("gavel");
        Ok(Self { provider, tracer })
    }

    /// What takes the spans.
    pub(crate) fn layer<S: Subscriber + for<'span> LookupSpan<'span>>(
        &self,
    ) -> OpenTelemetryLayer<S, SdkTracer> {
        tracing_opentelemetry::layer()
            .with_tracer(self.tracer.clone())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
    }

    /// Sends what still waits. Blocks; the runtime must still be there.
    pub fn end(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FAREWELL) {
            warn!(%error, "the last traces are not sent");
        }
    }
}

/// Whether a text can be a collector's address.
pub(crate) fn is_endpoint(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
}

/// Sends batches with our own HTTP client, on the runtime: the thread that asks has none.
#[derive(Debug)]
struct Sender {
    http: reqwest::Client,
    runtime: Handle,
    is_failing: AtomicBool,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sent = self.runtime.spawn(async move {
            let answer = http.execute(request.try_into()?).await?.error_for_status()?;
            // Its body says how many spans it did not want, which nobody can do anything about.
            Ok::<_, reqwest::Error>(Response::builder().status(answer.status()).body(Bytes::new()))
        });
        let sent = sent.await?.map_err(reqwest::Error::without_url);
        match &sent {
            Ok(_) if self.is_failing.swap(false, Ordering::Relaxed) => info!("traces are taken again"),
            Err(error) if !self.is_failing.swap(true, Ordering::Relaxed) => {
                warn!(%error, "traces are lost: the collector at OTEL_EXPORTER_OTLP_ENDPOINT does not take them");
            }
            _ => {}
        }
        Ok(sent??)
    }
}
