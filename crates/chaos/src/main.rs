//! `gavel-chaos`: injects faults into a running pipeline and checks the invariants. Started by `scripts/chaos`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use gavel_chaos::plan::{CallbackOrder, RunOptions};
use gavel_chaos::{RunResult, run};

/// Submissions per second by default: as many as two slow cores can judge under all the faults.
const DEFAULT_RATE: u64 = 4;
/// The exit code of an interrupted run, as in shells.
const INTERRUPTED: u8 = 130;

/// Inject faults into a running pipeline, and check its invariants
///
/// Kills, freezes and disconnects processes, fills streams and the disk of NATS, publishes malformed messages and makes
/// Convex fail, all planned from a seed. Then undoes all faults and checks that no result is lost, contradictory or out of
/// order.
#[derive(Parser)]
#[command(name = "scripts/chaos")]
struct Arguments {
    /// Seed that determines the whole plan [default: random]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Duration of the fault injection in seconds
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Number of submissions in that time [default: 4 per second]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    submissions: Option<u32>,
    /// Use three NATS servers with three replicas instead of one server
    #[arg(long)]
    cluster: bool,
    /// Who keeps the callbacks in order: the reporters, or Convex, which then ignores calls that are out of date
    #[arg(long, value_name = "ORDER", default_value_t = CallbackOrder::Strict)]
    order: CallbackOrder,
    /// Directory with the services of another release: replace them one at a time by those of this one and back, in two
    /// orders, instead of injecting faults
    #[arg(long, value_name = "DIRECTORY")]
    previous: Option<PathBuf>,
    /// Directory for the evidence of a failed run
    #[arg(long, value_name = "DIRECTORY", default_value = "target/chaos")]
    evidence: PathBuf,
}

impl Arguments {
    fn options(&self) -> RunOptions {
        let submissions = self.submissions.map_or(self.seconds * DEFAULT_RATE, u64::from);
        RunOptions {
            // 32 bits, so that it is easy to type.
            seed: self.seed.unwrap_or_else(|| u64::from(rand::random::<u32>())),
            duration: Duration::from_secs(self.seconds),
            submissions: usize::try_from(submissions).unwrap_or(usize::MAX),
            cluster: self.cluster,
            order: self.order,
            previous: self.previous.clone(),
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
    let options = arguments.options();
    let runtime = tokio::runtime::Runtime::new().expect("cannot start the async runtime");
    match runtime.block_on(run(&options, &arguments.evidence, interrupted())) {
        Ok(Some(result)) => report(&options, &result),
        Ok(None) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Waits for SIGINT, SIGTERM or SIGHUP.
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

fn report(options: &RunOptions, result: &RunResult) -> ExitCode {
    if !result.violations.is_empty() {
        println!("\n{} violations:", result.violations.len());
        result.violations.iter().for_each(|violation| println!("  {violation}"));
        if let Some(folder) = &result.evidence {
            println!(
                "Evidence (log of the run, logs of the processes, calls to Convex): {}",
                folder.display()
            );
        }
        let previous = options.previous.as_ref();
        let previous =
            previous.map_or_else(String::new, |folder| format!(" --previous {}", folder.display()));
        let cluster = if options.cluster { " --cluster" } else { "" };
        println!(
            "Repeat with: scripts/chaos --seed {} --seconds {} --submissions {}{cluster} --order {}{previous}\n",
            options.seed,
            options.duration.as_secs(),
            options.submissions,
            options.order,
        );
    }
    println!("chaos: {} seed={}", result.summary, options.seed);
    if result.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
