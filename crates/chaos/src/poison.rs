//! A program that takes its judge down each time: no program can, so it is we who kill each judge that runs it.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::operator::Operator;
use crate::plan::Role;
use crate::programs::POISON_NAME;
use crate::service::Service;
use crate::world::World;

/// How often the judges are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// For how long a judge is gone.
const DOWN: Duration = Duration::from_millis(300);

/// Kills each judge that runs the poison until there is its dead letter, and has it retried after that.
pub(crate) async fn kill_until_dead(world: &World, id: &str, operator: &Operator) -> Result<()> {
    let (began, is_dead) = (Instant::now(), AtomicBool::new(false));
    let judges = world.services.iter().filter(|service| service.target.role == Role::Judge);
    let kills = futures::future::try_join_all(judges.map(|judge| kill_each_time(world, judge, &is_dead)));
    let dies = async {
        let died = operator.wait_letter(world, id).await;
        is_dead.store(true, Ordering::Relaxed);
        died
    };
    tokio::try_join!(kills, dies)?;
    world.journal.say(format_args!("the poison {id} was given up after {} s", began.elapsed().as_secs()));
    operator.retry(world, id, None).await
}

async fn kill_each_time(world: &World, judge: &Service, is_dead: &AtomicBool) -> Result<()> {
    while !is_dead.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK).await;
        if !runs_poison(judge.process.pid()) {
            continue;
        }
        // Whatever else is being done to it comes to its end first.
        let _turn = world.turn(judge.target).await;
        if runs_poison(judge.process.pid()) {
            world.journal.say(format_args!("SIGKILL {}, which runs a poison", judge.target));
            judge.kill().await?;
            tokio::time::sleep(DOWN).await;
            judge.restart().await?;
        }
    }
    Ok(())
}

/// Whether a process below this one has named itself a poison.
fn runs_poison(pid: u32) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    let is_one =
        fs::read(process.join("cmdline")).is_ok_and(|words| words.starts_with(POISON_NAME.as_bytes()));
    is_one || children(&process).into_iter().any(runs_poison)
}

/// The processes that one has started; none where it is gone.
fn children(process: &Path) -> Vec<u32> {
    let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    let lines = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lines
        .flat_map(|line| line.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_below_that_calls_itself_a_poison_is_found() {
        assert!(!runs_poison(std::process::id()));
        // A shell that starts, and waits for, a process of that name.
        let script = "bash -c 'exec -a poison sleep 60' & wait";
        let mut shell = Command::new("bash").args(["-c", script]).spawn().unwrap();
        let found = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            runs_poison(shell.id())
        });
        for child in children(&Path::new("/proc").join(shell.id().to_string())) {
            Command::new("kill").arg(child.to_string()).status().unwrap();
        }
        shell.wait().unwrap();
        assert!(found);
    }
}
