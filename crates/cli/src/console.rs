//! `gavel console`: pages to watch the pipeline, to find the cause of a problem, and to put it right.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use gavel_bus::topology::TopologySettings;
use gavel_bus::{Bus, NatsConfig};
use gavel_config::Env;
use gavel_console::{Config, Console, MIN_KEY_CHARS};
use gavel_domain::Secret;
use gavel_runtime::telemetry::TelemetryConfig;
use gavel_runtime::{Lifecycle, Misconfigured};

use crate::exit::CommandError;
use crate::session::{NatsOptions, operator_name, settle_time};
use crate::terminal;

/// Serve pages to watch the pipeline and to put it right
///
/// Shows the stages, judges and charts of the last hour, submissions as they change, the history of each one, and the
/// dead letters. It only reads, unless CONSOLE_KEY is set: with that key, a page can retry and drop dead letters, judge
/// submissions again, and show sources. CONSOLE_KEY_FILE names a file with the key instead.
///
/// Reading needs no key, so keep it on the loopback address, or behind a proxy that checks who may read.
///
/// Ctrl-C or SIGTERM stops it.
#[derive(Args)]
#[command(after_long_help = "Exit codes:\n  0   stopped by a signal\n  1   the address is in use\n  \
    64  invalid arguments or configuration")]
pub(crate) struct Arguments {
    #[command(flatten)]
    nats: NatsOptions,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4006")]
    listen: SocketAddr,
    /// Name under which browsers reach it, besides localhost and the address; may be repeated
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
}

/// How long open requests may take after a stop.
const GRACE: Duration = Duration::from_secs(5);

/// Reads the key from the environment.
pub(crate) fn key(env: &mut Env) -> Option<Secret> {
    let key = env.secret(
        "CONSOLE_KEY",
        "key that permits changes in the console and shows sources, at least 16 characters; without it the console only reads",
    )?;
    if key.expose().chars().count() < MIN_KEY_CHARS {
        env.add_problem(format!("CONSOLE_KEY must have at least {MIN_KEY_CHARS} characters"));
    }
    Some(key)
}

/// Serves until a signal stops it.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let mut env = Env::from_process();
    let telemetry = TelemetryConfig::read(&mut env);
    let nats = arguments.nats.config(&mut env, "console", "ops");
    let config = Config {
        listen: arguments.listen,
        hosts: arguments.host.clone(),
        key: key(&mut env),
        operator: operator_name(),
        settle_time: settle_time(&mut env),
    };
    if let Err(problems) = env.finish() {
        return CommandError::configuration(&problems).report("console");
    }
    match gavel_runtime::run_with_telemetry(&telemetry, "console", || serve(config, nats)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => gavel_runtime::report_failure(&failure),
    }
}

async fn serve(config: Config, nats: NatsConfig) -> anyhow::Result<()> {
    let lifecycle = Lifecycle::on_signals(GRACE)?;
    let bus = Bus::connect(&nats, TopologySettings::default()).await;
    let bus = bus.context(Misconfigured("cannot use the settings of NATS".to_owned()))?;
    let console = Console::bind(&config, bus)
        .with_context(|| format!("cannot listen on {}; set --listen to another port", config.listen))?;
    if terminal::is_terminal() {
        println!("{}", greeting(console.address()?, config.key.is_some()));
    }
    console.run(lifecycle.stop).await;
    Ok(())
}

fn greeting(address: SocketAddr, is_writable: bool) -> String {
    let mode =
        if is_writable { "changes need CONSOLE_KEY" } else { "read-only: set CONSOLE_KEY to permit changes" };
    format!("Console: http://{address}/ ({mode}). Press Ctrl-C to stop.")
}
