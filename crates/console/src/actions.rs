//! Retries and drops dead letters.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State as Shared;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode};
use gavel_bus::Cause;
use gavel_domain::SubmissionId;
use gavel_inspect::{NewGeneration, RejudgeError, StoredDeadLetter};
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::dead_letters::of_group;
use crate::error::ApiError;
use crate::nats;
use crate::state::State;

/// The most dead letters or submissions that a request may name.
pub(crate) const MAX_NAMED: usize = 1_000;
/// How long one request works; the page repeats it while something is left.
pub(crate) const WORK_TIME: Duration = Duration::from_secs(20);

/// Which dead letters.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Selection {
    Sequences { sequences: Vec<u64> },
    Group { stage: String, cause: String },
}

/// What was done.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActionResult {
    pub(crate) results: Vec<Outcome>,
    pub(crate) left: usize,
    /// Why it stopped before the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

/// What was done with one submission or dead letter.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(rename = "outcome")]
    word: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'static str>,
    detail: String,
}

impl Outcome {
    pub(crate) fn refused(id: &str, detail: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            sequence: None,
            word: "refused",
            generation: None,
            stage: None,
            detail: detail.into(),
        }
    }

    fn dropped(dead_letter: &StoredDeadLetter, existed: bool) -> Self {
        let detail = if existed { "dropped" } else { "it did not exist any more" };
        let word = if existed { "dropped" } else { "refused" };
        Self { sequence: Some(dead_letter.sequence), word, ..Self::refused(&dead_letter.key, detail) }
    }

    /// The outcome of a new generation; an error if NATS failed, so that the rest is not tried.
    pub(crate) fn of(
        id: &SubmissionId,
        result: Result<NewGeneration, RejudgeError>,
        is_dry_run: bool,
    ) -> Result<Self, RejudgeError> {
        let created = match result {
            Ok(created) => created,
            Err(error) if error.is_outage() => return Err(error),
            Err(error) => return Ok(Self::refused(id.as_str(), error.to_string())),
        };
        let word = match created {
            _ if is_dry_run => "would start",
            NewGeneration { resumed: true, .. } => "resumed",
            NewGeneration { resumed: false, .. } => "started",
        };
        let (generation, stage) = (created.generation.number(), created.from.as_str());
        Ok(Self {
            word,
            generation: Some(generation),
            stage: Some(stage),
            ..Self::refused(id.as_str(), format!("generation {generation} {word} at the {stage}"))
        })
    }
}

/// A body, or what is wrong with it.
pub(crate) fn body<T>(parsed: Result<Json<T>, JsonRejection>) -> Result<T, ApiError> {
    parsed.map(|Json(body)| body).map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
        }
        // The text of the rejection quotes the body.
        _ => ApiError::invalid("the body is not the JSON that is expected here"),
    })
}

/// Runs a change to its end, even if the browser disconnects meanwhile.
pub(crate) async fn complete<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::spawn(work).await.map_err(|_| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the change failed: see the log of the console")
    })
}

/// What to do with dead letters.
#[derive(Clone, Copy)]
enum Change {
    Retry,
    Drop,
}

/// `POST /api/dead-letters/retry`
pub(crate) async fn retry(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    parsed: Result<Json<Selection>, JsonRejection>,
) -> Result<Json<ActionResult>, ApiError> {
    change(state, &headers, parsed, Change::Retry).await
}

/// `POST /api/dead-letters/drop`
pub(crate) async fn remove(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    parsed: Result<Json<Selection>, JsonRejection>,
) -> Result<Json<ActionResult>, ApiError> {
    change(state, &headers, parsed, Change::Drop).await
}

async fn change(
    state: Arc<State>,
    headers: &HeaderMap,
    parsed: Result<Json<Selection>, JsonRejection>,
    change: Change,
) -> Result<Json<ActionResult>, ApiError> {
    state.guard.check_key(headers)?;
    let selection = body(parsed)?;
    complete(async move {
        let selected = select(&state, &selection).await?;
        match change {
            Change::Retry => retry_all(&state, selected).await,
            Change::Drop => drop_all(&state, selected).await,
        }
    })
    .await?
    .map(Json)
}

/// The selected dead letters that still exist, without their messages.
struct Selected {
    dead_letters: Vec<StoredDeadLetter>,
    missing: Vec<u64>,
}

async fn select(state: &State, selection: &Selection) -> Result<Selected, ApiError> {
    match selection {
        Selection::Sequences { sequences } if sequences.len() > MAX_NAMED => {
            Err(ApiError::invalid(format!("at most {MAX_NAMED} dead letters at a time")))
        }
        Selection::Sequences { sequences } => {
            let (mut dead_letters, mut missing) = (Vec::new(), Vec::new());
            for &sequence in sequences {
                match nats::run(&state.bus, state.inspector.dead_letter(sequence)).await? {
                    Some(dead_letter) => dead_letters.push(dead_letter),
                    None => missing.push(sequence),
                }
            }
            Ok(Selected { dead_letters, missing })
        }
        Selection::Group { stage, cause } => {
            let reading = of_group(state, Some(stage), Some(cause), 0, usize::MAX);
            Ok(Selected { dead_letters: nats::run(&state.bus, reading).await?, missing: Vec::new() })
        }
    }
}

fn missing(sequences: &[u64]) -> Vec<Outcome> {
    let outcome = |&sequence: &u64| Outcome {
        sequence: Some(sequence),
        ..Outcome::refused(&sequence.to_string(), "no such dead letter")
    };
    sequences.iter().map(outcome).collect()
}

async fn retry_all(state: &State, selected: Selected) -> Result<ActionResult, ApiError> {
    let begun = Instant::now();
    let mut done = ActionResult { results: missing(&selected.missing), ..ActionResult::default() };
    let (mut ids, mut known) = (Vec::new(), HashSet::new());
    for dead_letter in &selected.dead_letters {
        match dead_letter.submission_key() {
            Some(key) if known.insert(key.id.clone()) => ids.push(key.id),
            Some(_) => {}
            None => done.results.push(Outcome {
                sequence: Some(dead_letter.sequence),
                ..Outcome::refused(
                    &dead_letter.key,
                    "its subject names no submission: it can only be dropped",
                )
            }),
        }
    }
    for (n, id) in ids.iter().enumerate() {
        if begun.elapsed() > WORK_TIME {
            done.left = ids.len() - n;
            break;
        }
        let retried = async {
            let dead_letters = state.inspector.dead_letters_of(id).await?;
            match gavel_inspect::to_retry(&dead_letters, None) {
                Some(dead_letter) => Outcome::of(id, state.rejudger.retry(dead_letter).await, false),
                None => Ok(Outcome::refused(id.as_str(), "no such dead letter")),
            }
        };
        match retried.await {
            Ok(outcome) => done.results.push(outcome),
            Err(error) => {
                (done.left, done.problem) = (ids.len() - n, Some(Cause::from(error).as_str().to_owned()));
                break;
            }
        }
    }
    info!(operator = state.operator, count = done.results.len(), left = done.left, "dead letters retried");
    Ok(done)
}

async fn drop_all(state: &State, selected: Selected) -> Result<ActionResult, ApiError> {
    let begun = Instant::now();
    let mut done = ActionResult { results: missing(&selected.missing), ..ActionResult::default() };
    for (n, listed) in selected.dead_letters.iter().enumerate() {
        if begun.elapsed() > WORK_TIME {
            done.left = selected.dead_letters.len() - n;
            break;
        }
        let dropped = async {
            // With its message, which is stored apart if it is large.
            let found = state.inspector.dead_letter(listed.sequence).await?;
            let existed = match &found {
                Some(found) => state.inspector.remove_dead_letter(found).await?,
                None => false,
            };
            Ok::<_, ApiError>(Outcome::dropped(listed, existed))
        };
        match dropped.await {
            Ok(outcome) => done.results.push(outcome),
            Err(error) => {
                (done.left, done.problem) = (selected.dead_letters.len() - n, Some(error.error));
                break;
            }
        }
    }
    info!(operator = state.operator, count = done.results.len(), left = done.left, "dead letters dropped");
    Ok(done)
}
