//! `gavel trace`: the life of one submission, and what it waits for if it has not ended.

use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use gavel_domain::SubmissionId;
use gavel_inspect::Inspector;
use serde_json::json;

mod draw;
mod run;
mod wait;

use crate::exit::{self, CommandError};
use crate::output;
use crate::session::NatsOptions;
use crate::terminal;
use run::Run;

/// Shows the life of one submission: where its time went, who worked on it, how each test went, and, where it has
/// not ended, what it waits for. It only reads.
///
/// Exit codes: 0, 64 wrong use, 66 no such submission, 69 NATS cannot be reached, 77 NATS does not let us.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    nats: NatsOptions,
    /// The submission.
    id: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Shows it.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    exit::run("trace", trace(arguments))
}

async fn trace(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let id = &arguments.id;
    let wrong = |why: String| CommandError::new(gavel_runtime::EXIT_CONFIG, why);
    if id.contains('…') {
        return Err(wrong("give the whole id; gavel tap -o 'template={id}' shows it".to_owned()));
    }
    let id = &SubmissionId::new(id.as_str()).map_err(|error| wrong(format!("an id {error}")))?;
    let inspector = arguments.nats.inspector("trace", "ops").await?;
    let runs = runs(&inspector, id).await?;
    if runs.is_empty() {
        return Err(CommandError::new(
            exit::NOT_FOUND,
            format!("nothing is known of {id}: it was never taken, or that is more than 72 hours ago"),
        ));
    }
    if arguments.json {
        println!("{}", output::json_line(&json!({ "id": id.as_str(), "runs": runs })));
    } else {
        for run in &runs {
            print!("{}", draw::draw(run, terminal::has_colours(), terminal::columns()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn runs(inspector: &Inspector, id: &SubmissionId) -> Result<Vec<Run>, CommandError> {
    let now = SystemTime::now();
    let mut runs: Vec<Run> =
        inspector.history(id).await?.iter().map(|timeline| Run::of(timeline, now)).collect();
    // Only the last one can still wait for anything.
    if let Some(last) = runs.last_mut() {
        last.waits_for = wait::wait(inspector, last).await?;
    }
    Ok(runs)
}
