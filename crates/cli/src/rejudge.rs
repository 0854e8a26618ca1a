//! `gavel rejudge`: has submissions judged again, each as a new generation of itself.

use std::collections::HashSet;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use gavel_bus::{Bus, Cause};
use gavel_domain::{QuestionId, SubmissionId};
use gavel_inspect::{Inspector, NewGeneration, RejudgeError, Rejudger};
use serde_json::json;

use crate::exit::{self, CommandError, CommandOutcome};
use crate::output::print_line;
use crate::session::{NatsOptions, OperatorSession, operator_name};
use crate::time::Since;

/// Has submissions judged again, with their test cases fetched anew.
///
/// Each must be over: told to Convex, or a dead letter; and what took several tries, for as long as one without an
/// answer may still take effect: `REQUEST_TIMEOUT_MS` and `RUNNING_LINGER_MS`, as the reporters have them. The history
/// reaches 72 hours back. A run that was cut off is completed by the same command.
///
/// Exit codes: 0 all begun, 1 some refused, 64 wrong use, 69 NATS cannot be reached.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Submissions.
    #[arg(value_parser = submission_id, required_unless_present = "question", conflicts_with = "question")]
    ids: Vec<SubmissionId>,
    /// All submissions to this question …
    #[arg(long, value_parser = question_id, requires = "since")]
    question: Option<QuestionId>,
    /// … that were queued since: an age such as 1h, or a UTC time.
    #[arg(long, requires = "question")]
    since: Option<Since>,
    /// Why, for the record.
    #[arg(long, default_value = "rejudged by hand")]
    reason: String,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object a submission.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nats: NatsOptions,
}

pub(crate) fn submission_id(text: &str) -> Result<SubmissionId, String> {
    SubmissionId::new(text).map_err(|error| format!("a submission's id {error}"))
}

fn question_id(text: &str) -> Result<QuestionId, String> {
    QuestionId::new(text).map_err(|error| format!("a question's id {error}"))
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    exit::run("rejudge", rejudge(arguments))
}

async fn rejudge(arguments: &Arguments) -> Result<CommandOutcome, CommandError> {
    let OperatorSession { bus, settle_time } = arguments.nats.operator("rejudge").await?;
    let ids = match (&arguments.question, arguments.since) {
        (Some(question), Some(since)) => of_question(&bus, question, since).await?,
        _ => arguments.ids.clone(),
    };
    let rejudger = Rejudger::new(bus, operator_name(), settle_time);
    let mut end = CommandOutcome::Done;
    for id in ids {
        let begun = rejudger.rejudge(&id, &arguments.reason, arguments.dry_run).await;
        end = end.and(print_generation(&id, begun, arguments.dry_run, arguments.json)?);
    }
    Ok(end)
}

/// Known before the first is rejudged, which queues it once more.
async fn of_question(bus: &Bus, question: &QuestionId, since: Since) -> anyhow::Result<Vec<SubmissionId>> {
    let (mut ids, mut known) = (Vec::new(), HashSet::new());
    let mut submissions = Inspector::of(bus).submissions_to(question, since.0);
    while let Some(id) = submissions.next().await? {
        if known.insert(id.clone()) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Prints what happened to one submission. Returns an error if NATS failed, so that the rest is not tried.
pub(crate) fn print_generation(
    id: &SubmissionId,
    begun: Result<NewGeneration, RejudgeError>,
    is_dry_run: bool,
    as_json: bool,
) -> anyhow::Result<CommandOutcome> {
    let begun = match begun {
        Ok(begun) => begun,
        Err(error) if error.is_outage() => bail!("{id}: {}", Cause::from(error)),
        Err(error) => {
            if as_json {
                let object = json!({ "id": id.as_str(), "outcome": "refused", "reason": error.to_string() });
                print_line(&object.to_string());
            } else {
                eprintln!("{id}: refused: {error}");
            }
            return Ok(CommandOutcome::Refused);
        }
    };
    let outcome = match begun {
        _ if is_dry_run => "would begin",
        NewGeneration { resumed: true, .. } => "resumed",
        NewGeneration { resumed: false, .. } => "begun",
    };
    let (generation, stage) = (begun.generation.number(), begun.from.as_str());
    if as_json {
        let object =
            json!({ "id": id.as_str(), "outcome": outcome, "generation": generation, "stage": stage });
        print_line(&object.to_string());
    } else {
        print_line(&format!("{id}: generation {generation} {outcome}, at the {stage}"));
    }
    Ok(CommandOutcome::Done)
}
