//! `gavel status`: how the line is, at a glance.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use gavel_inspect::Inspector;

mod count;
mod draw;

use crate::exit::{self, CommandError};
use crate::output;
use crate::session::NatsOptions;
use count::Status;

/// Shows how the line is: what waits, for how long, what is in hand, how fast it goes; who is there; how full the
/// streams are; what died in the last day, and of what. It only reads.
///
/// Exit codes: 0, 64 wrong use, 69 NATS cannot be reached or has no line on it, 77 NATS does not let us.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    nats: NatsOptions,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Show it again and again.
    #[arg(long, short)]
    watch: bool,
}

/// What every line of submissions needs.
pub(crate) const SERVICES: [&str; 4] = ["ingress", "fetcher", "judge", "reporter"];
/// Every instance says that it is there within this time. It is also what the pace is measured over.
const LISTEN: Duration = Duration::from_millis(2_500);
/// To the top of the screen, and what is below it empty (ECMA-48: CUP, ED).
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Shows it.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    exit::run("status", status(arguments))
}

async fn status(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let inspector: Inspector = arguments.nats.inspector("status", "ops").await?;
    let colours = crate::terminal::has_colours();
    loop {
        let status = Status::count(&inspector, LISTEN).await?;
        let text =
            if arguments.json { output::json_line(&status) + "\n" } else { draw::draw(&status, colours) };
        let clear = if arguments.watch && colours { CLEAR } else { "" };
        let mut out = std::io::stdout().lock();
        let written = out.write_all(format!("{clear}{text}").as_bytes()).and_then(|()| out.flush());
        // Whoever reads us may have gone away.
        if !arguments.watch || written.is_err() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}
