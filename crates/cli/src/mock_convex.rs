//! `gavel mock-convex`: mock Convex as a separate process, for a demo of separate services.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use gavel_mock_convex::{MockConvex, questions};
use gavel_runtime::Lifecycle;

use crate::exit::CommandError;

/// Run a mock of Convex with sample questions
///
/// It answers as the routes of the Convex app do, with the questions of "gavel up", and keeps results in memory only. It
/// checks no credentials, and ignores calls that are out of date. Set CONVEX_SITE_URL of fetchers and reporters to its URL.
///
/// Ctrl-C or SIGTERM stops it.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4005")]
    listen: SocketAddr,
}

/// Runs until a signal stops it.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("the machine has threads and descriptors");
    match runtime.block_on(serve(arguments.listen)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => CommandError::from(failure).report("mock-convex"),
    }
}

async fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    let lifecycle = Lifecycle::on_signals(std::time::Duration::ZERO)?;
    let mock = MockConvex::start(listen, questions::samples()).await;
    let mock = mock.with_context(|| format!("cannot listen on {listen}"))?;
    mock.guard_order();
    println!("mock Convex listens on {}", mock.url());
    lifecycle.stop.cancelled().await;
    mock.shutdown().await;
    Ok(())
}
