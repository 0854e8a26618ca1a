//! What a submission that has not ended waits for.

use std::time::Duration;

use gavel_bus::topology::Durable;
use gavel_inspect::{InspectError, Inspector, QueuePosition};
use serde::Serialize;

use super::run::Run;
use crate::exit::CommandError;
use crate::time::format_duration;

/// Over what time verdicts are counted, to tell how long a queue takes.
const COUNTED: Duration = Duration::from_mins(1);

/// Every instance says how it is within this time; and what waits for less than that does not hang.
const LISTEN: Duration = Duration::from_millis(2_100);

/// What it waits for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wait {
    /// Whose work it is.
    pub(super) stage: &'static str,
    /// How many are before it; nothing where somebody has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ahead: Option<u64>,
    /// How long that takes, at the pace of the last minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) about_ms: Option<u64>,
    /// All of it in one sentence.
    pub(super) sentence: String,
}

/// What the run waits for; nothing where it is over.
pub(super) async fn wait(inspector: &Inspector, run: &Run) -> Result<Option<Wait>, CommandError> {
    if run.is_over() {
        return Ok(None);
    }
    let has = |stage| run.event(stage).is_some();
    let (durable, begun) = if has("judged") {
        (Durable::ReporterJudged, "judged")
    } else if has("expired") {
        (Durable::FetcherExpired, "expired")
    } else if has("ready") || has("running") {
        (Durable::Judge, "ready")
    } else {
        (Durable::Fetcher, "queued")
    };
    let stage = inspector.consumer_stats(durable).await?;
    let since = run.event(begun).map(|event| event.time);
    let age = since.map_or(Duration::ZERO, |time| time.0.elapsed().unwrap_or_default());
    let place = run.sequence(begun).map_or(QueuePosition::InProgress, |sequence| stage.position(sequence));
    let heard = heard(inspector, worker(durable), age).await?;
    let (ahead, about) = match place {
        QueuePosition::Waiting { ahead } if durable == Durable::Judge => {
            (Some(ahead), about(inspector, ahead).await?)
        }
        QueuePosition::Waiting { ahead } => (Some(ahead), None),
        QueuePosition::InProgress => (None, None),
    };
    let sentence = match place {
        QueuePosition::Waiting { ahead } => {
            let slots = heard.as_ref().map_or(0, |heard| heard.slots);
            let speed = match (about, stage.pull_requests) {
                (Some(about), _) => {
                    format!("at the pace of the last minute about {}", format_duration(about))
                }
                (None, 0) if stage.in_progress == 0 && slots > 0 => "and nobody takes any".to_owned(),
                (None, 0) if stage.in_progress == 0 => {
                    format!("and nobody takes any: is a {} up?", worker(durable))
                }
                (None, _) => "no pace can be told yet".to_owned(),
            };
            let slots = if slots == 0 { String::new() } else { format!("{slots} slots, ") };
            format!(
                "in the {} queue for {}, {ahead} ahead, {} in hand, {slots}{speed}",
                worker(durable),
                format_duration(age),
                stage.in_progress
            )
        }
        QueuePosition::InProgress => in_hand(run, durable, &format_duration(age)),
    };
    let problem = heard.and_then(|heard| heard.problem);
    let problem = problem.map(|problem| format!("; the {} says: {problem}", worker(durable)));
    let sentence = sentence + &problem.unwrap_or_default();
    Ok(Some(Wait { stage: worker(durable), ahead, about_ms: about.map(crate::time::millis), sentence }))
}

/// How long so many take.
async fn about(inspector: &Inspector, ahead: u64) -> Result<Option<Duration>, CommandError> {
    let pace = inspector.verdicts_per_second(COUNTED).await?;
    let seconds = f64::from(u32::try_from(ahead + 1).unwrap_or(u32::MAX)) / pace;
    Ok(Duration::try_from_secs_f64(seconds).ok())
}

/// What those say of themselves who do this work.
struct Heard {
    slots: u32,
    /// What is wrong with Convex or Judge0, as they see it.
    problem: Option<String>,
}

/// Listens to them; not where nothing hangs yet, and not where this user may not.
async fn heard(inspector: &Inspector, service: &str, age: Duration) -> Result<Option<Heard>, CommandError> {
    if age < LISTEN {
        return Ok(None);
    }
    let present = match inspector.heartbeats(LISTEN).await {
        Err(InspectError::PermissionDenied(_)) => return Ok(None),
        present => present?,
    };
    let theirs = || present.iter().map(|(heartbeat, _)| heartbeat).filter(|each| each.service == service);
    Ok(Some(Heard {
        slots: theirs().map(|each| each.slots).sum(),
        problem: theirs().flat_map(|each| &each.dependencies).find_map(|peer| peer.problem.clone()),
    }))
}

fn in_hand(run: &Run, durable: Durable, age: &str) -> String {
    let dead = run.events.iter().rfind(|event| event.stage == "dead");
    let last = dead.and_then(|event| event.reason.as_deref());
    let last = last.map_or_else(String::new, |cause| format!("; it was given up once: {cause}"));
    match (durable, run.event("running")) {
        (Durable::Fetcher | Durable::FetcherExpired, _) => format!(
            "a fetcher has had it for {age}, or waits to try again: Convex does not give the test cases, see the \
             fetcher's log{last}"
        ),
        (Durable::Judge, Some(running)) => format!(
            "{} has begun it, and it has been ready for {age}; a judge that is gone loses it to another after \
             ACK_WAIT_MS{last}",
            running.instance.as_deref().unwrap_or("a judge")
        ),
        (Durable::Judge, None) => format!("a judge has had it for {age}, or waits to try again{last}"),
        _ => format!(
            "a reporter has had the verdict for {age}: Convex does not take it, see the reporter's log and gavel \
             status{last}"
        ),
    }
}

fn worker(durable: Durable) -> &'static str {
    match durable {
        Durable::Fetcher | Durable::FetcherExpired => "fetcher",
        Durable::Judge => "judge",
        Durable::ReporterRunning | Durable::ReporterJudged => "reporter",
    }
}
