//! `gavel rejudge`: judges submissions again, each as a new generation.

use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::bail;
use clap::Args;
use gavel_bus::Cause;
use gavel_domain::time::from_epoch_ms;
use gavel_domain::{QuestionId, SubmissionId};
use gavel_inspect::{NewGeneration, RejudgeError, RejudgePlan, Rejudger, Since};
use serde_json::{Value, json};

use crate::exit::{self, CommandError, CommandOutcome};
use crate::output::print_line;
use crate::session::{NatsOptions, OperatorSession, operator_name};
use crate::time::{format_time, parse_since};

/// Judge submissions again
///
/// Each submission is judged as a new generation, with test cases fetched again. Its last generation must have ended:
/// reported to Convex, or a dead letter. If a callback got no answer, Convex may still apply it, so wait for
/// REQUEST_TIMEOUT_MS plus RUNNING_LINGER_MS, with the values of the reporters. The history covers 72 hours. If the command
/// was interrupted, or refused some submissions, run it again: with --question it continues with those that are left, and
/// judges no submission twice. Once it is complete, the same command judges all of them again, and so does one with another
/// --reason or --since.
#[derive(Args)]
#[command(
    after_long_help = "Exit codes:\n  0   all submissions are judged again\n  1   some were refused\n  \
    64  invalid arguments or configuration\n  69  NATS is unreachable"
)]
pub(crate) struct Arguments {
    /// Ids of the submissions
    #[arg(value_parser = submission_id, required_unless_present = "question", conflicts_with = "question")]
    ids: Vec<SubmissionId>,
    /// Judge all submissions to this question that were queued since --since
    #[arg(long, value_name = "ID", value_parser = question_id, requires = "since")]
    question: Option<QuestionId>,
    /// Start of the time range for --question: an age such as 1h, or a UTC time
    #[arg(long, value_name = "TIME", value_parser = parse_since, requires = "question")]
    since: Option<Since>,
    /// Reason to record
    #[arg(long, value_name = "TEXT", default_value = "rejudged by hand")]
    reason: String,
    /// Print what would be done, without doing it
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object for each submission
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nats: NatsOptions,
}

pub(crate) fn submission_id(text: &str) -> Result<SubmissionId, String> {
    SubmissionId::new(text).map_err(|error| format!("a submission id {error}"))
}

fn question_id(text: &str) -> Result<QuestionId, String> {
    QuestionId::new(text).map_err(|error| format!("a question id {error}"))
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    exit::run("rejudge", rejudge(arguments))
}

async fn rejudge(arguments: &Arguments) -> Result<CommandOutcome, CommandError> {
    let OperatorSession { bus, settle_time } = arguments.nats.operator("rejudge").await?;
    let rejudger = Rejudger::new(bus.clone(), operator_name(), settle_time);
    let plan = match (&arguments.question, arguments.since) {
        (Some(question), Some(since)) => {
            let plan = rejudger.plan_run(question, since, &arguments.reason, SystemTime::now()).await;
            Some(plan.map_err(anyhow::Error::from)?)
        }
        _ => None,
    };
    if let Some(plan) = plan.as_ref().filter(|plan| plan.done > 0) {
        eprintln!("continuing the run of {}: {} done, {} left", began_at(plan), plan.done, plan.left.len());
    }
    let (run, ids) = plan.as_ref().map_or((None, &arguments.ids), |plan| (Some(plan.run), &plan.left));
    let mut outcome = CommandOutcome::Done;
    for id in ids {
        let result = rejudger.rejudge(id, &arguments.reason, run, arguments.dry_run).await;
        let printed = print_generation(id, result, arguments.dry_run, arguments.json, plan.as_ref());
        outcome = outcome.and(printed?);
    }
    Ok(outcome)
}

fn began_at(plan: &RejudgePlan) -> String {
    from_epoch_ms(plan.run.began_at_ms).map(format_time).unwrap_or_default()
}

/// Prints what happened to one submission, as JSON with the run that it belongs to. Returns an error if NATS failed, so that
/// the rest is not tried.
pub(crate) fn print_generation(
    id: &SubmissionId,
    result: Result<NewGeneration, RejudgeError>,
    is_dry_run: bool,
    as_json: bool,
    plan: Option<&RejudgePlan>,
) -> anyhow::Result<CommandOutcome> {
    let print_object = |mut object: Value| {
        if let Some(plan) = plan {
            let (done, left) = (plan.done, plan.left.len());
            object["run"] = json!({ "beganAt": began_at(plan), "done": done, "left": left });
        }
        print_line(&object.to_string());
    };
    let started = match result {
        Ok(started) => started,
        Err(error) if error.is_outage() => bail!("{id}: {}", Cause::from(error)),
        Err(error) => {
            if as_json {
                print_object(json!({ "id": id.as_str(), "outcome": "refused", "reason": error.to_string() }));
            } else {
                eprintln!("{id}: refused: {error}");
            }
            return Ok(CommandOutcome::Refused);
        }
    };
    // The first is the outcome in JSON, the second the same for people.
    let (outcome, text) = match started {
        _ if is_dry_run => ("would begin", "would start"),
        NewGeneration { resumed: true, .. } => ("resumed", "resumed"),
        NewGeneration { resumed: false, .. } => ("begun", "started"),
    };
    let (generation, stage) = (started.generation.number(), started.from.as_str());
    if as_json {
        print_object(
            json!({ "id": id.as_str(), "outcome": outcome, "generation": generation, "stage": stage }),
        );
    } else {
        print_line(&format!("{id}: generation {generation} {text} at the {stage}"));
    }
    Ok(CommandOutcome::Done)
}
