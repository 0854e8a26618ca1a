//! `gavel-chaos`: breaks the line on purpose, and says whether it kept its promises. `scripts/chaos` starts it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use gavel_chaos::plan::Asked;
use gavel_chaos::{Outcome, run};

/// Submissions a second where their number is not asked for: what two slow cores judge beside all the faults.
const PACE: u64 = 4;
/// The exit code of a run that was interrupted, as a shell has it.
const INTERRUPTED: u8 = 130;

/// Kills, freezes and cuts off the processes of a whole line, fills its streams, throws malformed messages at it and
/// has Convex misbehave, all from a seed; then mends everything and checks that nothing was lost, told twice or told
/// backwards.
#[derive(Parser)]
#[command(name = "scripts/chaos")]
struct Arguments {
    /// The seed, from which the whole plan follows [default: a random one]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// For how long things go wrong
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// How many submissions come in that time [default: 4 a second]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    submissions: Option<u32>,
    /// Three servers with three replicas instead of one server
    #[arg(long)]
    cluster: bool,
    /// Where the evidence of a failed run is kept
    #[arg(long, value_name = "DIRECTORY", default_value = "target/chaos")]
    evidence: PathBuf,
}

impl Arguments {
    fn asked(&self) -> Asked {
        let submissions = self.submissions.map_or(self.seconds * PACE, u64::from);
        Asked {
            // Short enough to be typed.
            seed: self.seed.unwrap_or_else(|| u64::from(rand::random::<u32>())),
            lasts: Duration::from_secs(self.seconds),
            submissions: usize::try_from(submissions).unwrap_or(usize::MAX),
            cluster: self.cluster,
        }
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(message) => {
            let _ = message.print();
            return if message.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    let asked = arguments.asked();
    let runtime = tokio::runtime::Runtime::new().expect("the machine has threads and descriptors");
    match runtime.block_on(run(&asked, &arguments.evidence, interrupted())) {
        Ok(Some(outcome)) => report(&asked, &outcome),
        Ok(None) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let waits =
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(|kind| async move {
            match signal(kind) {
                Ok(mut signals) => drop(signals.recv().await),
                Err(_) => std::future::pending().await,
            }
        });
    futures::future::select_all(waits.map(Box::pin)).await;
}

fn report(asked: &Asked, outcome: &Outcome) -> ExitCode {
    if !outcome.wrong.is_empty() {
        println!("\n{} things are wrong:", outcome.wrong.len());
        outcome.wrong.iter().for_each(|wrong| println!("  {wrong}"));
        if let Some(folder) = &outcome.evidence {
            println!("The journal, the logs and the calls are in {}", folder.display());
        }
        let cluster = if asked.cluster { " --cluster" } else { "" };
        println!(
            "To repeat it: scripts/chaos --seed {} --seconds {} --submissions {}{cluster}\n",
            asked.seed,
            asked.lasts.as_secs(),
            asked.submissions,
        );
    }
    println!("chaos: {} seed={}", outcome.tally, asked.seed);
    if outcome.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
