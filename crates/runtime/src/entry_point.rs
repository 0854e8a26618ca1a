//! The entry point of a service: arguments, configuration, logging, exit codes.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use gavel_config::{Env, Setting};
use tracing::error;

use crate::http::descriptors;
use crate::service_manager::ServiceManager;
use crate::telemetry::{self, TelemetryConfig};
use crate::version::VERSION;
use crate::{Lifecycle, Service};

/// The exit code for an invalid configuration (`EX_USAGE` of `sysexits.h`).
pub const EXIT_CONFIG: u8 = 64;

/// Runs a service until SIGTERM or SIGINT.
///
/// `read` reads the configuration, `grace` picks from it how long work in progress may take after the signal, and
/// `bind` makes the service. The exit code is 0 after a clean shutdown, 64 if the configuration is invalid, and 1 if
/// the service fails.
pub fn run_service<C, F>(
    name: &'static str,
    about: &str,
    read: impl FnOnce(&mut Env) -> C,
    grace: impl FnOnce(&C) -> Duration,
    bind: impl FnOnce(C) -> F,
) -> ExitCode
where
    F: Future<Output = anyhow::Result<Service>>,
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
            println!("{name} {VERSION}");
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            eprintln!(
                "{name}: unknown argument {other:?}: set environment variables instead, see {name} --help"
            );
            return ExitCode::from(EXIT_CONFIG);
        }
    }
    if let Err(problems) = env.finish() {
        eprintln!("{name}: invalid configuration:\n{problems}");
        return ExitCode::from(EXIT_CONFIG);
    }
    let result = run_with_telemetry(&telemetry, name, async || {
        let grace = grace(&config);
        let lifecycle = Lifecycle::on_signals(grace)?;
        let service = bind(config).await?;
        let Some(manager) = ServiceManager::from_env() else { return service.run(lifecycle).await };
        tokio::spawn(manager.clone().ping_watchdog());
        tokio::select! {
            biased;
            never = manager.report(service.checks(), lifecycle.stop.clone(), grace) => match never {},
            stopped = service.run(lifecycle) => stopped,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs `work` on a new Tokio runtime with logs, metrics and traces, then sends the remaining traces.
///
/// # Errors
/// Returns an error if the exporter for traces cannot be built, or the error of `work`.
pub fn run_with_telemetry<F>(
    config: &TelemetryConfig,
    name: &'static str,
    work: impl FnOnce() -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    descriptors::raise_limit();
    let runtime = tokio::runtime::Runtime::new().expect("the system has threads and file descriptors");
    let exporter = telemetry::init(config, name, runtime.handle())?;
    let result = runtime.block_on(async { work().await });
    if let Some(exporter) = exporter {
        exporter.shut_down();
    }
    result
}

/// The output of `--help`.
fn help(name: &str, about: &str, settings: &[Setting]) -> String {
    let mut text = format!(
        "{about}\n\nUsage: {name} [--help | --version]\n\nEnvironment variables, with their defaults in brackets:\n\n"
    );
    for Setting { name, default, help } in settings {
        let default = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        writeln!(text, "  {name}{default}\n      {help}").expect("writing to a String never fails");
    }
    text.push_str(
        "\nTo read a password, key, token or secret from a file, set NAME_FILE to its path, such as NATS_PASSWORD_FILE.\n\n\
         Endpoints: GET /healthz, GET /readyz, GET /metrics. SIGTERM stops the service cleanly.\n\
         Exit codes: 0 clean shutdown, 1 failure, 64 invalid configuration.\n",
    );
    text
}
