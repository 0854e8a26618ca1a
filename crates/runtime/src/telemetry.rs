//! What a process tells of itself: structured logs on standard error, JSON or for people on a terminal; figures; and,
//! where a collector is configured, traces.

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

use crate::lines::Lines;
use crate::metrics;
use crate::otlp::{self, Traces};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Human,
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Auto, Self::Json, Self::Human].into_iter().find(|format| format.to_string() == word).ok_or(())
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

/// How much is logged, and how; where traces go.
#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    format: LogFormat,
    level: String,
    collector: Option<String>,
}

impl TelemetryConfig {
    /// Reads `LOG_FORMAT`, `LOG_LEVEL` and `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn read(env: &mut Env) -> Self {
        let format = env.get("LOG_FORMAT", LogFormat::Auto, "auto (human on a terminal), json, or human");
        let level = env.get("LOG_LEVEL", "info".to_owned(), "error, warn, info, debug, or a tracing filter");
        if filter(&level).is_err() {
            env.add_problem(format!("LOG_LEVEL={level:?} is not a level or a tracing filter"));
        }
        let collector = env.optional(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "where traces go, by OTLP over HTTP with protobuf, such as http://127.0.0.1:4318; where not set, none are made",
        );
        if collector.as_ref().is_some_and(|url| !otlp::is_endpoint(url)) {
            // Not repeated: it may hold a password.
            env.add_problem(
                "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://127.0.0.1:4318".to_owned(),
            );
        }
        Self { format, level, collector }
    }
}

/// What is let through. The NATS client repeats each event that the bus logs already, so it is asked for
/// warnings only, unless the level says otherwise; and never for the addresses that it tries, which it writes
/// with their passwords, nor for what it reads and writes, sources and hidden tests among it. The spans of traces are
/// not for logs.
fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    let traces = trace::TARGET;
    EnvFilter::try_new(format!(
        "async_nats=warn,{level},async_nats::connector=info,async_nats::connection=info,{traces}=off"
    ))
}

/// Starts logging, counting and, where a collector is configured, tracing, under the program's name. What is returned
/// must be ended when the work is.
///
/// # Errors
/// Where traces cannot be sent by this configuration.
pub fn init(
    config: &TelemetryConfig,
    name: &'static str,
    runtime: &Handle,
) -> anyhow::Result<Option<Traces>> {
    metrics::record();
    let collector = config.collector.as_ref();
    let traces = collector.map(|url| Traces::start(url, name, runtime.clone())).transpose()?;
    let filter = filter(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let human = match config.format {
        LogFormat::Auto => stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let has_colours = human && stderr().is_terminal();
    let layer = tracing_subscriber::fmt::layer().with_writer(move || Lines::new(stderr(), has_colours));
    let logs =
        if human { layer.with_ansi(has_colours).boxed() } else { layer.json().flatten_event(true).boxed() };
    match &traces {
        None => drop(tracing_subscriber::registry().with(logs).with(filter).try_init()),
        Some(traces) => {
            let spans = traces.layer::<Registry>().with_filter(filter_fn(|it| it.target() == trace::TARGET));
            let layers: Vec<Box<dyn tracing_subscriber::Layer<Registry> + Send + Sync>> =
                vec![logs.with_filter(filter).boxed(), spans.boxed()];
            if tracing_subscriber::registry().with(layers).try_init().is_ok() {
                trace::switch_on();
            }
        }
    }
    Ok(traces)
}
