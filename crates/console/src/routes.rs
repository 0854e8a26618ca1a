//! The paths of the API.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::history::MINUTES;
use crate::overview::Overview;
use crate::protect::protect;
use crate::state::State;
use crate::{actions, dead_letters, live, pages, rejudge, source, submission, submissions};

/// The largest body: a list of ids.
const MAX_BODY_BYTES: usize = 256 << 10;

pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/api/session", get(session))
        .route("/api/overview", get(overview))
        .route("/api/history", get(history))
        .route("/api/live", get(live::live))
        .route("/api/submissions", get(submissions::list))
        .route("/api/submissions/{id}", get(submission::show))
        .route("/api/submissions/{id}/source", get(source::of_submission))
        .route("/api/dead-letters", get(dead_letters::groups))
        .route("/api/dead-letters/items", get(dead_letters::items))
        .route("/api/dead-letters/{sequence}", get(dead_letters::show))
        .route("/api/dead-letters/{sequence}/source", get(source::of_dead_letter))
        .route("/api/dead-letters/retry", post(actions::retry))
        .route("/api/dead-letters/drop", post(actions::remove))
        .route("/api/rejudge", post(rejudge::rejudge))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(pages::page)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(&state), protect))
        .with_state(state)
}

async fn method_not_allowed() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this method is not possible here")
}

async fn session(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Json<Value> {
    Json(json!({
        "version": gavel_runtime::VERSION,
        "writable": state.guard.is_writable(),
        "keyValid": state.guard.has_key(&headers),
        "operator": state.operator,
    }))
}

async fn overview(Shared(state): Shared<Arc<State>>) -> Json<Overview> {
    state.reader_came.notify_waiters();
    Json(crate::collect::current(&state).as_ref().clone())
}

async fn history(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    let table = state.table();
    let minutes = table.history.minutes(std::time::SystemTime::now(), MINUTES);
    Json(json!({ "complete": table.is_complete, "minutes": minutes }))
}
