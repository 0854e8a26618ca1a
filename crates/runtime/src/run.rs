//! The frame of a `main`.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use gavel_config::{Env, Setting};
use tracing::error;

use crate::Lifecycle;
use crate::telemetry::{self, TelemetryConfig};

/// The exit code of a bad configuration (`EX_USAGE` of `sysexits.h`).
pub const EXIT_CONFIG: u8 = 64;

/// Runs a service: reads its configuration, starts logging, works until a signal says stop.
///
/// `grace` picks the time that work in hand is given. The exit code is 0 after a clean stop, 64 for a bad
/// configuration, 1 for a failure at run time.
pub fn run<C, F>(
    name: &'static str,
    about: &str,
    read: impl FnOnce(&mut Env) -> C,
    grace: impl FnOnce(&C) -> Duration,
    work: impl FnOnce(C, Lifecycle) -> F,
) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
{
    let mut env = Env::from_process();
    let telemetry = TelemetryConfig::read(&mut env);
    let config = read(&mut env);
    let argument = std::env::args_os().nth(1);
    match argument.as_deref().map(OsStr::to_string_lossy).as_deref() {
        None => {}
        Some("--help" | "-h") => {
            print!("{}", help(name, about, env.settings()));
            return ExitCode::SUCCESS;
        }
        Some("--version" | "-V") => {
            println!("{name} {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            eprintln!(
                "{name}: unknown argument {other:?}; configuration is by environment, see {name} --help"
            );
            return ExitCode::from(EXIT_CONFIG);
        }
    }
    if let Err(problems) = env.finish() {
        eprintln!("{name}: the configuration has problems:\n{problems}");
        return ExitCode::from(EXIT_CONFIG);
    }
    match traced(&telemetry, name, async || {
        let lifecycle = Lifecycle::on_signals(grace(&config))?;
        work(config, lifecycle).await
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            error!("{failure:#}");
            ExitCode::FAILURE
        }
    }
}

/// Works on a runtime, with logs, figures and traces, and sends the last of these.
///
/// # Errors
/// Where traces cannot be sent by this configuration, and what `work` says.
pub fn traced<F>(config: &TelemetryConfig, name: &'static str, work: impl FnOnce() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let runtime = tokio::runtime::Runtime::new().expect("the machine has threads and descriptors");
    let traces = telemetry::init(config, name, runtime.handle())?;
    let ended = runtime.block_on(async { work().await });
    if let Some(traces) = traces {
        traces.end();
    }
    ended
}

/// What `--help` prints.
fn help(name: &str, about: &str, settings: &[Setting]) -> String {
    let mut text = format!("{name}: {about}\n\nConfigured by environment variables:\n\n");
    for Setting { name, default, help } in settings {
        let default = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        writeln!(text, "  {name}{default}\n      {help}").expect("a String takes everything");
    }
    text.push_str(
        "\nGET /healthz and GET /readyz tell how it is, GET /metrics what it did. SIGTERM ends it cleanly.\n",
    );
    text
}
