//! The entry point of a service: arguments, configuration, logging, exit codes.

use std::ffi::OsStr;
use std::fmt::{self, Display, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use gavel_config::{Env, Setting};
use tracing::error;

use crate::http::descriptors;
use crate::service_manager::ServiceManager;
use crate::telemetry::{self, TelemetryConfig};
use crate::version::VERSION;
use crate::{Lifecycle, Service, ServiceConfig, ready};

/// The exit code for an invalid configuration (`EX_USAGE` of `sysexits.h`).
pub const EXIT_CONFIG: u8 = 64;
/// The exit code for a failure at run time.
const EXIT_FAILURE: u8 = 1;

/// The context of an error that persists until the configuration or the machine is changed. It says what to change.
///
/// A service that fails with it exits with [`EXIT_CONFIG`], so that a supervisor need not start it again.
#[derive(Debug)]
pub struct Misconfigured(pub String);

impl Display for Misconfigured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Logs the error that ended a program, and returns the exit code for it.
pub fn report_failure(error: &anyhow::Error) -> ExitCode {
    error!("{error:#}");
    ExitCode::from(if error.is::<Misconfigured>() { EXIT_CONFIG } else { EXIT_FAILURE })
}

/// Runs a service until SIGTERM or SIGINT.
///
/// `read` reads the configuration, `service` picks from it what every service has, and `bind` makes the service. The exit
/// code is 0 after a clean shutdown, 64 if the configuration is invalid or `bind` fails with [`Misconfigured`], and 1 if
/// the service fails otherwise.
pub fn run_service<C, F>(
    name: &'static str,
    about: &str,
    read: impl FnOnce(&mut Env) -> C,
    service: impl FnOnce(&C) -> &ServiceConfig,
    bind: impl FnOnce(C) -> F,
) -> ExitCode
where
    F: Future<Output = anyhow::Result<Service>>,
{
    let mut env = Env::from_process();
    let telemetry = TelemetryConfig::read(&mut env);
    let config = read(&mut env);
    let argument = std::env::args_os().nth(1);
    let mut only_asks = false;
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
        Some("--ready") => only_asks = true,
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
    let &ServiceConfig { grace, http, .. } = service(&config);
    if only_asks {
        return ask_whether_ready(name, http.listen);
    }
    let result = run_with_telemetry(&telemetry, name, async || {
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
        Err(error) => report_failure(&error),
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

/// Asks the service that listens on `listen`. The exit code is 0 if it is ready, otherwise 1.
fn ask_whether_ready(name: &str, listen: SocketAddr) -> ExitCode {
    match ready::ask(listen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{name}: not ready: {problem}");
            ExitCode::from(EXIT_FAILURE)
        }
    }
}

/// The output of `--help`.
fn help(name: &str, about: &str, settings: &[Setting]) -> String {
    let mut text = format!(
        "{about}\n\nUsage: {name} [--help | --version | --ready]\n\nEnvironment variables, with their defaults in brackets:\n\n"
    );
    for Setting { name, default, help } in settings {
        let default = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        writeln!(text, "  {name}{default}\n      {help}").expect("writing to a String never fails");
    }
    text.push_str(
        "\nTo read a password, key, token or secret from a file, set NAME_FILE to its path, such as NATS_PASSWORD_FILE.\n\n\
         Endpoints: GET /healthz, GET /readyz, GET /metrics. SIGTERM stops the service cleanly.\n\
         --ready exits with 0 if the service that runs with these variables is ready, and otherwise prints why it is not.\n\
         Exit codes: 0 clean shutdown, 1 failure, 64 invalid configuration or unsuitable machine.\n",
    );
    text
}
