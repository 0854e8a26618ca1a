//! A program that takes down each judge that runs it. No program can, so the run kills these judges itself.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::operator::Operator;
use crate::pipeline::Pipeline;
use crate::plan::Role;
use crate::programs::POISON_NAME;
use crate::service::Service;

/// How often the processes of the judges are checked.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long a killed judge stays down.
const DOWNTIME: Duration = Duration::from_millis(300);

/// Kills each judge that runs the poison until its dead letter exists, then retries the dead letter.
pub(crate) async fn kill_until_dead(pipeline: &Pipeline, id: &str, operator: &Operator) -> Result<()> {
    let (began, is_dead) = (Instant::now(), AtomicBool::new(false));
    let judges = pipeline.services.iter().filter(|service| service.target.role == Role::Judge);
    let kills =
        futures::future::try_join_all(judges.map(|judge| kill_while_running(pipeline, judge, &is_dead)));
    let dead_letter = async {
        let result = operator.wait_dead_letter(pipeline, id).await;
        is_dead.store(true, Ordering::Relaxed);
        result
    };
    tokio::try_join!(kills, dead_letter)?;
    pipeline.run_log.info(format_args!("the poison {id} was given up after {} s", began.elapsed().as_secs()));
    operator.retry(pipeline, id, None).await
}

async fn kill_while_running(pipeline: &Pipeline, judge: &Service, is_dead: &AtomicBool) -> Result<()> {
    while !is_dead.load(Ordering::Relaxed) {
        tokio::time::sleep(POLL_INTERVAL).await;
        if !runs_poison(judge.process.pid()) {
            continue;
        }
        // Another fault on this judge ends first.
        let _lock = pipeline.lock(judge.target).await;
        if runs_poison(judge.process.pid()) {
            pipeline.run_log.info(format_args!("SIGKILL {}, which runs the poison", judge.target));
            judge.kill().await?;
            tokio::time::sleep(DOWNTIME).await;
            judge.restart().await?;
        }
    }
    Ok(())
}

/// Whether this process or one of its descendants has named itself `poison`.
fn runs_poison(pid: u32) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    let is_poison = fs::read(process.join("cmdline"))
        .is_ok_and(|arguments| arguments.starts_with(POISON_NAME.as_bytes()));
    is_poison || children(&process).into_iter().any(runs_poison)
}

/// Returns the child processes of a process; none if it has exited.
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
    fn descendant_named_poison_is_found() {
        assert!(!runs_poison(std::process::id()));
        // A shell that starts a process of that name and waits for it.
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
