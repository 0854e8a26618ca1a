//! `GET /healthz`: the process works. `GET /readyz`: it can do its work, or what it cannot reach.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::{BoxFuture, join_all};
use gavel_bus::Attachment;
use serde_json::json;
use tokio::sync::watch;

/// Asks whether something that the service needs is there; the error is one plain sentence.
pub type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// How long all checks together may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// A check of an async function.
pub fn check<F>(ask: impl Fn() -> F + Send + Sync + 'static) -> Check
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    Arc::new(move || Box::pin(ask()))
}

/// The two routes.
pub fn router<S: Clone + Send + Sync + 'static>(checks: Vec<Check>) -> Router<S> {
    Router::new()
        .route("/healthz", get(async || Json(json!({ "ok": true }))))
        .route("/readyz", get(ready))
        .with_state(Arc::<[Check]>::from(checks))
}

/// Why the service is not ready, a sentence each.
pub(crate) async fn problems(checks: &[Check]) -> Vec<String> {
    let answers = tokio::time::timeout(PATIENCE, join_all(checks.iter().map(|check| check()))).await;
    match answers {
        Ok(answers) => answers.into_iter().filter_map(Result::err).collect(),
        Err(_) => vec!["no answer in time".to_owned()],
    }
}

async fn ready(State(checks): State<Arc<[Check]>>) -> Response {
    let problems = problems(&checks).await;
    if problems.is_empty() {
        return Json(json!({ "ok": true })).into_response();
    }
    let body = json!({ "ok": false, "unreachable": problems });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

/// What a consumer loop says of itself, and the check that asks it; `what` is what it is attached to.
#[must_use]
pub fn attachment(what: &'static str) -> (Attachment, Check) {
    let (sender, receiver) = watch::channel(false);
    let ask = move || {
        let attached = *receiver.borrow();
        async move { if attached { Ok(()) } else { Err(format!("{what} cannot be reached")) } }
    };
    (sender, check(ask))
}
