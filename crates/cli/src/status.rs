//! `gavel status`: queues, streams, instances and dead letters at a glance.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use gavel_describe::status::Status;
use gavel_inspect::Inspector;

mod draw;

use crate::exit::{self, CommandError};
use crate::output;
use crate::session::NatsOptions;

/// Show queues, streams, instances and dead letters
///
/// Shows for each stage what waits and is in progress, the age of the oldest submission and the rate; how full the streams
/// are; the running instances, and how they see Convex and Judge0; and the dead letters of the last 24 hours. It only reads.
#[derive(Args)]
#[command(after_long_help = "Exit codes:\n  0   printed\n  64  invalid arguments or configuration\n  \
    69  NATS is unreachable, or has no Gavel streams\n  77  NATS denies permission")]
pub(crate) struct Arguments {
    #[command(flatten)]
    nats: NatsOptions,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Repeat until interrupted
    #[arg(long, short)]
    watch: bool,
}

/// How long to listen for heartbeats: longer than their interval. Rates are measured over the same time.
const LISTEN_TIME: Duration = Duration::from_millis(2_500);
/// Moves to the top of the screen and erases it (ECMA-48: CUP, ED).
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Prints the status.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    exit::run("status", status(arguments))
}

async fn status(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let inspector: Inspector = arguments.nats.inspector("status", "ops").await?;
    let colours = crate::terminal::has_colours();
    loop {
        let status = Status::collect(&inspector, LISTEN_TIME).await?;
        let text =
            if arguments.json { output::json_line(&status) + "\n" } else { draw::draw(&status, colours) };
        let clear = if arguments.watch && colours { CLEAR } else { "" };
        let mut out = std::io::stdout().lock();
        let written = out.write_all(format!("{clear}{text}").as_bytes()).and_then(|()| out.flush());
        // A write fails if the reader has closed the pipe.
        if !arguments.watch || written.is_err() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}
