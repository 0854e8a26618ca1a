//! Somebody who runs `gavel rejudge` and `gavel dead retry`, the command itself, while everything goes wrong: who is
//! refused tries again, and who is killed in the middle runs the same once more.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use gavel_bus::topology::Stream;
use gavel_testkit::Process;
use gavel_testkit::process::built_binary;
use serde_json::Value;
use tokio::time::Instant;

use crate::plan::{Again, Submission};
use crate::programs::CORRECTED;
use crate::world::World;

/// How long a command may take.
const COMMAND: Duration = Duration::from_mins(1);
/// Between two tries of a command.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a submission may take until it can be judged again, or has a dead letter: as long as Convex may take to be told.
const PATIENCE: Duration = Duration::from_mins(7);
/// A call that had no answer has taken effect after this time: longer than a reporter is frozen and a result is held up,
/// together.
const SETTLES: [(&str, &str); 2] = [("REQUEST_TIMEOUT_MS", "3000"), ("RUNNING_LINGER_MS", "16000")];
/// The exit codes of the commands, see their help.
const REFUSED: i32 = 1;
const UNAVAILABLE: i32 = 69;

/// What was begun, as the commands said it.
#[derive(Debug, Default)]
pub(crate) struct Operator {
    begun: Mutex<BTreeMap<String, u64>>,
}

/// How a command ended.
enum End {
    Done,
    /// Those of these submissions, and the reasons.
    Refused(Vec<(String, String)>),
    /// NATS could not be reached, or it was killed.
    Unknown,
}

impl Operator {
    /// The newest generation of each submission that a command has begun.
    pub(crate) fn begun(&self) -> BTreeMap<String, u64> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has a submission judged again, as often as planned.
    pub(crate) async fn rejudge(
        &self,
        world: &World,
        submission: &Submission,
        again: &[Again],
    ) -> Result<()> {
        for Again { after, cut_off } in again {
            tokio::time::sleep(*after).await;
            self.until_done(world, &["rejudge", &submission.id], *cut_off).await?;
        }
        Ok(())
    }

    /// Waits for the dead letter of a submission.
    pub(crate) async fn wait_letter(&self, world: &World, id: &str) -> Result<()> {
        let there = async || has_letter(world, id).await.unwrap_or(false);
        gavel_testkit::wait_until("its dead letter", PATIENCE, there).await?;
        Ok(())
    }

    /// Has a submission go on from its dead letter.
    pub(crate) async fn retry(&self, world: &World, id: &str, cut_off: Option<Duration>) -> Result<()> {
        self.until_done(world, &["dead", "retry", id], cut_off).await?;
        if has_letter(world, id).await? {
            bail!("{id} was retried and its dead letter is still there");
        }
        Ok(())
    }

    /// Has all submissions of the corrected question judged again.
    pub(crate) async fn rejudge_corrected(&self, world: &World) -> Result<()> {
        let all = ["rejudge", "--question", CORRECTED, "--since", "1day"];
        let deadline = Instant::now() + PATIENCE;
        let mut left = loop {
            match self.run(world, &all, None).await? {
                End::Done => return Ok(()),
                End::Refused(refused) => break refused,
                End::Unknown if Instant::now() > deadline => bail!("{all:?} does not come to its end"),
                End::Unknown => tokio::time::sleep(PAUSE).await,
            }
        };
        while let Some((id, _)) = left.pop() {
            self.until_done(world, &["rejudge", &id], None).await?;
        }
        Ok(())
    }

    /// Runs a command on one submission until it has done what it is for.
    async fn until_done(&self, world: &World, command: &[&str], mut cut_off: Option<Duration>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let (mut was_cut_off, mut told) = (false, String::new());
        loop {
            let end = self.run(world, command, cut_off.take()).await?;
            let why = match end {
                End::Done => return Ok(()),
                // One that was killed, or had no answer, may have done all of it: then there is nothing to retry.
                End::Refused(_)
                    if was_cut_off && command[0] == "dead" && !has_letter(world, command[2]).await? =>
                {
                    return Ok(());
                }
                End::Refused(refused) => refused.into_iter().map(|(_, reason)| reason).collect(),
                End::Unknown => {
                    was_cut_off = true;
                    "no answer".to_owned()
                }
            };
            if Instant::now() > deadline {
                bail!("gavel {} does not come to its end: {why}", command.join(" "));
            }
            // The seconds left differ; the rest is said once.
            let kind: String = why.chars().filter(|c| !c.is_ascii_digit()).collect();
            if told != kind {
                world.journal.say(format_args!("gavel {}: {why}", command.join(" ")));
                told = kind;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn run(&self, world: &World, command: &[&str], cut_off: Option<Duration>) -> Result<End> {
        let process = Process::builder(built_binary("gavel")?)
            .args(command)
            .arg("--json")
            .env("NATS_URL", &world.urls)
            .envs(SETTLES)
            .start()?;
        let said = command.join(" ");
        if let Some(after) = cut_off {
            tokio::time::sleep(after).await;
            process.kill().await?;
            world.journal.say(format_args!("SIGKILL gavel {said}"));
            return Ok(End::Unknown);
        }
        let status = process.wait_exit(COMMAND).await?;
        let lines: Vec<Value> = process.log().iter().filter_map(gavel_testkit::LogLine::json).collect();
        let field = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let mut refused = Vec::new();
        for line in &lines {
            let id = field(line, "id");
            match line["generation"].as_u64() {
                Some(generation) => {
                    world.journal.say(format_args!(
                        "gavel {said}: {id}, generation {generation} {}",
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
            // About a question of which nothing was taken there is nothing to say.
            Some(0) if !lines.is_empty() || command.contains(&"--question") => Ok(End::Done),
            Some(REFUSED) if !refused.is_empty() => Ok(End::Refused(refused)),
            Some(UNAVAILABLE) => Ok(End::Unknown),
            _ => {
                let text: Vec<_> = process.log().into_iter().map(|line| line.text).collect();
                bail!("gavel {said} ended with {status}: {}", text.join(" / "))
            }
        }
    }
}

/// Whether its first generation has a dead letter, asked until a server answers.
async fn has_letter(world: &World, id: &str) -> Result<bool> {
    let (subject, mut letter) = (format!("submission.dead.{id}"), None);
    let answered = async || {
        letter = world.last_on(Stream::DeadLetter, &subject).await.ok();
        letter.is_some()
    };
    gavel_testkit::wait_until("an answer about dead letters", PATIENCE, answered).await?;
    Ok(letter.flatten().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::timeline::{LATE_RESULT_MS, OVERSLEEP_MS};

    #[test]
    fn nothing_takes_effect_after_the_next_generation_may_begin() {
        let settled: u64 = SETTLES.iter().map(|(_, ms)| ms.parse::<u64>().unwrap()).sum();
        assert!(settled > LATE_RESULT_MS + OVERSLEEP_MS.end, "{settled}");
    }
}
