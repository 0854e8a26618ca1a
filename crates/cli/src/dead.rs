//! `gavel dead`: lists, shows, retries and drops dead letters.

mod show;

use std::collections::HashSet;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Subcommand, ValueEnum};
use gavel_describe::dead_letter::summary;
use gavel_domain::SubmissionId;
use gavel_domain::event::Stage;
use gavel_inspect::{Inspector, Rejudger, Since, to_retry};
use serde_json::json;

use crate::exit::{self, CommandError, CommandOutcome};
use crate::output::print_line;
use crate::rejudge::{print_generation, submission_id};
use crate::session::{NatsOptions, OperatorSession, operator_name};
use crate::time::parse_since;

/// List, show, retry or drop dead letters
///
/// A dead letter is a message that failed permanently, stored with its cause.
#[derive(Args)]
#[command(after_long_help = "Exit codes:\n  0   done\n  1   some were refused or do not exist\n  \
    64  invalid arguments or configuration\n  69  NATS is unreachable")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Print one JSON object per line
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    nats: NatsOptions,
}

#[derive(Subcommand)]
enum Action {
    /// List dead letters, oldest first
    List {
        /// Only dead letters of this stage
        #[arg(long, value_enum)]
        stage: Option<StageArgument>,
        /// Only dead letters since then: an age such as 1h, or a UTC time
        #[arg(long, value_name = "TIME", value_parser = parse_since)]
        since: Option<Since>,
    },
    /// Show the dead letters of a submission: cause, history and content
    Show {
        /// Id of the submission
        #[arg(value_parser = submission_id)]
        id: SubmissionId,
        /// Print the source code, too
        #[arg(long)]
        show_source: bool,
    },
    /// Continue submissions from the stage that failed, as a new generation
    Retry {
        /// Ids of the submissions
        #[arg(value_parser = submission_id, required_unless_present_any = ["stage", "since"])]
        ids: Vec<SubmissionId>,
        /// Retry all dead letters of this stage
        #[arg(long, value_enum, conflicts_with = "ids")]
        stage: Option<StageArgument>,
        /// Retry all dead letters since then: an age such as 1h, or a UTC time
        #[arg(long, value_name = "TIME", value_parser = parse_since, conflicts_with = "ids")]
        since: Option<Since>,
    },
    /// Delete the dead letters of submissions permanently
    Drop {
        /// Ids of the submissions
        #[arg(value_parser = submission_id, required = true)]
        ids: Vec<SubmissionId>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum StageArgument {
    Fetcher,
    Judge,
    Reporter,
}

impl From<StageArgument> for Stage {
    fn from(stage: StageArgument) -> Self {
        match stage {
            StageArgument::Fetcher => Self::Fetcher,
            StageArgument::Judge => Self::Judge,
            StageArgument::Reporter => Self::Reporter,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    exit::run("dead", dead(arguments))
}

async fn dead(arguments: &Arguments) -> Result<CommandOutcome, CommandError> {
    let json = arguments.json;
    let OperatorSession { bus, settle_time } = arguments.nats.operator("dead").await?;
    let inspector = Inspector::of(&bus);
    let outcome = match &arguments.action {
        Action::List { stage, since } => list(&inspector, stage.map(Stage::from), *since, json).await?,
        Action::Show { id, show_source } => show::show(&inspector, id, *show_source, json).await?,
        Action::Retry { ids, stage, since } => {
            let stage = stage.map(Stage::from);
            let ids = if ids.is_empty() { selected(&inspector, stage, *since).await? } else { ids.clone() };
            let rejudger = Rejudger::new(bus, operator_name(), settle_time);
            retry(&inspector, &rejudger, &ids, stage, json).await?
        }
        Action::Drop { ids } => drop_all(&inspector, ids, json).await?,
    };
    Ok(outcome)
}

async fn list(
    inspector: &Inspector,
    stage: Option<Stage>,
    since: Option<Since>,
    json: bool,
) -> anyhow::Result<CommandOutcome> {
    let mut dead_letters = inspector.dead_letters(since.map(|since| since.time(SystemTime::now())));
    while let Some(dead_letter) = dead_letters.next().await? {
        if dead_letter.is_of_stage(stage) {
            print_line(&if json { summary(&dead_letter).to_string() } else { show::line(&dead_letter) });
        }
    }
    Ok(CommandOutcome::Done)
}

/// Returns the submissions of the selected dead letters. A dead letter without a valid submission key is left out: it cannot
/// be retried.
async fn selected(
    inspector: &Inspector,
    stage: Option<Stage>,
    since: Option<Since>,
) -> anyhow::Result<Vec<SubmissionId>> {
    let (mut ids, mut known) = (Vec::new(), HashSet::new());
    let mut dead_letters = inspector.dead_letters(since.map(|since| since.time(SystemTime::now())));
    while let Some(dead_letter) = dead_letters.next().await? {
        if dead_letter.is_of_stage(stage)
            && let Some(key) = dead_letter.submission_key()
            && known.insert(key.id.clone())
        {
            ids.push(key.id);
        }
    }
    Ok(ids)
}

async fn retry(
    inspector: &Inspector,
    rejudger: &Rejudger,
    ids: &[SubmissionId],
    stage: Option<Stage>,
    json: bool,
) -> anyhow::Result<CommandOutcome> {
    let mut outcome = CommandOutcome::Done;
    for id in ids {
        let dead_letters = inspector.dead_letters_of(id).await?;
        let Some(dead_letter) = to_retry(&dead_letters, stage) else {
            print_missing(id, json);
            outcome = CommandOutcome::Refused;
            continue;
        };
        outcome = outcome.and(print_generation(id, rejudger.retry(dead_letter).await, false, json, None)?);
    }
    Ok(outcome)
}

async fn drop_all(inspector: &Inspector, ids: &[SubmissionId], json: bool) -> anyhow::Result<CommandOutcome> {
    let mut outcome = CommandOutcome::Done;
    for id in ids {
        let dead_letters = inspector.dead_letters_of(id).await?;
        if dead_letters.is_empty() {
            print_missing(id, json);
            outcome = CommandOutcome::Refused;
            continue;
        }
        for dead_letter in &dead_letters {
            inspector.remove_dead_letter(dead_letter).await?;
        }
        let count = dead_letters.len();
        if json {
            print_line(&json!({ "id": id.as_str(), "outcome": "dropped", "letters": count }).to_string());
        } else {
            print_line(&format!("{id}: {count} dropped"));
        }
    }
    Ok(outcome)
}

fn print_missing(id: &SubmissionId, json: bool) {
    if json {
        print_line(
            &json!({ "id": id.as_str(), "outcome": "refused", "reason": "no such dead letter" }).to_string(),
        );
    } else {
        eprintln!("{id}: no such dead letter");
    }
}
