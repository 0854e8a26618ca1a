//! The end of a run: waiting until nothing moves any more, and asking whether all that was promised holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use gavel_bus::topology::{Durable, Stream};
use gavel_domain::event::DeadLetter;
use gavel_mock_convex::{Purpose, Status};
use gavel_proto::{WireEvent as _, decode_claim};
use gavel_testkit::wait_until;

use crate::programs::PROGRAMS;
use crate::service::wall;
use crate::told::{self, CallbackKind};
use crate::world::World;

/// Longer than the longest backoff of a callback, which is five minutes.
const PATIENCE: Duration = Duration::from_mins(7);

/// The last line's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Submissions that were answered 202.
    pub accepted: usize,
    /// Those of them that are passed, failed or error at Convex.
    pub last: usize,
    /// Those that are not.
    pub lost: usize,
    /// Submissions that were told two results, or a wrong one.
    pub conflicting: usize,
    /// Calls of running that were started after a result, and submissions that end on running.
    pub backwards: usize,
    /// Messages that consumers still hold, or that nobody has taken.
    pub stuck: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, last, lost, conflicting, backwards, stuck } = self;
        write!(
            f,
            "accepted={accepted} final={last} lost={lost} conflicting={conflicting} backwards={backwards} \
             stuck={stuck}"
        )
    }
}

/// Waits until all consumers are idle and all that was accepted is final; what does not come to that is found by the
/// checks.
pub(crate) async fn wait_quiet(world: &World, accepted: &BTreeMap<String, usize>) {
    let quiet = async || {
        let is_final = |id: &String| world.convex.submission(id).is_some_and(|state| state.status.is_final());
        accepted.keys().all(is_final) && stuck(world).await.is_ok_and(|stuck| stuck == 0)
    };
    if let Err(error) = wait_until("quiet", PATIENCE, quiet).await {
        world.journal.say(error);
    }
}

/// Messages that are pending or in hand, over all consumers.
async fn stuck(world: &World) -> Result<u64> {
    let mut stuck = 0;
    for durable in Durable::ALL {
        let info = world.consumer_info(durable).await?;
        stuck += info.num_pending + u64::try_from(info.num_ack_pending)?;
    }
    // A work queue forgets what is acknowledged; what is left, no consumer would take.
    Ok(stuck.max(world.stream_info(Stream::Ready).await?.state.messages))
}

/// Counts what the last line tells, and notes each thing that is wrong. `begun` is what the commands said they had begun.
pub(crate) async fn tally(
    world: &World,
    accepted: &BTreeMap<String, usize>,
    begun: &BTreeMap<String, u64>,
) -> Result<Tally> {
    let mut tally = Tally { accepted: accepted.len(), ..Tally::default() };
    let all = told(world);
    let mut generations = 0;
    for (id, program) in accepted {
        let (newest, program) = (newest(world, id).await?, &PROGRAMS[*program]);
        generations += newest - 1;
        let shown = world.convex.submission(id).map(|state| state.status);
        let mut found = told::findings(all.get(id).map_or(&[], Vec::as_slice), newest, program, shown);
        if let Some(begun) = begun.get(id).filter(|begun| **begun > newest) {
            found.lost.push(format!("generation {begun} was begun, and there are {newest}"));
        }
        if program.is_corrected() && shown != Some(Status::Passed) {
            found.conflicting.push("it was judged again after the correction, and has not passed".to_owned());
        }
        tally.last += usize::from(shown.is_some_and(Status::is_final));
        tally.lost += usize::from(!found.lost.is_empty());
        tally.conflicting += usize::from(!found.conflicting.is_empty());
        tally.backwards += usize::from(shown == Some(Status::Running));
        for wrong in found.lost.iter().chain(&found.conflicting) {
            world.journal.wrong(format_args!("{id} ({}): {wrong}", program.name));
        }
    }
    for (id, told) in &all {
        for (running, result) in told::backwards(told) {
            tally.backwards += usize::from(is_backwards(world, id, running, result).await?);
        }
    }
    world.journal.say(format_args!("{generations} generations after the first ones"));
    tally.stuck = stuck(world).await?;
    if tally.stuck > 0 {
        for durable in Durable::ALL {
            let info = world.consumer_info(durable).await?;
            let (pending, in_hand) = (info.num_pending, info.num_ack_pending);
            world.journal.wrong(format_args!("{}: {pending} pending, {in_hand} in hand", durable.name()));
        }
    }
    Ok(tally)
}

/// What Convex was told of each submission.
fn told(world: &World) -> BTreeMap<String, Vec<CallbackKind>> {
    let (mut all, calls) = (BTreeMap::<String, Vec<CallbackKind>>::new(), world.convex.calls());
    if calls.len() as u64 != world.convex.call_count(None) {
        world.journal.wrong("not all calls were recorded");
    }
    for call in calls.iter().filter(|call| call.endpoint.purpose != Purpose::TestCases) {
        match (&call.id, CallbackKind::of(call)) {
            (Some(id), Some(told)) => all.entry(id.clone()).or_default().push(told),
            _ => world.journal.wrong(format_args!("call {} is not signed, or is about nothing", call.number)),
        }
    }
    all
}

/// The newest generation that was allotted.
async fn newest(world: &World, id: &str) -> Result<u64> {
    let record = world.last_on(Stream::Result, &format!("submission.rejudged.{id}.*")).await?;
    let Some(record) = record else { return Ok(1) };
    let generation = record.subject.rsplit('.').next().unwrap_or_default();
    generation.parse().with_context(|| format!("{} is of no generation", record.subject))
}

/// Whether a `running` that was received after a result is a fault of ours. It is not where the reporter that made it was
/// frozen between its claim and the call, which cannot be seen from inside (ADR 0002, "What remains"). Convex ends on
/// the result all the same, which is counted apart.
async fn is_backwards(
    world: &World,
    id: &str,
    running: &CallbackKind,
    result: &CallbackKind,
) -> Result<bool> {
    let generation = running.generation;
    let key = if generation == 1 { id.to_owned() } else { format!("{id}.{generation}") };
    let received = wall(running.received);
    let claim = world.last_on(Stream::Result, &format!("callback.claimed.{key}")).await?;
    let Some(claim) = claim else {
        world.journal.wrong(format_args!("{key}: running was called after the result without a claim"));
        return Ok(true);
    };
    let holder = decode_claim(&claim.payload)?.instance;
    let service = world.services.iter().find(|service| service.target.to_string() == holder);
    let claimed: SystemTime = claim.time.into();
    if service.is_some_and(|service| service.was_frozen_between(claimed, received)) {
        world.journal.say(format_args!(
            "{key}: running came after the result from {holder}, which was frozen in between"
        ));
        return Ok(false);
    }
    let after = received.duration_since(claimed).unwrap_or_default();
    let late_by = running.received.duration_since(result.received);
    world.journal.wrong(format_args!(
        "{key}: {holder} called running {after:?} after its claim, and {late_by:?} after a result of generation {}: call {}",
        result.generation, running.number
    ));
    Ok(true)
}

/// Each dead letter has its malformed message, and each malformed message its dead letter.
pub(crate) async fn dead_letters(world: &World, thrown: &BTreeSet<String>) -> Result<()> {
    let info = world.stream_info(Stream::DeadLetter).await?;
    let stream = world.jetstream.get_stream(Stream::DeadLetter.name()).await?;
    let mut buried = BTreeSet::new();
    for sequence in info.state.first_sequence..=info.state.last_sequence {
        let Ok(message) = stream.get_raw_message(sequence).await else { continue };
        let Ok(dead) = DeadLetter::decode(&message.payload) else {
            world.journal.wrong(format_args!("{} cannot be decoded", message.subject));
            continue;
        };
        if !thrown.contains(&dead.subject) {
            world.journal.wrong(format_args!(
                "a dead letter of {} that nothing explains: {}",
                dead.subject, dead.cause
            ));
        }
        buried.insert(dead.subject);
    }
    for subject in thrown.difference(&buried) {
        let mut tokens = subject.split('.').skip(1);
        let stream = match tokens.next() {
            Some("queued") => Stream::Queued,
            Some("ready" | "expired") => Stream::Ready,
            _ => Stream::Result,
        };
        // One that was never stored is none; those of a work queue are gone when they are done with.
        if world.last_on(stream, subject).await?.is_some() {
            world.journal.wrong(format_args!("{subject} is malformed and has no dead letter"));
        }
    }
    world.journal.say(format_args!("{} dead letters, of {} malformed messages", buried.len(), thrown.len()));
    Ok(())
}
