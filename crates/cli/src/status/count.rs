//! Counting it all.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use gavel_bus::topology::Stream;
use gavel_domain::heartbeat::{DependencyStatus, Heartbeat};
use gavel_inspect::{ConsumerStats, Inspector};
use serde::Serialize;

use crate::event::{Event, Reading};
use crate::exit::CommandError;
use crate::output;
use crate::time::millis;

/// Dead letters of this time are told.
const DEAD_SINCE: Duration = Duration::from_hours(24);
/// So many dead letters are read.
const MOST_LETTERS: usize = 2_000;

/// How the line is, as `--json` has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    pub(super) stages: Vec<StageStatus>,
    pub(super) streams: Vec<StreamStatus>,
    pub(super) instances: Vec<Instance>,
    /// Convex and Judge0, as those who call them see them.
    pub(super) peers: Vec<PeerStatus>,
    /// Of the last day, the most frequent first.
    pub(super) dead: Vec<Deaths>,
    /// The server's clock less ours.
    pub(super) clock_skew_ms: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StageStatus {
    /// The consumer.
    pub(super) stage: &'static str,
    pub(super) waiting: u64,
    pub(super) in_hand: u64,
    pub(super) redelivered: u64,
    /// Messages that were given out a second.
    pub(super) per_second: f64,
    /// The age of the oldest that is not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) oldest_ms: Option<u64>,
    /// Of all instances that do this work.
    pub(super) slots: u32,
    pub(super) busy: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamStatus {
    pub(super) stream: &'static str,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_bytes: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Instance {
    pub(super) service: String,
    #[serde(rename = "instance")]
    pub(super) name: String,
    pub(super) version: String,
    pub(super) up_ms: u64,
    pub(super) slots: u32,
    pub(super) busy: u32,
    pub(super) languages: usize,
    pub(super) engines: Vec<String>,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) problems: Vec<String>,
    /// How long ago it said so.
    pub(super) heard_ms: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PeerStatus {
    pub(super) name: String,
    pub(super) seen_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
    /// For how long that has been so; nothing where it was never called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) for_ms: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deaths {
    pub(super) stage: String,
    pub(super) cause: String,
    pub(super) count: u64,
}

impl Status {
    /// Counts for so long.
    pub(super) async fn count(inspector: &Inspector, time: Duration) -> Result<Self, CommandError> {
        let (begun, before) = (Instant::now(), inspector.snapshot().await?);
        let present = inspector.heartbeats(time).await?;
        let snapshot = inspector.snapshot().await?;
        let took = begun.elapsed().as_secs_f64();
        let peers = present.iter().flat_map(|(heartbeat, _)| PeerStatus::of(heartbeat)).collect();
        let instances: Vec<Instance> =
            present.into_iter().map(|(heartbeat, heard)| Instance::of(heartbeat, heard)).collect();
        let mut stages = Vec::new();
        for (now, before) in snapshot.consumers.iter().zip(&before.consumers) {
            let oldest = inspector.oldest_unacknowledged(now).await?;
            let oldest = oldest.map(|at| millis(at.elapsed().unwrap_or_default()));
            stages.push(StageStatus::of(now, before, took, oldest, &instances));
        }
        let streams = snapshot.streams.iter().map(|count| StreamStatus {
            stream: count.stream.name(),
            messages: count.messages,
            bytes: count.bytes,
            max_bytes: count.max_bytes,
        });
        let (streams, dead) = (streams.collect(), deaths(inspector).await?);
        Ok(Self { stages, streams, instances, peers, dead, clock_skew_ms: snapshot.skew_ms })
    }
}

impl StageStatus {
    fn of(
        now: &ConsumerStats,
        before: &ConsumerStats,
        took: f64,
        oldest_ms: Option<u64>,
        instances: &[Instance],
    ) -> Self {
        let stage = now.durable.name();
        let service = stage.split('-').next().unwrap_or_default();
        let at_work = || instances.iter().filter(|instance| instance.service == service);
        let given = u32::try_from(now.deliveries.saturating_sub(before.deliveries)).unwrap_or(u32::MAX);
        Self {
            stage,
            waiting: now.waiting,
            in_hand: now.in_progress,
            redelivered: now.redelivered,
            per_second: (f64::from(given) / took * 10.0).round() / 10.0,
            oldest_ms,
            slots: at_work().map(|instance| instance.slots).sum(),
            busy: at_work().map(|instance| instance.busy).sum(),
        }
    }
}

impl Instance {
    fn of(heartbeat: Heartbeat, heard: Instant) -> Self {
        let mut engines: Vec<String> =
            heartbeat.languages.iter().map(|language| language.engine.clone()).collect();
        engines.sort();
        engines.dedup();
        Self {
            up_ms: since(heartbeat.started_at_ms),
            service: heartbeat.service,
            name: heartbeat.instance,
            version: heartbeat.version,
            slots: heartbeat.slots,
            busy: heartbeat.busy,
            languages: heartbeat.languages.len(),
            engines,
            problems: heartbeat.problems,
            heard_ms: millis(heard.elapsed()),
        }
    }
}

impl PeerStatus {
    fn of(heartbeat: &Heartbeat) -> Vec<Self> {
        let of = |peer: &DependencyStatus| Self {
            name: peer.name.clone(),
            seen_by: heartbeat.instance.clone(),
            problem: peer.problem.clone(),
            for_ms: peer.since_ms.map(since),
        };
        heartbeat.dependencies.iter().map(of).collect()
    }
}

async fn deaths(inspector: &Inspector) -> Result<Vec<Deaths>, CommandError> {
    let since = SystemTime::now() - DEAD_SINCE;
    let mut letters = inspector.read(Stream::DeadLetter, "submission.dead.>", Some(since));
    let (mut counts, mut read) = (BTreeMap::<(String, String), u64>::new(), 0);
    while let Some(letter) = letters.next().await? {
        let Event { gave_up, reason, .. } = Reading::default().read(&letter);
        let cause = output::first_line(&reason.unwrap_or_default(), 100);
        *counts.entry((gave_up.unwrap_or_default(), cause)).or_default() += 1;
        read += 1;
        if read == MOST_LETTERS {
            break;
        }
    }
    let mut deaths: Vec<Deaths> =
        counts.into_iter().map(|((stage, cause), count)| Deaths { stage, cause, count }).collect();
    deaths.sort_by_key(|deaths| std::cmp::Reverse(deaths.count));
    Ok(deaths)
}

/// The time since a moment in milliseconds since the Unix epoch.
fn since(at_ms: u64) -> u64 {
    millis(gavel_domain::time::from_epoch_ms(at_ms).and_then(|at| at.elapsed().ok()).unwrap_or_default())
}
