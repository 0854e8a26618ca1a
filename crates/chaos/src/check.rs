//! The end of a run: waits until the pipeline is idle, then checks the invariants.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use gavel_bus::topology::{self, Durable, Stream};
use gavel_domain::event::DeadLetter;
use gavel_mock_convex::{Purpose, ReceivedCall, Status};
use gavel_proto::{WireEvent as _, decode_claim};
use gavel_testkit::wait_until;

use crate::callbacks::{self, ReceivedCallback};
use crate::pipeline::Pipeline;
use crate::plan::{CallbackOrder, Role};
use crate::programs::PROGRAMS;
use crate::service::wall_time;

/// How long the pipeline may take to become idle. The longest backoff of a callback is five minutes.
const IDLE_TIMEOUT: Duration = Duration::from_mins(7);

/// The counts in the last line of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Submissions that were answered with 202.
    pub accepted: usize,
    /// Accepted submissions that are final at Convex: passed, failed or error.
    pub finals: usize,
    /// Accepted submissions with a missing result.
    pub lost: usize,
    /// Submissions with contradicting results, or a wrong one.
    pub conflicting: usize,
    /// `running` callbacks that were started after a result, and submissions that end on running.
    pub backwards: usize,
    /// Messages that are pending, or delivered but not acknowledged.
    pub stuck: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, finals, lost, conflicting, backwards, stuck } = self;
        write!(
            f,
            "accepted={accepted} final={finals} lost={lost} conflicting={conflicting} backwards={backwards} \
             stuck={stuck}"
        )
    }
}

/// Waits until all consumers are idle and all accepted submissions are final. If that does not happen in time, the
/// checks report what is missing.
pub(crate) async fn wait_idle(pipeline: &Pipeline, accepted: &BTreeMap<String, usize>) {
    let is_idle = async || {
        let is_final =
            |id: &String| pipeline.convex.submission(id).is_some_and(|state| state.status.is_final());
        accepted.keys().all(is_final) && stuck(pipeline).await.is_ok_and(|stuck| stuck == 0)
    };
    if let Err(error) = wait_until("the pipeline to become idle", IDLE_TIMEOUT, is_idle).await {
        pipeline.run_log.info(error);
    }
}

/// Counts the messages that are pending or not acknowledged, over all consumers.
async fn stuck(pipeline: &Pipeline) -> Result<u64> {
    let mut stuck = 0;
    for durable in Durable::ALL {
        let info = pipeline.consumer_info(durable).await?;
        stuck += info.num_pending + u64::try_from(info.num_ack_pending)?;
    }
    let waiting =
        gavel_bus::waiting_languages(&pipeline.jetstream).await.map_err(anyhow::Error::from_boxed)?;
    Ok(stuck + waiting.iter().map(|waiting| waiting.submissions).sum::<u64>())
}

/// Logs the events that are left in work queues although they were acknowledged: a server that is killed, or whose disk is
/// full, can lose their deletion. No consumer delivers them again.
async fn log_undeleted(pipeline: &Pipeline) -> Result<()> {
    for stream in [Stream::Ready, Stream::Waiting] {
        let subjects = pipeline.event_subjects(stream).await?;
        if !subjects.is_empty() {
            pipeline.run_log.info(format_args!("acknowledged, but left in {}: {subjects:?}", stream.name()));
        }
    }
    Ok(())
}

/// Counts, and records each violation. `begun` holds the newest generation of each submission that a command
/// reported.
pub(crate) async fn summarize(
    pipeline: &Pipeline,
    accepted: &BTreeMap<String, usize>,
    begun: &BTreeMap<String, u64>,
) -> Result<Summary> {
    let mut summary = Summary { accepted: accepted.len(), ..Summary::default() };
    let all = callbacks_by_submission(pipeline);
    let mut generations = 0;
    for (id, program) in accepted {
        let (newest, program) = (newest_generation(pipeline, id).await?, &PROGRAMS[*program]);
        generations += newest - 1;
        let shown = pipeline.convex.submission(id).map(|state| state.status);
        let mut found = callbacks::check(all.get(id).map_or(&[], Vec::as_slice), newest, program, shown);
        if let Some(begun) = begun.get(id).filter(|begun| **begun > newest) {
            found.lost.push(format!("generation {begun} was begun, but there are only {newest}"));
        }
        if program.is_corrected() && shown != Some(Status::Passed) {
            found.conflicting.push("it was rejudged after the correction and has not passed".to_owned());
        }
        summary.finals += usize::from(shown.is_some_and(Status::is_final));
        summary.lost += usize::from(!found.lost.is_empty());
        summary.conflicting += usize::from(!found.conflicting.is_empty());
        summary.backwards += usize::from(shown == Some(Status::Running));
        for wrong in found.lost.iter().chain(&found.conflicting) {
            pipeline.run_log.violation(format_args!("{id} ({}): {wrong}", program.name));
        }
    }
    for (id, callbacks) in &all {
        summary.backwards += match pipeline.order {
            CallbackOrder::Strict => backwards_calls(pipeline, id, callbacks).await?,
            CallbackOrder::Guarded => backwards_effects(pipeline, id, callbacks),
        };
    }
    pipeline.run_log.info(format_args!("{generations} later generations"));
    summary.stuck = stuck(pipeline).await?;
    if summary.stuck == 0 {
        log_undeleted(pipeline).await?;
    } else {
        for durable in Durable::ALL {
            let info = pipeline.consumer_info(durable).await?;
            let (pending, in_progress) = (info.num_pending, info.num_ack_pending);
            pipeline
                .run_log
                .violation(format_args!("{}: {pending} pending, {in_progress} in progress", durable.name()));
        }
    }
    Ok(summary)
}

/// Returns the callbacks that Convex received, by submission.
fn callbacks_by_submission(pipeline: &Pipeline) -> BTreeMap<String, Vec<ReceivedCallback>> {
    let (mut all, calls) = (BTreeMap::<String, Vec<ReceivedCallback>>::new(), pipeline.convex.calls());
    if calls.len() as u64 != pipeline.convex.call_count(None) {
        pipeline.run_log.violation("mock Convex did not record all calls");
    }
    // The probe of an open breaker has an empty body.
    let is_callback = |call: &&Arc<ReceivedCall>| {
        call.endpoint.purpose != Purpose::TestCases && *call.body != serde_json::json!({})
    };
    for call in calls.iter().filter(is_callback) {
        match (&call.id, ReceivedCallback::from_call(call)) {
            (Some(id), Some(callback)) => all.entry(id.clone()).or_default().push(callback),
            _ => pipeline
                .run_log
                .violation(format_args!("call {} is not signed, or names no submission", call.number)),
        }
    }
    all
}

/// Returns the newest generation of a submission.
async fn newest_generation(pipeline: &Pipeline, id: &str) -> Result<u64> {
    let record = pipeline.last_on(Stream::Result, &format!("submission.rejudged.{id}.*")).await?;
    let Some(record) = record else { return Ok(1) };
    let generation = record.subject.rsplit('.').next().unwrap_or_default();
    generation.parse().with_context(|| format!("{} does not end with a generation", record.subject))
}

/// Counts the `running` callbacks that were sent after a result although they should not have been.
async fn backwards_calls(pipeline: &Pipeline, id: &str, callbacks: &[ReceivedCallback]) -> Result<usize> {
    let mut backwards = 0;
    for (running, result) in callbacks::running_after_result(callbacks, |call| Some(call.received)) {
        backwards += usize::from(is_backwards(pipeline, id, running, result).await?);
    }
    Ok(backwards)
}

/// Counts the `running` callbacks that took effect after a result although Convex guards the order. That they are sent
/// is no violation.
fn backwards_effects(pipeline: &Pipeline, id: &str, callbacks: &[ReceivedCallback]) -> usize {
    let late = callbacks::running_after_result(callbacks, |call| call.applied);
    for (running, result) in &late {
        pipeline.run_log.violation(format_args!(
            "{id}: call {} (running, generation {}) took effect after call {} (result, generation {})",
            running.number, running.generation, result.number, result.generation
        ));
    }
    late.len()
}

/// Whether a `running` callback received after a result violates the order. It does not if its reporter was frozen
/// between the claim and the call, which a process cannot notice (ADR 0002). That Convex ends on the result even
/// then is checked separately.
async fn is_backwards(
    pipeline: &Pipeline,
    id: &str,
    running: &ReceivedCallback,
    result: &ReceivedCallback,
) -> Result<bool> {
    let generation = running.generation;
    let key = if generation == 1 { id.to_owned() } else { format!("{id}.{generation}") };
    let received = wall_time(running.received);
    let claim = pipeline.last_on(Stream::Result, &format!("callback.claimed.{key}")).await?;
    let Some(claim) = claim else {
        pipeline
            .run_log
            .violation(format_args!("{key}: a running callback came after the result and has no claim"));
        return Ok(true);
    };
    let holder = decode_claim(&claim.payload)?.instance;
    let service = pipeline.services.iter().find(|service| service.target.to_string() == holder);
    let claimed: SystemTime = claim.time.into();
    if service.is_some_and(|service| service.was_frozen_between(claimed, received)) {
        pipeline.run_log.info(format_args!(
            "{key}: a running callback of {holder}, which was frozen after its claim, came after the result"
        ));
        return Ok(false);
    }
    let after = received.duration_since(claimed).unwrap_or_default();
    let late_by = running.received.duration_since(result.received);
    pipeline.run_log.violation(format_args!(
        "{key}: {holder} sent running {after:?} after its claim, {late_by:?} after a result of generation {}: call {}",
        result.generation, running.number
    ));
    Ok(true)
}

/// Checks that no program made a judge try again because it could not be started: that is the program's failure.
pub(crate) fn check_launches(pipeline: &Pipeline) {
    let judges = pipeline.services.iter().filter(|service| service.target.role == Role::Judge);
    for judge in judges {
        for line in judge.process.log().iter().filter(|line| line.contains("cannot start /box/program/")) {
            pipeline.run_log.violation(format_args!("{}: {}", judge.target, line.text));
        }
    }
}

/// Checks that each dead letter belongs to a malformed message, and each stored malformed message has a dead letter.
pub(crate) async fn check_dead_letters(pipeline: &Pipeline, published: &BTreeSet<String>) -> Result<()> {
    let info = pipeline.stream_info(Stream::DeadLetter).await?;
    let stream = pipeline.jetstream.get_stream(Stream::DeadLetter.name()).await?;
    let (mut found, probe) = (BTreeSet::new(), topology::probe(Stream::DeadLetter));
    for sequence in info.state.first_sequence..=info.state.last_sequence {
        let Ok(message) = stream.get_raw_message(sequence).await else { continue };
        if *message.subject == probe {
            continue;
        }
        let Ok(dead) = DeadLetter::decode(&message.payload) else {
            pipeline.run_log.violation(format_args!("{} cannot be decoded", message.subject));
            continue;
        };
        if !published.contains(&dead.subject) {
            pipeline
                .run_log
                .violation(format_args!("unexplained dead letter for {}: {}", dead.subject, dead.cause));
        }
        found.insert(dead.subject);
    }
    for subject in published.difference(&found) {
        let mut tokens = subject.split('.').skip(1);
        let stream = match tokens.next() {
            Some("queued") => Stream::Queued,
            Some("ready" | "expired") => Stream::Ready,
            _ => Stream::Result,
        };
        // A message that was never stored needs no dead letter. A work queue deletes its messages once they are
        // handled.
        if pipeline.last_on(stream, subject).await?.is_some() {
            pipeline.run_log.violation(format_args!("{subject} is malformed and has no dead letter"));
        }
    }
    pipeline.run_log.info(format_args!(
        "{} dead letters for {} malformed messages",
        found.len(),
        published.len()
    ));
    Ok(())
}
