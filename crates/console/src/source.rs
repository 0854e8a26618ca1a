//! Sources, and what programs and compilers print: only with the key, and each access is logged.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::HeaderMap;
use gavel_domain::event::{Judged, Queued, Ready, Waiting};
use gavel_domain::{FirstFailure, Submission, Verdict};
use gavel_inspect::{DeadLetterContent, Timeline};
use gavel_proto::Event;
use serde::Serialize;
use serde_json::{Value, json};
use tracing::info;

use crate::dead_letters::find;
use crate::error::ApiError;
use crate::nats;
use crate::state::State;
use crate::submission::submission_id;

/// What is secret about a generation.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Secrets {
    generation: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compile_output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_failure: Option<Failure>,
}

/// The first failing test as the learner sees it: the input and the expected output of a hidden test are not in the verdict.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actual_output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_output: Option<String>,
    error_message: String,
}

/// `GET /api/submissions/{id}/source`
pub(crate) async fn of_submission(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    state.guard.check_key(&headers)?;
    let id = submission_id(&id)?;
    let history = nats::run(&state.bus, state.inspector.history(&id)).await?;
    if history.is_empty() {
        return Err(ApiError::not_found(format!("unknown submission {id}")));
    }
    info!(%id, operator = state.operator, "source of a submission shown");
    let generations: Vec<Secrets> = history.iter().map(Secrets::of).collect();
    Ok(Json(json!({ "id": id.as_str(), "generations": generations })))
}

/// `GET /api/dead-letters/{sequence}/source`
pub(crate) async fn of_dead_letter(
    Shared(state): Shared<Arc<State>>,
    Path(sequence): Path<u64>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    state.guard.check_key(&headers)?;
    let dead_letter = find(&state, sequence).await?;
    info!(sequence, operator = state.operator, "source of a dead letter shown");
    let source = match dead_letter.content() {
        DeadLetterContent::Queued(Queued { source, .. }) | DeadLetterContent::Ready(Ready { source, .. }) => {
            Some(source)
        }
        DeadLetterContent::Running(_) | DeadLetterContent::Judged(_) | DeadLetterContent::Unreadable(_) => {
            None
        }
    };
    let mut object = json!({ "sequence": sequence });
    if let Some(source) = source {
        object["source"] = source.into();
    }
    Ok(Json(object))
}

impl Secrets {
    fn of(timeline: &Timeline) -> Self {
        let mut secrets = Self { generation: timeline.generation.number(), ..Self::default() };
        for event in timeline.events.iter().filter_map(|message| message.event().ok()) {
            match event {
                Event::Queued(Queued { submission, source })
                | Event::Ready(Ready { submission, source, .. })
                | Event::Waiting(Waiting { ready: Ready { submission, source, .. } }) => {
                    secrets.language(&submission);
                    secrets.source = Some(source);
                }
                Event::Judged(judged) => {
                    let Judged { submission, verdict, .. } = *judged;
                    secrets.language(&submission);
                    let Verdict { first_failure, stderr, compile_output, .. } = verdict;
                    (secrets.stderr, secrets.compile_output) = (stderr, compile_output);
                    secrets.first_failure = first_failure.map(Failure::from);
                }
                _ => {}
            }
        }
        secrets
    }

    fn language(&mut self, submission: &Submission) {
        self.language = Some(submission.language.0);
    }
}

impl From<FirstFailure> for Failure {
    fn from(failure: FirstFailure) -> Self {
        let FirstFailure { index, stdin, actual_output, expected_output, error_message } = failure;
        Self { index, stdin, actual_output, expected_output, error_message }
    }
}
