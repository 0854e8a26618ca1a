//! `gavel up`: all services in one process, each still talking only through NATS.

mod nats;
mod settings;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use futures::future::try_join_all;
use gavel_judge::Engines;
use gavel_mock_convex::{MockConvex, questions};
use gavel_runtime::{EXIT_CONFIG, Lifecycle};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use nats::OwnNats;
use settings::{Services, Settings};

/// Runs the whole line in one process.
///
/// Configured by the environment variables of the four services (see `gavel up --settings`). Where `NATS_URL` is
/// not set, it starts and owns a nats-server; where `CONVEX_SITE_URL` is not set, it starts a stand-in for Convex
/// that serves sample questions.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Print all environment variables with their defaults, and end.
    #[arg(long)]
    settings: bool,
}

/// Runs until a signal says stop.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let (telemetry, settings) = match Settings::from_process() {
        Ok(read) => read,
        Err(problems) => {
            eprintln!("gavel up: the configuration has problems:\n{problems}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    if arguments.settings {
        print!("{}", settings::describe());
        return ExitCode::SUCCESS;
    }
    match gavel_runtime::run_with_telemetry(&telemetry, "gavel", || up(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            error!("{failure:#}");
            ExitCode::FAILURE
        }
    }
}

async fn up(settings: Settings) -> anyhow::Result<()> {
    let lifecycle = Lifecycle::on_signals(settings.grace())?;
    let mock_convex = match settings.mock_convex_address() {
        Some(address) => Some(stand_in(address).await?),
        None => None,
    };
    let nats = match settings.own_nats() {
        Some(config) => Some(OwnNats::start(config).await?),
        None => None,
    };
    let services =
        settings.services(nats.as_ref().map(OwnNats::url), mock_convex.as_ref().map(MockConvex::url));
    let ran = Box::pin(serve(services, &lifecycle, nats.as_ref())).await;
    // In this order, so that whoever still has something to say finds somebody to say it to.
    if let Some(nats) = nats {
        nats.stop().await;
    }
    if let Some(mock_convex) = mock_convex {
        mock_convex.shutdown().await;
    }
    ran
}

async fn stand_in(address: std::net::SocketAddr) -> anyhow::Result<MockConvex> {
    let mock_convex = MockConvex::start(address, questions::samples())
        .await
        .with_context(|| format!("cannot listen on {address} for the Convex stand-in"))?;
    warn!(
        url = mock_convex.url(),
        "CONVEX_SITE_URL is not set: a stand-in takes Convex's place, with sample questions; \
         it forgets everything when it ends"
    );
    Ok(mock_convex)
}

async fn serve(services: Services, lifecycle: &Lifecycle, nats: Option<&OwnNats>) -> anyhow::Result<()> {
    let engine = Engines::start(&services.judge).await?;
    let address = services.ingress.service.http.listen;
    let ingress = gavel_ingress::bind(services.ingress).await?;
    let fetcher = gavel_fetcher::bind(services.fetcher).await?;
    let judge = gavel_judge::bind(services.judge, engine).await?;
    let reporter = gavel_reporter::bind(services.reporter).await?;
    let address = ingress.address().unwrap_or(address);

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
    let ready = async {
        tokio::select! {
            () = until_ready(address.port()) => {
                println!("gavel is up: http://{address}/v1/judge-question");
                info!(%address, "gavel is up");
            }
            () = ended.cancelled() => {}
        }
    };
    let watched = async {
        if let Some(nats) = nats {
            nats.keep_running(&ended).await;
        }
    };
    let (ran, (), ()) = tokio::join!(apps, ready, watched);
    ran
}

/// Waits until each service says that it is ready.
async fn until_ready(first_port: u16) {
    let client = reqwest::Client::new();
    for port in first_port..first_port.saturating_add(4) {
        let url = format!("http://127.0.0.1:{port}/readyz");
        loop {
            let answer = client.get(&url).timeout(Duration::from_secs(5)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
