//! Logs, metrics and traces of a process.
//!
//! Logs go to standard error, as JSON or in a human format on a terminal. Traces are exported if a collector is
//! configured.

use std::fmt::{self, Display};
use std::io::{IsTerminal as _, stderr};
use std::str::FromStr;

use gavel_config::Env;
use gavel_telemetry::trace;
use tokio::runtime::Handle;
use tracing_subscriber::filter::{ParseError, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};

use self::log_writer::LineWriter;
pub use self::pipeline_metrics::counted_verdict;
use self::trace_exporter::TraceExporter;

mod log_writer;
pub(crate) mod pipeline_metrics;
pub(crate) mod prometheus;
mod trace_exporter;

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Human-readable on a terminal, JSON otherwise.
    Auto,
    /// One JSON object per line.
    Json,
    /// Human-readable.
    Human,
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Auto, Self::Json, Self::Human].into_iter().find(|format| format.to_string() == text).ok_or(())
    }
}

impl Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Json => "json",
            Self::Human => "human",
        })
    }
}

/// The log level, the log format, and the collector of traces.
#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    format: LogFormat,
    level: String,
    collector: Option<String>,
}

impl TelemetryConfig {
    /// Reads `LOG_FORMAT`, `LOG_LEVEL` and `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn read(env: &mut Env) -> Self {
        let format = env.get(
            "LOG_FORMAT",
            LogFormat::Auto,
            "log format: json, human, or auto (human on a terminal, json otherwise)",
        );
        let level = env.get(
            "LOG_LEVEL",
            "info".to_owned(),
            "log level: error, warn, info, debug, or a filter of tracing-subscriber",
        );
        if filter(&level).is_err() {
            env.add_problem(format!(
                "LOG_LEVEL={level:?} is not a log level or a filter of tracing-subscriber"
            ));
        }
        let collector = env.optional(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "URL of the collector for traces (OTLP over HTTP, protobuf), such as http://127.0.0.1:4318; if unset, no traces",
        );
        if collector.as_ref().is_some_and(|url| !trace_exporter::is_endpoint(url)) {
            // The value is left out: it may contain a password.
            env.add_problem(
                "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://127.0.0.1:4318".to_owned(),
            );
        }
        Self { format, level, collector }
    }
}

/// The filter of log events. The NATS client logs events that the bus logs already, so only its warnings pass, unless
/// the level says otherwise. Two of its modules never log below warning: one logs server addresses with their passwords,
/// the other all traffic, including source code and hidden tests. Spans of traces are never logged.
fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    let traces = trace::TARGET;
    EnvFilter::try_new(format!(
        "async_nats=warn,{level},async_nats::connector=warn,async_nats::connection=warn,{traces}=off"
    ))
}

/// Starts logs, metrics and, if a collector is configured, traces under the service name `name`. The caller must shut
/// down the returned exporter at the end.
///
/// # Errors
/// Returns an error if the exporter for traces cannot be built.
pub fn init(
    config: &TelemetryConfig,
    name: &'static str,
    runtime: &Handle,
) -> anyhow::Result<Option<TraceExporter>> {
    prometheus::install();
    let collector = config.collector.as_ref();
    let exporter = collector.map(|url| TraceExporter::start(url, name, runtime.clone())).transpose()?;
    let filter = filter(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let human = match config.format {
        LogFormat::Auto => stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let has_colours = human && stderr().is_terminal();
    let layer = tracing_subscriber::fmt::layer().with_writer(move || LineWriter::new(stderr(), has_colours));
    let logs =
        if human { layer.with_ansi(has_colours).boxed() } else { layer.json().flatten_event(true).boxed() };
    match &exporter {
        None => drop(tracing_subscriber::registry().with(logs).with(filter).try_init()),
        Some(exporter) => {
            let spans = exporter
                .layer::<Registry>()
                .with_filter(filter_fn(|metadata| metadata.target() == trace::TARGET));
            let layers: Vec<Box<dyn tracing_subscriber::Layer<Registry> + Send + Sync>> =
                vec![logs.with_filter(filter).boxed(), spans.boxed()];
            if tracing_subscriber::registry().with(layers).try_init().is_ok() {
                trace::enable();
            }
        }
    }
    Ok(exporter)
}
