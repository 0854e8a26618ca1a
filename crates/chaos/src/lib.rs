//! Fault injection: runs the real pipeline under faults planned from a seed, and checks the invariants.
//!
//! All processes are real: an ingress, two fetchers, two judges, two reporters and nats-server. Only Convex is a
//! mock, which records each call and injects faults. A [`Plan`](plan::Plan), made from the seed alone, lists the
//! submissions and the faults. At the end all faults are undone, and the run waits until the pipeline is idle and
//! checks the invariants. This crate is not shipped.

mod callbacks;
mod check;
mod evidence;
mod faults;
mod load;
mod malformed;
mod operator;
mod pipeline;
pub mod plan;
mod poison;
pub mod programs;
mod releases;
mod run_log;
mod service;
mod usage;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

pub use check::Summary;

use load::Accepted;
use malformed::MalformedMessages;
use operator::Operator;
use pipeline::Pipeline;
use plan::{Plan, RunOptions};
use run_log::RunLog;

/// How long the submissions before the first fault may take.
const WARM_UP_TIMEOUT: Duration = Duration::from_mins(2);
/// How often a run logs its progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// The result of a run.
#[derive(Debug)]
pub struct RunResult {
    /// The counts in the last line of output.
    pub summary: Summary,
    /// The violations found; a successful run has none.
    pub violations: Vec<String>,
    /// The directory with the evidence, if there are violations.
    pub evidence: Option<PathBuf>,
}

/// Runs the plan for these options and checks the invariants. Returns `None` if it is interrupted. Evidence of a
/// failure is written below `evidence`. All processes have ended when it returns.
///
/// # Errors
/// Returns an error if the pipeline cannot be started, for example because a binary is missing, or if the evidence
/// cannot be written.
pub async fn run(
    options: &RunOptions,
    evidence: &Path,
    interruption: impl Future<Output = ()>,
) -> Result<Option<RunResult>> {
    let run_log = RunLog::default();
    let plan = Plan::new(options);
    run_log.info(format_args!(
        "seed {}: {} submissions and {} faults in {} s, on {}, with CONVEX_ORDER={}",
        options.seed,
        plan.submissions.len(),
        plan.faults.len(),
        options.duration.as_secs(),
        if options.cluster { "three servers" } else { "one server" },
        options.order,
    ));
    let mut interruption = std::pin::pin!(interruption);
    let pipeline = tokio::select! {
        pipeline = Pipeline::start(options, &run_log) => pipeline.context("cannot start the pipeline")?,
        () = &mut interruption => return Ok(None),
    };
    let checked = tokio::select! {
        checked = run_in(&pipeline, &plan) => Some(checked),
        () = interruption => None,
    };
    let result = checked.map(|checked| conclude(&pipeline, checked, evidence, options.seed)).transpose();
    pipeline.stop().await;
    result
}

async fn run_in(pipeline: &Pipeline, plan: &Plan) -> Result<Summary> {
    let (accepted, malformed, operator) =
        (Accepted::default(), MalformedMessages::default(), Operator::new());
    let warm_up = plan::warm_up();
    let refusals = load::refuse(pipeline, &plan.submissions);
    load::send(pipeline, &warm_up, Instant::now(), &refusals, &accepted, &operator).await;
    let ids: Vec<String> = warm_up.into_iter().map(|submission| submission.id).collect();
    pipeline
        .convex
        .wait_all_final(&ids, WARM_UP_TIMEOUT)
        .await
        .context("the warm-up failed, before any fault")?;
    let before = usage::all(pipeline);
    pipeline.run_log.info("warm-up done; injecting faults");
    let began = Instant::now();
    tokio::select! {
        _ = async {
            tokio::join!(
                load::send(pipeline, &plan.submissions, began, &refusals, &accepted, &operator),
                faults::inject(pipeline, plan, began, &malformed),
            )
        } => {}
        () = log_progress(pipeline, &accepted) => {}
    }
    for (answer, count) in accepted.answers() {
        pipeline.run_log.info(format_args!("the ingress answered {count} × {answer}"));
    }
    pipeline.run_log.info("all faults are undone; waiting until the pipeline is idle");
    pipeline.wait_ready().await?;
    let accepted = accepted.all();
    check::wait_idle(pipeline, &accepted).await;
    apply_last_correction(pipeline, &operator).await?;
    check::wait_idle(pipeline, &accepted).await;
    let summary = check::summarize(pipeline, &accepted, &operator.begun()).await?;
    check::check_dead_letters(pipeline, &malformed.subjects()).await?;
    check::check_launches(pipeline);
    usage::check(pipeline, &before).await;
    pipeline.services.iter().for_each(service::Service::check_alive);
    pipeline.check_permissions();
    for path in pipeline.convex.wrong_paths() {
        pipeline.run_log.violation(format_args!("Convex was called at an unknown path: {path}"));
    }
    Ok(summary)
}

/// Corrects the question for the last time, and rejudges all of its submissions.
async fn apply_last_correction(pipeline: &Pipeline, operator: &Operator) -> Result<()> {
    faults::correct(pipeline, programs::CORRECTIONS[0]);
    operator.rejudge_corrected(pipeline).await
}

async fn log_progress(pipeline: &Pipeline, accepted: &Accepted) {
    loop {
        tokio::time::sleep(PROGRESS_INTERVAL).await;
        let (accepted, finals) = (accepted.count(), pipeline.convex.final_count());
        pipeline.run_log.info(format_args!("{accepted} accepted, {finals} final"));
    }
}

fn conclude(pipeline: &Pipeline, checked: Result<Summary>, evidence: &Path, seed: u64) -> Result<RunResult> {
    let summary = checked.unwrap_or_else(|error| {
        pipeline.run_log.violation(format_args!("the run could not be completed: {error:#}"));
        Summary::default()
    });
    let violations = pipeline.run_log.violations();
    let saved = (!violations.is_empty()).then(|| evidence::save(pipeline, evidence, seed)).transpose();
    let evidence = saved.context("cannot write the evidence")?;
    Ok(RunResult { summary, violations, evidence })
}
