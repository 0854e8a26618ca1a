//! Injects the faults of a plan. Each fault is undone at its end.

use std::time::Duration;

use anyhow::{Context as _, Result};
use gavel_bus::topology::Stream;
use gavel_mock_convex::{Endpoint, Matcher, SubmissionKind};
use gavel_testkit::{SlowConnections, wait_until};
use tokio::time::Instant;

use crate::malformed::MalformedMessages;
use crate::pipeline::Pipeline;
use crate::plan::{ConvexFault, InjectedFault, Plan, PlannedFault, Release, Target};
use crate::programs;

/// How long a server may take to answer again after a fault.
const RECOVERY_TIMEOUT: Duration = Duration::from_mins(2);

/// Injects all faults of a plan at their times, and returns once each is undone.
pub(crate) async fn inject(pipeline: &Pipeline, plan: &Plan, began: Instant, malformed: &MalformedMessages) {
    let each = plan.faults.iter().map(|planned| async move {
        tokio::time::sleep_until(began + planned.at).await;
        let _lock = match planned.fault.target() {
            Some(target) => pipeline.lock(target).await,
            None => None,
        };
        pipeline.run_log.info(planned);
        if let Err(error) = run(pipeline, planned, malformed).await {
            pipeline.run_log.violation(format_args!("cannot inject the fault \"{planned}\": {error:#}"));
        }
    });
    futures::future::join_all(each).await;
}

async fn run(pipeline: &Pipeline, planned: &PlannedFault, malformed: &MalformedMessages) -> Result<()> {
    let lasts = planned.lasts;
    match &planned.fault {
        InjectedFault::Kill(target) => kill(pipeline, *target, lasts).await,
        InjectedFault::Terminate(target) => terminate(pipeline, *target, lasts).await,
        InjectedFault::Freeze(target) => freeze(pipeline, *target, lasts).await,
        InjectedFault::Disconnect(target) => {
            pipeline.service(*target)?.disconnect();
            Ok(())
        }
        InjectedFault::Partition(target) => {
            pipeline.service(*target)?.partition(true);
            tokio::time::sleep(lasts).await;
            pipeline.service(*target)?.partition(false);
            Ok(())
        }
        InjectedFault::Fill(stream) => fill(pipeline, *stream, lasts).await,
        InjectedFault::FullDisk(target) => fill_disk(pipeline, *target, lasts).await,
        InjectedFault::Convex(fault) => {
            inject_convex_fault(pipeline, fault, lasts).await;
            Ok(())
        }
        InjectedFault::Rollout(steps) => roll_out(pipeline, steps, lasts).await,
        InjectedFault::Correct(expected) => {
            correct(pipeline, expected);
            Ok(())
        }
        InjectedFault::SlowConnections(count) => {
            let address = pipeline.ingress().address().borrow().parse()?;
            let _slow = SlowConnections::open(address, *count, "").await;
            tokio::time::sleep(lasts).await;
            Ok(())
        }
        InjectedFault::MalformedMessages(seed) => {
            malformed.publish(pipeline, *seed).await;
            Ok(())
        }
    }
}

/// Makes the corrected question expect this output.
pub(crate) fn correct(pipeline: &Pipeline, expected: &str) {
    for question in programs::corrected(expected) {
        pipeline.convex.put_question(question);
    }
}

/// Replaces services at equal intervals, each once the previous one is ready.
async fn roll_out(pipeline: &Pipeline, steps: &[(Target, Release)], lasts: Duration) -> Result<()> {
    let began = Instant::now();
    for (n, &(target, release)) in (0..).zip(steps) {
        let service = pipeline.service(target)?;
        pipeline.run_log.info(format_args!("{target} is replaced by that of {release}"));
        service.replace(&pipeline.releases, release).await?;
        let ready =
            wait_until("the service", RECOVERY_TIMEOUT, async || service.is_ready(&pipeline.http).await);
        ready.await.with_context(|| format!("{target} is not ready after its replacement"))?;
        let next = lasts.mul_f64(f64::from(n + 1) / f64::from(u32::try_from(steps.len())?));
        tokio::time::sleep_until(began + next).await;
    }
    Ok(())
}

async fn kill(pipeline: &Pipeline, target: Target, down: Duration) -> Result<()> {
    if target.is_service() {
        let service = pipeline.service(target)?;
        service.kill().await?;
        tokio::time::sleep(down).await;
        return service.restart().await;
    }
    let server = pipeline.server(target)?;
    server.kill().await?;
    tokio::time::sleep(down).await;
    Ok(server.restart().await?)
}

async fn terminate(pipeline: &Pipeline, target: Target, down: Duration) -> Result<()> {
    if target.is_service() {
        let service = pipeline.service(target)?;
        service.terminate().await?;
        tokio::time::sleep(down).await;
        return service.restart().await;
    }
    let server = pipeline.server(target)?;
    server.stop().await?;
    tokio::time::sleep(down).await;
    Ok(server.restart().await?)
}

async fn freeze(pipeline: &Pipeline, target: Target, lasts: Duration) -> Result<()> {
    if target.is_service() {
        return pipeline.service(target)?.freeze(lasts).await;
    }
    let server = pipeline.server(target)?;
    server.freeze()?;
    tokio::time::sleep(lasts).await;
    Ok(server.thaw()?)
}

/// Fills a stream by lowering its quota to what it holds. Filling it up to its real quota would take gigabytes, and
/// could not be undone in a stream that denies deletes.
async fn fill(pipeline: &Pipeline, stream: Stream, lasts: Duration) -> Result<()> {
    let Ok(info) = pipeline.stream_info(stream).await else {
        pipeline.run_log.info(format_args!("cannot fill {}: no server answers", stream.name()));
        return Ok(());
    };
    let quota = info.config.max_bytes;
    let used = i64::try_from(info.state.bytes)?.max(1);
    let set = async |bytes| {
        let config = async_nats::jetstream::stream::Config { max_bytes: bytes, ..info.config.clone() };
        pipeline.jetstream.update_stream(config).await
    };
    if let Err(error) = set(used).await {
        pipeline.run_log.info(format_args!("cannot tell whether {} was filled: {error}", stream.name()));
    }
    tokio::time::sleep(lasts).await;
    let restored = wait_until("the quota to be restored", RECOVERY_TIMEOUT, async || {
        set(quota).await.is_ok_and(|info| info.config.max_bytes == quota)
    });
    restored.await.with_context(|| format!("cannot restore the quota of {}", stream.name()))
}

/// Fills the disk of a server, and restarts the server once there is room again, as an operator does after the alert: a
/// stream whose write has failed stores nothing until then.
async fn fill_disk(pipeline: &Pipeline, target: Target, lasts: Duration) -> Result<()> {
    let server = pipeline.server(target)?;
    let Some(disk) = server.disk() else {
        pipeline.run_log.info(format_args!("the disk of {target} is not a small one: skipped"));
        return Ok(());
    };
    disk.fill()?;
    tokio::time::sleep(lasts).await;
    disk.empty()?;
    server.stop().await?;
    Ok(server.restart().await?)
}

async fn inject_convex_fault(pipeline: &Pipeline, fault: &ConvexFault, lasts: Duration) {
    let rules = [SubmissionKind::Standard, SubmissionKind::Personalized].map(|kind| {
        let endpoint = Endpoint { purpose: fault.purpose, kind };
        pipeline.convex.fault(Matcher::of(endpoint).chance(fault.chance), fault.fault.clone())
    });
    tokio::time::sleep(lasts).await;
    for rule in rules {
        pipeline.convex.remove_fault(rule);
    }
}
