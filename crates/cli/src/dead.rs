//! `gavel dead`: looks at dead letters, sends them again, drops them.

mod show;

use std::collections::HashSet;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use gavel_domain::SubmissionId;
use gavel_domain::event::Stage;
use gavel_inspect::{Inspector, Rejudger, StoredDeadLetter};
use serde_json::json;

use crate::exit::{self, CommandError, CommandOutcome};
use crate::output::print_line;
use crate::rejudge::{print_generation, submission_id};
use crate::session::{NatsOptions, OperatorSession, operator_name};
use crate::time::Since;

/// Looks at what could not be processed, sends it again, or drops it.
///
/// Exit codes: 0 done, 1 some refused or not there, 64 wrong use, 69 NATS cannot be reached.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Print one JSON object a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    nats: NatsOptions,
}

#[derive(Subcommand)]
enum Action {
    /// All of them, oldest first.
    List {
        /// Only those of this stage.
        #[arg(long, value_enum)]
        stage: Option<StageArgument>,
        /// Only those given up since: an age such as 1h, or a UTC time.
        #[arg(long)]
        since: Option<Since>,
    },
    /// One submission's: why, what happened before, and what the message holds.
    Show {
        /// The submission.
        #[arg(value_parser = submission_id)]
        id: SubmissionId,
        /// Print the program too.
        #[arg(long)]
        show_source: bool,
    },
    /// Lets submissions go on from the stage that gave them up, as a new generation.
    Retry {
        /// Submissions.
        #[arg(value_parser = submission_id, required_unless_present_any = ["stage", "since"])]
        ids: Vec<SubmissionId>,
        /// All that this stage gave up.
        #[arg(long, value_enum, conflicts_with = "ids")]
        stage: Option<StageArgument>,
        /// All that were given up since: an age such as 1h, or a UTC time.
        #[arg(long, conflicts_with = "ids")]
        since: Option<Since>,
    },
    /// Removes submissions' dead letters for good.
    Drop {
        /// Submissions.
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

/// Whether a letter is of this stage, where one is asked for.
fn is_of(letter: &StoredDeadLetter, stage: Option<Stage>) -> bool {
    stage.is_none_or(|stage| letter.dead_letter.as_ref().is_some_and(|dead| dead.stage == stage))
}

async fn list(
    inspector: &Inspector,
    stage: Option<Stage>,
    since: Option<Since>,
    json: bool,
) -> anyhow::Result<CommandOutcome> {
    let mut letters = inspector.dead_letters(since.map(|since| since.0));
    while let Some(letter) = letters.next().await? {
        if is_of(&letter, stage) {
            print_line(&if json { show::summary(&letter).to_string() } else { show::line(&letter) });
        }
    }
    Ok(CommandOutcome::Done)
}

/// The submissions of the letters that are asked for. Letters of no submission cannot go on.
async fn selected(
    inspector: &Inspector,
    stage: Option<Stage>,
    since: Option<Since>,
) -> anyhow::Result<Vec<SubmissionId>> {
    let (mut ids, mut known) = (Vec::new(), HashSet::new());
    let mut letters = inspector.dead_letters(since.map(|since| since.0));
    while let Some(letter) = letters.next().await? {
        if is_of(&letter, stage)
            && let Some(key) = letter.submission_key()
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
    let mut end = CommandOutcome::Done;
    for id in ids {
        let letters = inspector.dead_letters_of(id).await?;
        // What died early may have died once more with its error; the newest generation is what counts.
        let place = |letter: &&StoredDeadLetter| {
            let generation = letter.submission_key().map(|key| std::cmp::Reverse(key.generation));
            (generation.is_none(), generation, letter.dead_letter.as_ref().map(|dead| dead.stage))
        };
        let Some(letter) = letters.iter().filter(|letter| is_of(letter, stage)).min_by_key(place) else {
            absent(id, json);
            end = CommandOutcome::Refused;
            continue;
        };
        end = end.and(print_generation(id, rejudger.retry(letter).await, false, json)?);
    }
    Ok(end)
}

async fn drop_all(inspector: &Inspector, ids: &[SubmissionId], json: bool) -> anyhow::Result<CommandOutcome> {
    let mut end = CommandOutcome::Done;
    for id in ids {
        let letters = inspector.dead_letters_of(id).await?;
        if letters.is_empty() {
            absent(id, json);
            end = CommandOutcome::Refused;
            continue;
        }
        for letter in &letters {
            inspector.remove_dead_letter(letter).await?;
        }
        let count = letters.len();
        if json {
            print_line(&json!({ "id": id.as_str(), "outcome": "dropped", "letters": count }).to_string());
        } else {
            print_line(&format!("{id}: {count} dropped"));
        }
    }
    Ok(end)
}

fn absent(id: &SubmissionId, json: bool) {
    if json {
        print_line(
            &json!({ "id": id.as_str(), "outcome": "refused", "reason": "there is no such dead letter" })
                .to_string(),
        );
    } else {
        eprintln!("{id}: there is no such dead letter");
    }
}
