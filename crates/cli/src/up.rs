//! `gavel up`: all services in one process. They still communicate through NATS only.

mod nats;
mod next_steps;
mod settings;

use std::io::{IsTerminal as _, stdout};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use futures::future::try_join_all;
use gavel_bus::Bus;
use gavel_console::Console;
use gavel_judge::Engines;
use gavel_mock_convex::{MockConvex, questions};
use gavel_reporter::CallbackOrder;
use gavel_runtime::Lifecycle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::exit::CommandError;
use nats::OwnNats;
use next_steps::NextSteps;
use settings::{Services, Settings};

/// Run all services in one process
///
/// The environment variables of the four services configure it; --settings lists them. Without NATS_URL it starts its
/// own nats-server and stops it at the end. Without CONVEX_SITE_URL it starts a mock of Convex with sample questions.
///
/// Ctrl-C or SIGTERM stops it: it finishes the submissions in progress, for at most SHUTDOWN_GRACE_MS.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Print all environment variables with their defaults, and exit
    #[arg(long)]
    settings: bool,
}

/// Runs until a signal stops it.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let (telemetry, settings) = match Settings::from_process() {
        Ok(read) => read,
        Err(problems) => return CommandError::configuration(&problems).report("up"),
    };
    if arguments.settings {
        print!("{}", settings::describe());
        return ExitCode::SUCCESS;
    }
    match gavel_runtime::run_with_telemetry(&telemetry, "gavel", || up(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => gavel_runtime::report_failure(&failure),
    }
}

async fn up(settings: Settings) -> anyhow::Result<()> {
    let lifecycle = Lifecycle::on_signals(settings.grace())?;
    let mock_convex = match settings.mock_convex_address() {
        Some(address) => Some(start_mock_convex(address).await?),
        None => None,
    };
    let nats = match settings.own_nats() {
        Some(config) => Some(OwnNats::start(config).await?),
        None => None,
    };
    let (access, mock_url) = (nats.as_ref().map(OwnNats::access), mock_convex.as_ref().map(MockConvex::url));
    let console = settings.console();
    let services = settings.services(access, mock_url.clone());
    if services.reporter.order == CallbackOrder::Guarded
        && let Some(mock_convex) = &mock_convex
    {
        mock_convex.guard_order();
    }
    let next_steps = NextSteps {
        ingress: services.ingress.service.http.listen,
        has_keys: !services.ingress.keys.is_empty(),
        own_nats: access.map(|access| access.url.clone()),
        mock_convex: mock_url,
        console: None,
    };
    let ran = Box::pin(serve(services, console, &lifecycle, nats.as_ref(), next_steps)).await;
    // The services stop before NATS, and NATS before mock Convex, so that each can still reach what it needs.
    if let Some(nats) = nats {
        nats.stop().await;
    }
    if let Some(mock_convex) = mock_convex {
        mock_convex.shutdown().await;
    }
    ran
}

async fn start_mock_convex(address: std::net::SocketAddr) -> anyhow::Result<MockConvex> {
    let mock_convex = MockConvex::start(address, questions::samples()).await.with_context(|| {
        format!("cannot listen on {address} for mock Convex; set PORT to use other ports")
    })?;
    warn!(
        url = mock_convex.url(),
        "CONVEX_SITE_URL is not set: using mock Convex with sample questions; it keeps results in memory only"
    );
    Ok(mock_convex)
}

async fn serve(
    services: Services,
    console: gavel_console::Config,
    lifecycle: &Lifecycle,
    nats: Option<&OwnNats>,
    mut next_steps: NextSteps,
) -> anyhow::Result<()> {
    let engine = Engines::start(&services.judge).await?;
    let ingress = gavel_ingress::bind(services.ingress).await?;
    let fetcher = gavel_fetcher::bind(services.fetcher).await?;
    let judge = gavel_judge::bind(services.judge, engine).await?;
    let reporter = gavel_reporter::bind(services.reporter).await?;
    let bus = reporter.bus.clone();
    if let Ok(address) = ingress.address() {
        next_steps.ingress = address;
    }
    let console = bind_console(&console, bus.clone());
    next_steps.console = console.as_ref().and_then(|console| console.address().ok());

    let ended = CancellationToken::new();
    let apps = async {
        let all = try_join_all([
            tokio::spawn(ingress.run(lifecycle.clone())),
            tokio::spawn(fetcher.run(lifecycle.clone())),
            tokio::spawn(judge.run(lifecycle.clone())),
            tokio::spawn(reporter.run(lifecycle.clone())),
        ])
        .await;
        ended.cancel();
        all?.into_iter().collect::<anyhow::Result<()>>()
    };
    let http = gavel_http::client().build()?;
    let ready = async {
        tokio::select! {
            () = until_ready(&http, next_steps.ingress.port()) => announce(&next_steps),
            () = ended.cancelled() => {}
        }
    };
    let watched = async {
        if let Some(nats) = nats {
            nats.keep_running(&bus, &ended).await;
        }
    };
    let served = async {
        if let Some(console) = console {
            console.run(ended.clone()).await;
        }
    };
    let (ran, (), (), ()) = tokio::join!(apps, ready, watched, served);
    ran
}

/// Binds the console. The services do not depend on it, so that a port in use is only a warning.
fn bind_console(config: &gavel_console::Config, bus: Bus) -> Option<Console> {
    let bound = Console::bind(config, bus);
    bound
        .inspect_err(|error| {
            let address = config.listen;
            warn!(%error, %address, "cannot listen for the console: gavel console --listen serves it on another port");
        })
        .ok()
}

/// Reports that all services are ready: on a terminal with the next steps.
fn announce(next_steps: &NextSteps) {
    let address = next_steps.ingress;
    info!(%address, "gavel is up");
    if stdout().is_terminal() {
        let program = std::env::args().next().unwrap_or_else(|| "gavel".to_owned());
        print!("{}", next_steps.text(&program));
    } else {
        println!("gavel is up: http://{address}/v1/judge-question");
    }
}

/// Waits until `/readyz` of each service answers with success.
async fn until_ready(http: &reqwest::Client, first_port: u16) {
    for port in first_port..first_port.saturating_add(4) {
        let url = format!("http://127.0.0.1:{port}/readyz");
        loop {
            let answer = http.get(&url).timeout(Duration::from_secs(5)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
