//! An operator who runs `gavel rejudge` and `gavel dead retry` during the faults. A refused command is run again
//! later, and a killed one is run again as it was.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use gavel_bus::topology::Stream;
use gavel_domain::Backoff;
use gavel_testkit::Process;
use gavel_testkit::process::built_binary;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::pipeline::Pipeline;
use crate::plan::{Rejudging, Submission};
use crate::programs::CORRECTED;

/// The timeout of a command.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(1);
/// The delays between the attempts of a command. The commands of all submissions that wait would take the CPU from the pipeline.
const RETRY_DELAY: Backoff = Backoff { base: Duration::from_secs(4), cap: Duration::from_secs(30) };
/// How many commands run at once. Those of hundreds of submissions that wait would take the CPU from the judges.
const MAX_COMMANDS: usize = 2;
/// How long a submission may take until it can be rejudged or has a dead letter: as long as its result callback may
/// take.
const SETTLE_TIMEOUT: Duration = Duration::from_mins(7);
/// Settings from which the commands compute when a call without an answer can no longer take effect. Together they
/// are longer than a reporter is frozen and a result is delayed.
const SETTLE_SETTINGS: [(&str, &str); 2] = [("REQUEST_TIMEOUT_MS", "3000"), ("RUNNING_LINGER_MS", "16000")];
/// Exit codes of the commands, as in their help.
const EXIT_REFUSED: i32 = 1;
const EXIT_UNAVAILABLE: i32 = 69;

/// Runs commands, and records the generations that they reported to have begun.
#[derive(Debug)]
pub(crate) struct Operator {
    begun: Mutex<BTreeMap<String, u64>>,
    free_commands: Semaphore,
}

/// The result of a command.
enum CommandResult {
    Done,
    /// These submissions were refused, with the reasons.
    Refused(Vec<(String, String)>),
    /// NATS was unreachable, or the command was killed.
    Unknown,
}

impl Operator {
    /// An operator who has run nothing yet.
    pub(crate) fn new() -> Self {
        Self { begun: Mutex::default(), free_commands: Semaphore::new(MAX_COMMANDS) }
    }

    /// Returns the newest generation of each submission that a command has begun.
    pub(crate) fn begun(&self) -> BTreeMap<String, u64> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Rejudges a submission as often as planned.
    pub(crate) async fn rejudge(
        &self,
        pipeline: &Pipeline,
        submission: &Submission,
        rejudgings: &[Rejudging],
    ) -> Result<()> {
        for Rejudging { after, kill_after } in rejudgings {
            tokio::time::sleep(*after).await;
            self.run_until_done(pipeline, &["rejudge", &submission.id], *kill_after).await?;
        }
        Ok(())
    }

    /// Waits for the dead letter of a submission.
    pub(crate) async fn wait_dead_letter(&self, pipeline: &Pipeline, id: &str) -> Result<()> {
        let exists = async || has_dead_letter(pipeline, id).await.unwrap_or(false);
        gavel_testkit::wait_until("its dead letter", SETTLE_TIMEOUT, exists).await?;
        Ok(())
    }

    /// Retries the dead letter of a submission.
    pub(crate) async fn retry(
        &self,
        pipeline: &Pipeline,
        id: &str,
        kill_after: Option<Duration>,
    ) -> Result<()> {
        self.run_until_done(pipeline, &["dead", "retry", id], kill_after).await?;
        if has_dead_letter(pipeline, id).await? {
            bail!("{id} was retried, but its dead letter still exists");
        }
        Ok(())
    }

    /// Rejudges all submissions of the corrected question.
    pub(crate) async fn rejudge_corrected(&self, pipeline: &Pipeline) -> Result<()> {
        self.run_until_done(pipeline, &["rejudge", "--question", CORRECTED, "--since", "1day"], None).await
    }

    /// Runs a command until it succeeds: on one submission, or on those that are left.
    async fn run_until_done(
        &self,
        pipeline: &Pipeline,
        command: &[&str],
        mut kill_after: Option<Duration>,
    ) -> Result<()> {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        let (mut was_killed, mut logged_kind) = (false, String::new());
        let mut attempt = 0;
        loop {
            attempt += 1;
            let result = self.run(pipeline, command, kill_after.take()).await?;
            let reason = match result {
                CommandResult::Done => return Ok(()),
                // A command that was killed, or had no answer, may have done everything: then there is nothing to
                // retry.
                CommandResult::Refused(_)
                    if was_killed
                        && command[0] == "dead"
                        && !has_dead_letter(pipeline, command[2]).await? =>
                {
                    return Ok(());
                }
                CommandResult::Refused(refused) => refused.into_iter().map(|(_, reason)| reason).collect(),
                CommandResult::Unknown => {
                    was_killed = true;
                    "no answer".to_owned()
                }
            };
            if Instant::now() > deadline {
                bail!("gavel {} did not succeed in time: {reason}", command.join(" "));
            }
            // Each reason is logged once; the seconds left differ each time.
            let kind: String = reason.chars().filter(|c| !c.is_ascii_digit()).collect();
            if logged_kind != kind {
                pipeline.run_log.info(format_args!("gavel {}: {reason}", command.join(" ")));
                logged_kind = kind;
            }
            tokio::time::sleep(RETRY_DELAY.delay(attempt, rand::random())).await;
        }
    }

    async fn run(
        &self,
        pipeline: &Pipeline,
        command: &[&str],
        kill_after: Option<Duration>,
    ) -> Result<CommandResult> {
        let _free = self.free_commands.acquire().await?;
        let process = Process::builder(built_binary("gavel")?)
            .args(command)
            .arg("--json")
            .envs(pipeline.servers[0].login("ops"))
            .env("NATS_URL", &pipeline.urls)
            .envs(SETTLE_SETTINGS)
            .start()?;
        let text = command.join(" ");
        if let Some(after) = kill_after {
            tokio::time::sleep(after).await;
            process.kill().await?;
            pipeline.run_log.info(format_args!("SIGKILL gavel {text}"));
            return Ok(CommandResult::Unknown);
        }
        let status = process.wait_exit(COMMAND_TIMEOUT).await?;
        let lines: Vec<Value> = process.log().iter().filter_map(gavel_testkit::LogLine::json).collect();
        let field = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let mut refused = Vec::new();
        for line in &lines {
            let id = field(line, "id");
            match line["generation"].as_u64() {
                Some(generation) => {
                    pipeline.run_log.info(format_args!(
                        "gavel {text}: {id}, generation {generation} {}",
                        field(line, "outcome")
                    ));
                    let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
                    let newest = begun.entry(id).or_default();
                    *newest = generation.max(*newest);
                }
                None if line["outcome"] == "refused" => refused.push((id, field(line, "reason"))),
                None => {}
            }
        }
        match status.code() {
            // If no submission of the question was accepted, there is no output.
            Some(0) if !lines.is_empty() || command.contains(&"--question") => Ok(CommandResult::Done),
            Some(EXIT_REFUSED) if !refused.is_empty() => Ok(CommandResult::Refused(refused)),
            Some(EXIT_UNAVAILABLE) => Ok(CommandResult::Unknown),
            _ => {
                let output: Vec<_> = process.log().into_iter().map(|line| line.text).collect();
                bail!("gavel {text} ended with {status}: {}", output.join(" / "))
            }
        }
    }
}

/// Whether the first generation of a submission has a dead letter. Asks until a server answers.
async fn has_dead_letter(pipeline: &Pipeline, id: &str) -> Result<bool> {
    let (subject, mut dead_letter) = (format!("submission.dead.{id}"), None);
    let answered = async || {
        dead_letter = pipeline.last_on(Stream::DeadLetter, &subject).await.ok();
        dead_letter.is_some()
    };
    gavel_testkit::wait_until("an answer about dead letters", SETTLE_TIMEOUT, answered).await?;
    Ok(dead_letter.flatten().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::timeline::{LATE_RESULT_MS, LONG_FREEZE_MS};

    #[test]
    fn calls_have_taken_effect_before_the_next_generation_may_begin() {
        let settled: u64 = SETTLE_SETTINGS.iter().map(|(_, ms)| ms.parse::<u64>().unwrap()).sum();
        assert!(settled > LATE_RESULT_MS + LONG_FREEZE_MS.end, "{settled}");
    }
}
