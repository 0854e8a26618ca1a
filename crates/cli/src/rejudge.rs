//! `gavel rejudge`: has submissions judged again, each as a new generation of itself.

use std::collections::HashSet;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use gavel_bus::{Bus, Generations};
use gavel_domain::{QuestionId, SubmissionId};

use crate::link::Link;
use crate::operate::{self, End, Since, say_begun, who};

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
    link: Link,
}

pub(crate) fn submission_id(text: &str) -> Result<SubmissionId, String> {
    SubmissionId::new(text).map_err(|error| format!("a submission's id {error}"))
}

fn question_id(text: &str) -> Result<QuestionId, String> {
    QuestionId::new(text).map_err(|error| format!("a question's id {error}"))
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    operate::run("rejudge", &arguments.link, async |bus, settles_after| {
        rejudge(arguments, bus, settles_after).await
    })
}

async fn rejudge(arguments: &Arguments, bus: Bus, settles_after: Duration) -> anyhow::Result<End> {
    let ids = match (&arguments.question, arguments.since) {
        (Some(question), Some(since)) => of_question(&bus, question, since).await?,
        _ => arguments.ids.clone(),
    };
    let generations = Generations::new(bus, who(), settles_after);
    let mut end = End::Done;
    for id in ids {
        let begun = generations.rejudge(&id, &arguments.reason, arguments.dry_run).await;
        end = end.and(say_begun(&id, begun, arguments.dry_run, arguments.json)?);
    }
    Ok(end)
}

/// Known before the first is rejudged, which queues it once more.
async fn of_question(bus: &Bus, question: &QuestionId, since: Since) -> anyhow::Result<Vec<SubmissionId>> {
    let (mut ids, mut known) = (Vec::new(), HashSet::new());
    let mut submitted = bus.submitted(since.0);
    while let Some(id) = submitted.next(question).await? {
        if known.insert(id.clone()) {
            ids.push(id);
        }
    }
    Ok(ids)
}
