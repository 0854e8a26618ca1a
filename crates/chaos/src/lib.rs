//! The proof of the invariants: the line as it ships, under faults, from a seed.
//!
//! Every process is the real one: two of fetcher, judge and reporter, an ingress, nats-server. Only Convex is a
//! double, which records each call and misbehaves. A [`Plan`](plan::Plan), made from the seed alone, says what is
//! submitted and what goes wrong. At the end everything is mended, and a run waits until nothing moves any more; then
//! it checks what was promised. It never ships.

mod check;
mod evidence;
mod faults;
mod garbage;
mod journal;
mod load;
mod operator;
pub mod plan;
mod poison;
pub mod programs;
mod service;
mod told;
mod usage;
mod world;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

pub use check::Tally;

use garbage::Garbage;
use journal::Journal;
use load::Accepted;
use operator::Operator;
use plan::{Asked, Plan};
use world::World;

/// How long the first submissions may take, with nothing wrong.
const WARM_UP: Duration = Duration::from_mins(2);
/// How often a run says how far it is.
const PULSE: Duration = Duration::from_secs(5);

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The last line's figures.
    pub tally: Tally,
    /// All that must not be; empty is what a run wants to see.
    pub wrong: Vec<String>,
    /// Where the evidence is, if anything is wrong.
    pub evidence: Option<PathBuf>,
}

/// Runs a plan from its start to its checks; nothing where it is interrupted. Evidence of a failure is kept below the
/// directory. What was started has ended when it returns.
///
/// # Errors
/// Where the run itself cannot be made, over a program that is missing for instance.
pub async fn run(
    asked: &Asked,
    evidence: &Path,
    interruption: impl Future<Output = ()>,
) -> Result<Option<Outcome>> {
    let journal = Journal::default();
    let plan = Plan::of(asked);
    journal.say(format_args!(
        "seed {}: {} submissions and {} faults in {} s, on {}",
        asked.seed,
        plan.submissions.len(),
        plan.faults.len(),
        asked.lasts.as_secs(),
        if asked.cluster { "three servers" } else { "one server" },
    ));
    let mut interruption = std::pin::pin!(interruption);
    let world = tokio::select! {
        world = World::start(asked, &journal) => world.context("the line does not start")?,
        () = &mut interruption => return Ok(None),
    };
    let checked = tokio::select! {
        checked = run_in(&world, &plan) => Some(checked),
        () = interruption => None,
    };
    let outcome = checked.map(|checked| conclude(&world, checked, evidence, asked.seed)).transpose();
    world.stop().await;
    outcome
}

async fn run_in(world: &World, plan: &Plan) -> Result<Tally> {
    let (accepted, garbage, operator) = (Accepted::default(), Garbage::default(), Operator::default());
    let warm_up = plan::warm_up();
    let refusals = load::refuse(world, &plan.submissions);
    load::send(world, &warm_up, Instant::now(), &refusals, &accepted, &operator).await;
    let ids: Vec<String> = warm_up.into_iter().map(|submission| submission.id).collect();
    world.convex.wait_all_final(&ids, WARM_UP).await.context("with nothing wrong")?;
    let before = usage::all(world);
    world.journal.say("warm; from here on things go wrong");
    let began = Instant::now();
    tokio::select! {
        _ = async {
            tokio::join!(
                load::send(world, &plan.submissions, began, &refusals, &accepted, &operator),
                faults::inject(world, plan, began, &garbage),
            )
        } => {}
        () = pulse(world, &accepted) => {}
    }
    for (answer, count) in accepted.answers() {
        world.journal.say(format_args!("the ingress answered {count} × {answer}"));
    }
    world.journal.say("all is mended; waiting for quiet");
    world.wait_ready().await?;
    let accepted = accepted.all();
    check::wait_quiet(world, &accepted).await;
    correct_at_last(world, &operator).await?;
    check::wait_quiet(world, &accepted).await;
    let tally = check::tally(world, &accepted, &operator.begun()).await?;
    check::dead_letters(world, &garbage.subjects()).await?;
    usage::check(world, &before).await;
    world.services.iter().for_each(service::Service::check_alive);
    for path in world.convex.wrong_paths() {
        world.journal.wrong(format_args!("Convex was called at {path}"));
    }
    Ok(tally)
}

/// The question is right from now on, and all of its submissions are judged again.
async fn correct_at_last(world: &World, operator: &Operator) -> Result<()> {
    faults::correct(world, programs::CORRECTIONS[0]);
    operator.rejudge_corrected(world).await
}

async fn pulse(world: &World, accepted: &Accepted) {
    loop {
        tokio::time::sleep(PULSE).await;
        let (accepted, last) = (accepted.count(), world.convex.finals());
        world.journal.say(format_args!("{accepted} accepted, {last} final"));
    }
}

fn conclude(world: &World, checked: Result<Tally>, evidence: &Path, seed: u64) -> Result<Outcome> {
    let tally = checked.unwrap_or_else(|error| {
        world.journal.wrong(format_args!("the run did not come to its end: {error:#}"));
        Tally::default()
    });
    let wrong = world.journal.all_wrong();
    let kept = (!wrong.is_empty()).then(|| evidence::keep(world, evidence, seed)).transpose();
    let evidence = kept.context("the evidence cannot be written")?;
    Ok(Outcome { tally, wrong, evidence })
}
