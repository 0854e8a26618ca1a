//! `GET /healthz`: the process is alive. `GET /readyz`: the service can work, or the list of its problems.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::{BoxFuture, join_all};
use gavel_bus::ConsumerState;
use serde_json::json;
use tokio::sync::watch;

/// Checks one thing that the service depends on; the error is one sentence.
pub type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// The timeout of all checks together.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// Makes a [`Check`] from an async function.
pub fn check<F>(run: impl Fn() -> F + Send + Sync + 'static) -> Check
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    Arc::new(move || Box::pin(run()))
}

/// Returns the router of `/healthz` and `/readyz`.
pub(crate) fn router(checks: Vec<Check>) -> Router {
    Router::new()
        .route("/healthz", get(async || Json(json!({ "ok": true }))))
        .route("/readyz", get(ready))
        .with_state(Arc::<[Check]>::from(checks))
}

/// Runs the checks and returns one sentence for each that fails.
pub(crate) async fn problems(checks: &[Check]) -> Vec<String> {
    let results = tokio::time::timeout(CHECK_TIMEOUT, join_all(checks.iter().map(|check| check()))).await;
    match results {
        Ok(results) => results.into_iter().filter_map(Result::err).collect(),
        Err(_) => vec![format!("the checks did not finish within {} s", CHECK_TIMEOUT.as_secs())],
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

/// Returns the state that a consumer loop updates, and the check that reads it. The check fails until the loop is
/// attached to its consumer.
pub(crate) fn consumer_health(consumer: &'static str) -> (ConsumerState, Check) {
    let (state, receiver) = watch::channel(false);
    let attached = move || {
        let is_attached = *receiver.borrow();
        async move {
            if is_attached { Ok(()) } else { Err(format!("not attached to the NATS consumer {consumer}")) }
        }
    };
    (state, check(attached))
}
