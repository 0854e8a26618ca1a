//! Collects the status from NATS and from heartbeats.

#![expect(
    missing_docs,
    reason = "the fields are those of the JSON output, with names that speak for themselves"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use gavel_bus::WaitingLanguage;
use gavel_bus::topology::Stream;
use gavel_domain::heartbeat::{DependencyStatus, Heartbeat};
use gavel_inspect::{ConsumerStats, InspectError, Inspector, StreamStats};
use serde::Serialize;

use crate::event::{Event, Reading};

use crate::text;
use crate::time::millis;

/// The services of a pipeline.
pub const SERVICES: [&str; 4] = ["ingress", "fetcher", "judge", "reporter"];
/// The age up to which dead letters are counted.
const MAX_DEAD_LETTER_AGE: Duration = Duration::from_hours(24);
/// How many dead letters are read at most.
const MAX_DEAD_LETTERS: usize = 2_000;

/// The status of a pipeline; serialized for `--json`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub stages: Vec<StageStatus>,
    pub streams: Vec<StreamStatus>,
    pub instances: Vec<Instance>,
    /// Convex and Judge0, as the services see them.
    #[serde(rename = "peers")]
    pub dependencies: Vec<Dependency>,
    /// The languages that submissions wait for.
    #[serde(rename = "waitingLanguages", skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<LanguageStatus>,
    /// Dead letters of the last day by stage and cause, the most frequent first.
    #[serde(rename = "dead")]
    pub dead_letters: Vec<DeadLetterCount>,
    /// The clock of the server minus the clock of this machine.
    pub clock_skew_ms: i64,
    /// The heartbeats of the instances.
    #[serde(skip)]
    pub heartbeats: Vec<Heartbeat>,
    /// The sizes of the streams.
    #[serde(skip)]
    pub stream_stats: Vec<StreamStats>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StageStatus {
    /// The name of the consumer.
    pub stage: &'static str,
    pub waiting: u64,
    #[serde(rename = "inHand")]
    pub in_progress: u64,
    pub redelivered: u64,
    /// Messages that were delivered per second.
    pub per_second: f64,
    /// The age of the oldest message that is not acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_ms: Option<u64>,
    /// Slots of all instances of the service.
    pub slots: u32,
    pub busy: u32,
}

/// A language that submissions wait for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LanguageStatus {
    pub language: u32,
    pub name: String,
    /// How many submissions wait for it, or are in progress after they have waited.
    pub submissions: u64,
    /// How long the oldest of them has waited.
    pub oldest_ms: u64,
    /// The judges that serve it.
    pub served_by: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamStatus {
    pub stream: &'static str,
    pub messages: u64,
    pub bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    pub service: String,
    #[serde(rename = "instance")]
    pub name: String,
    pub version: String,
    pub up_ms: u64,
    pub slots: u32,
    pub busy: u32,
    pub languages: usize,
    pub engines: Vec<String>,
    /// The reasons why it is not ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// The age of its last heartbeat.
    pub heard_ms: u64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    pub name: String,
    pub seen_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// How long it has been in this state; `None` if it was never called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterCount {
    pub stage: String,
    pub cause: String,
    pub count: u64,
}

impl Status {
    /// Collects the status; listens to heartbeats and measures rates for `time`.
    ///
    /// # Errors
    /// Returns an error if NATS cannot be read.
    pub async fn collect(inspector: &Inspector, time: Duration) -> Result<Self, InspectError> {
        let (begun, before) = (Instant::now(), inspector.snapshot().await?);
        let present = inspector.heartbeats(time).await?;
        let snapshot = inspector.snapshot().await?;
        let took = begun.elapsed().as_secs_f64();
        let waiting = inspector.waiting_languages().await?;
        let languages = waiting.into_iter().map(|waiting| LanguageStatus::of(waiting, &present)).collect();
        let dependencies = present.iter().flat_map(|(heartbeat, _)| Dependency::of(heartbeat)).collect();
        let heartbeats = present.iter().map(|(heartbeat, _)| heartbeat.clone()).collect();
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
        let (streams, dead_letters) = (streams.collect(), count_dead_letters(inspector).await?);
        let clock_skew_ms = snapshot.skew_ms;
        let stream_stats = snapshot.streams;
        Ok(Self {
            stages,
            streams,
            instances,
            dependencies,
            languages,
            dead_letters,
            clock_skew_ms,
            heartbeats,
            stream_stats,
        })
    }
}

impl LanguageStatus {
    fn of(waiting: WaitingLanguage, present: &[(Heartbeat, Instant)]) -> Self {
        let id = waiting.language.0;
        let judges = present.iter().filter(|(heartbeat, _)| heartbeat.serves(waiting.language));
        Self {
            language: id,
            name: Event::language_with_id(id),
            submissions: waiting.submissions,
            oldest_ms: millis(waiting.since.elapsed().unwrap_or_default()),
            served_by: judges.map(|(heartbeat, _)| heartbeat.instance.clone()).collect(),
        }
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
        let workers = || instances.iter().filter(|instance| instance.service == service);
        let delivered = u32::try_from(now.deliveries.saturating_sub(before.deliveries)).unwrap_or(u32::MAX);
        Self {
            stage,
            waiting: now.waiting,
            in_progress: now.in_progress,
            redelivered: now.redelivered,
            per_second: (f64::from(delivered) / took * 10.0).round() / 10.0,
            oldest_ms,
            slots: workers().map(|instance| instance.slots).sum(),
            busy: workers().map(|instance| instance.busy).sum(),
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

impl Dependency {
    fn of(heartbeat: &Heartbeat) -> Vec<Self> {
        let of = |dependency: &DependencyStatus| Self {
            name: dependency.name.clone(),
            seen_by: heartbeat.instance.clone(),
            problem: dependency.problem.clone(),
            for_ms: dependency.since_ms.map(since),
        };
        heartbeat.dependencies.iter().map(of).collect()
    }
}

async fn count_dead_letters(inspector: &Inspector) -> Result<Vec<DeadLetterCount>, InspectError> {
    let since = SystemTime::now() - MAX_DEAD_LETTER_AGE;
    let mut messages = inspector.read(Stream::DeadLetter, "submission.dead.>", Some(since));
    let (mut counts, mut read) = (BTreeMap::<(String, String), u64>::new(), 0);
    while let Some(message) = messages.next().await? {
        let Event { failed_stage, reason, .. } = Reading::default().read(&message);
        let cause = text::first_line(&reason.unwrap_or_default(), 100);
        *counts.entry((failed_stage.unwrap_or_default(), cause)).or_default() += 1;
        read += 1;
        if read == MAX_DEAD_LETTERS {
            break;
        }
    }
    let mut dead_letters: Vec<DeadLetterCount> =
        counts.into_iter().map(|((stage, cause), count)| DeadLetterCount { stage, cause, count }).collect();
    dead_letters.sort_by_key(|entry| std::cmp::Reverse(entry.count));
    Ok(dead_letters)
}

/// Returns the milliseconds since a time, which is given in milliseconds since the Unix epoch.
fn since(at_ms: u64) -> u64 {
    millis(gavel_domain::time::from_epoch_ms(at_ms).and_then(|at| at.elapsed().ok()).unwrap_or_default())
}
