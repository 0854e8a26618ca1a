//! `gavel trace`: the history of one submission, and what it waits for if it has not ended.

use std::process::ExitCode;

use clap::Args;
use gavel_describe::history::runs;
use gavel_domain::SubmissionId;
use serde_json::json;

mod draw;

use crate::exit::{self, CommandError};
use crate::output;
use crate::session::NatsOptions;
use crate::terminal;

/// Show the history of one submission
///
/// Shows how long each stage took, which instances worked on it, the callbacks, the result of each test, and, if it has not
/// ended, what it waits for. It only reads.
#[derive(Args)]
#[command(
    after_long_help = "Exit codes:\n  0   the submission is known\n  64  invalid arguments or configuration\n  \
    66  unknown submission\n  69  NATS is unreachable\n  77  NATS denies permission"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    nats: NatsOptions,
    /// Id of the submission
    id: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the history.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    exit::run("trace", trace(arguments))
}

async fn trace(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let id = &arguments.id;
    let invalid = |message: String| CommandError::usage(message);
    if id.contains('…') {
        return Err(invalid(format!(
            "{id:?} is a shortened id. Pass the whole id; gavel tap -o 'template={{id}}' prints it"
        )));
    }
    let id = &SubmissionId::new(id.as_str()).map_err(|error| invalid(format!("a submission id {error}")))?;
    let inspector = arguments.nats.inspector("trace", "ops").await?;
    let runs = runs(&inspector, id).await?;
    if runs.is_empty() {
        return Err(CommandError::new(
            exit::NOT_FOUND,
            format!("unknown submission {id}: it was never accepted, or more than 72 hours ago"),
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
