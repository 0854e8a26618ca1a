//! Doing what the plan says, each fault to its end: what it breaks it mends.

use std::time::Duration;

use anyhow::{Context as _, Result};
use gavel_bus::topology::Stream;
use gavel_mock_convex::{Endpoint, Matcher, SubmissionKind};
use gavel_testkit::wait_until;
use tokio::time::Instant;

use crate::garbage::Garbage;
use crate::plan::{Fault, Plan, Planned, Target, Trouble};
use crate::programs;
use crate::world::World;

/// How long a server that was harmed may take to answer again.
const PATIENCE: Duration = Duration::from_mins(2);

/// Injects all faults of a plan in their time, and returns once each is mended.
pub(crate) async fn inject(world: &World, plan: &Plan, began: Instant, garbage: &Garbage) {
    let each = plan.faults.iter().map(|planned| async move {
        tokio::time::sleep_until(began + planned.at).await;
        let _turn = match planned.fault.target() {
            Some(target) => world.turn(target).await,
            None => None,
        };
        world.journal.say(planned);
        if let Err(error) = run(world, planned, garbage).await {
            world.journal.wrong(format_args!("the fault \"{planned}\" went wrong itself: {error:#}"));
        }
    });
    futures::future::join_all(each).await;
}

async fn run(world: &World, planned: &Planned, garbage: &Garbage) -> Result<()> {
    let lasts = planned.lasts;
    match &planned.fault {
        Fault::Kill(target) => kill(world, *target, lasts).await,
        Fault::Terminate(target) => terminate(world, *target, lasts).await,
        Fault::Freeze(target) => freeze(world, *target, lasts).await,
        Fault::Cut(target) => {
            world.service(*target)?.cut();
            Ok(())
        }
        Fault::Silence(target) => {
            world.service(*target)?.silence(true);
            tokio::time::sleep(lasts).await;
            world.service(*target)?.silence(false);
            Ok(())
        }
        Fault::Fill(stream) => fill(world, *stream, lasts).await,
        Fault::Convex(trouble) => {
            convex(world, trouble, lasts).await;
            Ok(())
        }
        Fault::Correct(expected) => {
            correct(world, expected);
            Ok(())
        }
        Fault::Garbage(seed) => {
            garbage.throw(world, *seed).await;
            Ok(())
        }
    }
}

/// Has the question that is corrected expect this.
pub(crate) fn correct(world: &World, expected: &str) {
    for question in programs::corrected(expected) {
        world.convex.put_question(question);
    }
}

async fn kill(world: &World, target: Target, down: Duration) -> Result<()> {
    if target.is_service() {
        let service = world.service(target)?;
        service.kill().await?;
        tokio::time::sleep(down).await;
        return service.restart().await;
    }
    let server = world.server(target)?;
    server.kill().await?;
    tokio::time::sleep(down).await;
    Ok(server.restart().await?)
}

async fn terminate(world: &World, target: Target, down: Duration) -> Result<()> {
    if target.is_service() {
        let service = world.service(target)?;
        service.terminate().await?;
        tokio::time::sleep(down).await;
        return service.restart().await;
    }
    let server = world.server(target)?;
    server.stop().await?;
    tokio::time::sleep(down).await;
    Ok(server.restart().await?)
}

async fn freeze(world: &World, target: Target, lasts: Duration) -> Result<()> {
    if target.is_service() {
        return world.service(target)?.freeze(lasts).await;
    }
    let server = world.server(target)?;
    server.freeze()?;
    tokio::time::sleep(lasts).await;
    Ok(server.thaw()?)
}

/// A stream whose quota is what it holds. To fill it up to its real quota would take gigabytes, and could not be
/// undone where deletes are denied.
async fn fill(world: &World, stream: Stream, lasts: Duration) -> Result<()> {
    let Ok(info) = world.stream_info(stream).await else {
        world.journal.say(format_args!("{} could not be filled: no server answers", stream.name()));
        return Ok(());
    };
    let quota = info.config.max_bytes;
    let used = i64::try_from(info.state.bytes)?.max(1);
    let set = async |bytes| {
        let config = async_nats::jetstream::stream::Config { max_bytes: bytes, ..info.config.clone() };
        world.jetstream.update_stream(config).await
    };
    if let Err(error) = set(used).await {
        world.journal.say(format_args!("{} could perhaps not be filled: {error}", stream.name()));
    }
    tokio::time::sleep(lasts).await;
    let mended = wait_until("a mended quota", PATIENCE, async || {
        set(quota).await.is_ok_and(|info| info.config.max_bytes == quota)
    });
    mended.await.with_context(|| format!("{} stays full", stream.name()))
}

async fn convex(world: &World, trouble: &Trouble, lasts: Duration) {
    let rules = [SubmissionKind::Standard, SubmissionKind::Personalized].map(|kind| {
        let endpoint = Endpoint { purpose: trouble.purpose, kind };
        world.convex.fault(Matcher::of(endpoint).chance(trouble.chance), trouble.how.clone())
    });
    tokio::time::sleep(lasts).await;
    for rule in rules {
        world.convex.lift(rule);
    }
}
