//! Exports traces to a collector: OTLP over HTTP, with protobuf.
//!
//! Spans wait in a bounded queue and are sent in batches from a separate thread. If the collector is unreachable or
//! slow, spans are lost and nothing else is affected.

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

use crate::version::BUILD;

/// The timeout of sending one batch.
const BATCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The timeout of sending the last batch when the process ends.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// The exporter of the traces of this process.
pub struct TraceExporter {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl TraceExporter {
    /// Starts to export to the collector at `url`, with requests that run on `runtime`.
    pub(crate) fn start(url: &str, name: &'static str, runtime: Handle) -> anyhow::Result<Self> {
        let http = gavel_http::client()
            .timeout(BATCH_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("cannot build the HTTP client for traces")?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(OtlpClient { http, runtime, is_failing: AtomicBool::new(false) })
            .with_endpoint(format!("{}/v1/traces", url.trim_end_matches('/')))
            .with_timeout(BATCH_TIMEOUT)
            .build()
            .context("cannot build the exporter for traces")?;
        let resource = Resource::builder().with_attribute(KeyValue::new("service.version", BUILD));
        // If the operator sets a name, the SDK has read it already.
        let resource =
            if var_os("OTEL_SERVICE_NAME").is_some() { resource } else { resource.with_service_name(name) };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("gavel");
        Ok(Self { provider, tracer })
    }

    /// Returns the layer that passes spans to the exporter.
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

    /// Sends the spans that are still queued. Blocks; the runtime must still exist.
    pub fn shut_down(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT) {
            warn!(%error, "cannot send the last traces");
        }
    }
}

/// Whether `url` is an absolute http(s) URL.
pub(crate) fn is_endpoint(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
}

/// Sends batches with reqwest on the Tokio runtime: the exporter thread has no runtime.
#[derive(Debug)]
struct OtlpClient {
    http: reqwest::Client,
    runtime: Handle,
    is_failing: AtomicBool,
}

#[async_trait]
impl HttpClient for OtlpClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let response = self.runtime.spawn(async move {
            let response = http.execute(request.try_into()?).await?.error_for_status()?;
            // The body only counts rejected spans. There is nothing to do about them.
            Ok::<_, reqwest::Error>(Response::builder().status(response.status()).body(Bytes::new()))
        });
        let response = response.await?.map_err(reqwest::Error::without_url);
        match &response {
            Ok(_) if self.is_failing.swap(false, Ordering::Relaxed) => {
                info!("the trace collector accepts traces again");
            }
            Err(error) if !self.is_failing.swap(true, Ordering::Relaxed) => {
                warn!(%error, "traces are lost: cannot send them to OTEL_EXPORTER_OTLP_ENDPOINT");
            }
            _ => {}
        }
        Ok(response??)
    }
}
