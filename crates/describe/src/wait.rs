//! What an unfinished submission waits for.

use std::time::Duration;

use gavel_bus::topology::Durable;
use gavel_domain::LanguageId;
use gavel_domain::heartbeat::Heartbeat;
use gavel_inspect::{InspectError, Inspector, QueuePosition};

use crate::event::Event;
use crate::run::{Run, Wait};

use crate::time::format_duration;

/// The time over which verdicts are counted, to estimate how long a queue takes.
const RATE_WINDOW: Duration = Duration::from_mins(1);

/// How long to listen for heartbeats: longer than their interval. A submission that waits for less than that is not stuck.
const LISTEN_TIME: Duration = Duration::from_millis(2_100);

/// Returns what the run waits for, or `None` if it has ended.
pub(crate) async fn wait(inspector: &Inspector, run: &Run) -> Result<Option<Wait>, InspectError> {
    if run.has_ended() {
        return Ok(None);
    }
    let has = |stage| run.event(stage).is_some();
    if let Some(waiting) =
        run.event("waiting").filter(|_| !has("running") && !has("judged") && !has("expired"))
    {
        return wait_for_language(inspector, waiting).await.map(Some);
    }
    let (durable, waits_since) = if has("judged") {
        (Durable::ReporterJudged, "judged")
    } else if has("expired") {
        (Durable::FetcherExpired, "expired")
    } else if has("ready") || has("running") {
        (Durable::Judge, "ready")
    } else {
        (Durable::Fetcher, "queued")
    };
    let stage = inspector.consumer_stats(durable).await?;
    let since = run.event(waits_since).map(|event| event.time);
    let age = since.map_or(Duration::ZERO, |time| time.0.elapsed().unwrap_or_default());
    let position =
        run.sequence(waits_since).map_or(QueuePosition::InProgress, |sequence| stage.position(sequence));
    let heartbeats = listen(inspector, worker(durable), age).await?;
    let problem = heartbeats.as_ref().and_then(|heartbeats| heartbeats.problem.as_deref());
    let (ahead, about) = match position {
        QueuePosition::Waiting { ahead } if durable == Durable::Judge => {
            (Some(ahead), estimate(inspector, ahead).await?)
        }
        QueuePosition::Waiting { ahead } => (Some(ahead), None),
        QueuePosition::InProgress => (None, None),
    };
    let sentence = match position {
        QueuePosition::Waiting { ahead } => {
            let slots = heartbeats.as_ref().map_or(0, |heartbeats| heartbeats.slots);
            let speed = match (about, stage.pull_requests) {
                (Some(about), _) => {
                    format!("about {} at the rate of the last minute", format_duration(about))
                }
                (None, 0) if stage.in_progress == 0 && slots > 0 => {
                    format!("no {} takes any", worker(durable))
                }
                (None, 0) if stage.in_progress == 0 => {
                    format!("no {0} takes any: check that a {0} runs", worker(durable))
                }
                (None, _) => "no rate known yet".to_owned(),
            };
            let slots = if slots == 0 { String::new() } else { format!("{slots} slots, ") };
            format!(
                "in the {} queue for {}, {ahead} ahead, {} in progress, {slots}{speed}",
                worker(durable),
                format_duration(age),
                stage.in_progress
            )
        }
        QueuePosition::InProgress => in_progress(run, durable, &format_duration(age), problem.is_some()),
    };
    let problem = problem.map(|problem| format!("; problem seen by the {}: {problem}", worker(durable)));
    let sentence = sentence + &problem.unwrap_or_default();
    Ok(Some(Wait { stage: worker(durable), ahead, about_ms: about.map(crate::time::millis), sentence }))
}

/// What a submission waits for that was handed on by a judge that lacks its language.
async fn wait_for_language(inspector: &Inspector, waiting: &Event) -> Result<Wait, InspectError> {
    let id = waiting.language.unwrap_or_default();
    let language = Event::language_with_id(id);
    let judge = waiting.handed_on_by.as_deref().unwrap_or("a judge");
    let age = waiting.time.0.elapsed().unwrap_or_default();
    let served_by = match inspector.heartbeats(LISTEN_TIME).await {
        Err(InspectError::PermissionDenied(_)) => String::new(),
        present => {
            let present = present?;
            let serves = |(heartbeat, _): &&(Heartbeat, _)| heartbeat.serves(LanguageId(id));
            let judges = present.iter().filter(serves).map(|(heartbeat, _)| heartbeat.instance.as_str());
            match judges.collect::<Vec<_>>().as_slice() {
                [] => {
                    "; no running judge serves it, so it ends with an error after LANGUAGE_WAIT_S".to_owned()
                }
                judges => format!("; served by {}", judges.join(", ")),
            }
        }
    };
    let age = format_duration(age);
    let sentence =
        format!("handed on by {judge}, waiting for a judge that serves {language} for {age}{served_by}");
    Ok(Wait { stage: "judge", ahead: None, about_ms: None, sentence })
}

/// Estimates how long the submissions ahead take.
async fn estimate(inspector: &Inspector, ahead: u64) -> Result<Option<Duration>, InspectError> {
    let rate = inspector.verdicts_per_second(RATE_WINDOW).await?;
    let seconds = f64::from(u32::try_from(ahead + 1).unwrap_or(u32::MAX)) / rate;
    Ok(Duration::try_from_secs_f64(seconds).ok())
}

/// What the heartbeats of the instances of a service say.
struct Heartbeats {
    slots: u32,
    /// A problem with Convex or Judge0, or else why an instance is not ready, such as a stream that stores nothing.
    problem: Option<String>,
}

/// Listens to heartbeats. Returns `None` if the submission does not wait long yet, or if this user may not listen.
async fn listen(
    inspector: &Inspector,
    service: &str,
    age: Duration,
) -> Result<Option<Heartbeats>, InspectError> {
    if age < LISTEN_TIME {
        return Ok(None);
    }
    let present = match inspector.heartbeats(LISTEN_TIME).await {
        Err(InspectError::PermissionDenied(_)) => return Ok(None),
        present => present?,
    };
    let instances = || present.iter().map(|(heartbeat, _)| heartbeat).filter(|each| each.service == service);
    let of_dependency = instances().flat_map(|each| &each.dependencies).find_map(|peer| peer.problem.clone());
    let not_ready = || instances().flat_map(|each| &each.problems).next().cloned();
    Ok(Some(Heartbeats {
        slots: instances().map(|each| each.slots).sum(),
        problem: of_dependency.or_else(not_ready),
    }))
}

/// Where a submission in progress is. Unless there is a known `problem`, the usual cause of a long wait is named.
fn in_progress(run: &Run, durable: Durable, age: &str, has_known_problem: bool) -> String {
    let dead = run.events.iter().rfind(|event| event.stage == "dead");
    let last = dead.and_then(|event| event.reason.as_deref());
    let last = last.map_or_else(String::new, |cause| format!("; it was a dead letter before: {cause}"));
    match (durable, run.event("running")) {
        (Durable::Fetcher | Durable::FetcherExpired, _) if has_known_problem => {
            format!("a fetcher has worked on it or waits to retry for {age}{last}")
        }
        (Durable::Fetcher | Durable::FetcherExpired, _) => format!(
            "a fetcher has worked on it or waits to retry for {age}: Convex does not return the test cases, see the log of the \
             fetcher{last}"
        ),
        (Durable::Judge, Some(running)) => format!(
            "{} is running it, and it has been ready for {age}; if that judge is gone, another one takes it after \
             ACK_WAIT_MS{last}",
            running.instance.as_deref().unwrap_or("a judge")
        ),
        (Durable::Judge, None) => format!("a judge has worked on it or waits to retry for {age}{last}"),
        _ if has_known_problem => format!("a reporter has had the verdict for {age}{last}"),
        _ => format!(
            "a reporter has had the verdict for {age}: Convex does not accept it, see the log of the reporter and \
             \"gavel status\"{last}"
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
