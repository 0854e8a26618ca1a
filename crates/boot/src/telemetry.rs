//! What a process tells of itself: structured logs on standard error, JSON or for people on a terminal; and figures.

use std::fmt::{self, Display};
use std::io::{IsTerminal as _, stderr};
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::{Env, metrics};

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

/// How much is logged, and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    format: LogFormat,
    level: String,
}

impl LogConfig {
    /// Reads `LOG_FORMAT` and `LOG_LEVEL`.
    pub fn read(env: &mut Env) -> Self {
        let format = env.get("LOG_FORMAT", LogFormat::Auto, "auto (human on a terminal), json, or human");
        let level = env.get("LOG_LEVEL", "info".to_owned(), "error, warn, info, debug, or a tracing filter");
        if filter(&level).is_err() {
            env.problem(format!("LOG_LEVEL={level:?} is not a level or a tracing filter"));
        }
        Self { format, level }
    }
}

/// What is let through. The NATS client repeats each event that the bus logs already, so it is asked for
/// warnings only, unless the level says otherwise; and never for the addresses that it tries, which it writes
/// with their passwords.
fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(format!("async_nats=warn,{level},async_nats::connector=info"))
}

/// Starts logging and counting; a second call does nothing.
pub fn init(config: &LogConfig) {
    metrics::record();
    let filter = filter(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let human = match config.format {
        LogFormat::Auto => stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let started = if human {
        registry.with(layer.with_ansi(stderr().is_terminal())).try_init()
    } else {
        registry.with(layer.json().flatten_event(true)).try_init()
    };
    drop(started);
}
