//! The routes of the ingress.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::extract::{self, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use gavel_bus::{Bus, LiveInstances, Outgoing, PublishError, Stored, Trace};
use gavel_domain::event::Queued;
use gavel_domain::{Generation, RequestId, Submission, SubmissionId};
use gavel_runtime::{Connection, Overloaded};
use tracing::{info, warn};

use crate::body::{self, BodyError};
use crate::guard::{Denied, Guard};
use crate::languages;
use crate::request::{SubmissionRequest, parse};
use crate::response;

/// How long a publish without an answer is retried before the caller gets a 503.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(3);
/// The `Retry-After` of a 503.
const RETRY_AFTER: Duration = Duration::from_secs(5);

const REQUEST_ID: &str = "x-request-id";

pub(crate) struct State {
    pub(crate) bus: Bus,
    pub(crate) guard: Guard,
    pub(crate) judges: LiveInstances,
    pub(crate) max_source_bytes: usize,
}

pub(crate) async fn judge_question(
    extract::State(state): extract::State<Arc<State>>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Response {
    let request_id = request_id(request.headers());
    let mut response = respond(&state, &connection, request, &request_id).await;
    if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

async fn respond(
    state: &State,
    connection: &Connection,
    request: Request,
    request_id: &RequestId,
) -> Response {
    if let Err(denied) = state.guard.admit(request.headers()) {
        body::discard(request).await;
        return deny(&denied, request_id);
    }
    if !is_json(request.headers()) {
        body::discard(request).await;
        log_rejected(request_id, "", "the content type is not application/json");
        let message = "Send the submission as JSON, with the header Content-Type: application/json";
        return response::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "", message, None);
    }
    let traceparent = traceparent(request.headers());
    let body = match body::read(request.into_body(), connection).await {
        Ok(body) => body,
        Err(error) => return body_error(&error, request_id),
    };
    let submission = match parse(&body, state.max_source_bytes) {
        Ok(submission) => submission,
        Err(invalid) => {
            log_rejected(request_id, invalid.submission_id(), "invalid request body");
            return response::invalid(invalid, state.max_source_bytes);
        }
    };
    if let Err(Overloaded) = connection.protect() {
        let (id, message) = (submission.submission_id.as_str(), "Too many submissions are being queued");
        log_rejected(request_id, id, message);
        return response::retry_later(StatusCode::SERVICE_UNAVAILABLE, id, message, RETRY_AFTER);
    }
    let trace = Trace { request_id: Some(request_id.clone()), traceparent };
    queue(state, submission, &trace, request_id).await
}

fn deny(denied: &Denied, request_id: &RequestId) -> Response {
    match denied {
        Denied::Unauthorized => {
            log_rejected(request_id, "", "missing or invalid key");
            response::unauthorized()
        }
        Denied::RateLimited { retry_after } => {
            log_rejected(request_id, "", "rate limit exceeded");
            response::retry_later(StatusCode::TOO_MANY_REQUESTS, "", "Rate limit exceeded", *retry_after)
        }
    }
}

fn body_error(error: &BodyError, request_id: &RequestId) -> Response {
    let (status, message) = match error {
        BodyError::TooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "The request body exceeds 1 MiB. A source within MAX_SOURCE_BYTES exceeds it only if it consists of control \
             characters, which JSON writes with six bytes each",
        ),
        BodyError::Incomplete => (StatusCode::BAD_REQUEST, "The request body is incomplete"),
        BodyError::Timeout => (StatusCode::REQUEST_TIMEOUT, "Timeout while reading the request body"),
        BodyError::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "Too many submissions are being received"),
    };
    log_rejected(request_id, "", message);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        return response::retry_later(status, "", message, RETRY_AFTER);
    }
    response::error(status, "", message, None)
}

/// Logs a rejected request. For the caller a rejection ends the submission, so someone will search for it. The id is
/// logged only if it is valid: nothing else that a caller sends belongs in logs.
fn log_rejected(request_id: &RequestId, submission_id: &str, reason: &str) {
    let id = SubmissionId::new(submission_id).ok();
    let submission_id = id.as_ref().map_or("", SubmissionId::as_str);
    info!(submission_id, %request_id, reason, "request rejected");
}

async fn queue(state: &State, request: SubmissionRequest, trace: &Trace, request_id: &RequestId) -> Response {
    let event = Queued {
        submission: Submission {
            id: request.submission_id,
            question_id: request.question_id,
            language: request.language,
            kind: request.kind,
            accepted_at_ms: gavel_domain::time::epoch_ms(SystemTime::now()),
            generation: Generation::FIRST,
        },
        source: request.source,
    };
    let id = event.submission.id.as_str();
    match state.bus.publish(&Outgoing::from(&event), trace, PUBLISH_TIMEOUT).await {
        Ok(stored) => {
            let repeated = stored != Stored::New;
            let language = &event.submission.language;
            info!(submission_id = id, %request_id, %language, repeated, "submission queued");
            response::accepted(id, request_id)
        }
        Err(error) => {
            warn!(submission_id = id, %request_id, %error, "submission not queued");
            let message = match error {
                PublishError::Full => "The queue is full",
                _ => "The queue is unavailable",
            };
            response::retry_later(StatusCode::SERVICE_UNAVAILABLE, id, message, RETRY_AFTER)
        }
    }
}

/// `GET /v1/languages`. Needs the same keys as a submission, but does not count towards the rate limits.
pub(crate) async fn languages(
    extract::State(state): extract::State<Arc<State>>,
    request: Request,
) -> Response {
    if !state.guard.is_authorized(request.headers()) {
        return response::unauthorized();
    }
    Json(languages::list(&state.judges, Instant::now())).into_response()
}

pub(crate) async fn not_found(request: Request) -> Response {
    body::discard(request).await;
    let message = "Not found: send submissions to POST /v1/judge-question";
    response::error(StatusCode::NOT_FOUND, "", message, None)
}

pub(crate) async fn method_not_allowed(request: Request) -> Response {
    body::discard(request).await;
    let message = "Method not allowed: see the Allow header";
    response::error(StatusCode::METHOD_NOT_ALLOWED, "", message, None)
}

/// Whether the body is declared as JSON. A web page can send other types to an ingress without keys, and JSON only after
/// asking for permission (CORS), which the ingress does not give.
fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Parameters follow the media type.
    declared.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

/// Returns the caller's request id if it is valid, or a new random one of 128 bits.
fn request_id(headers: &HeaderMap) -> RequestId {
    let sent = headers.get(REQUEST_ID).and_then(|value| RequestId::new(value.to_str().ok()?));
    sent.unwrap_or_else(|| {
        RequestId::new(&format!("{:032x}", rand::random::<u128>()))
            .expect("hexadecimal digits are visible ASCII")
    })
}

/// Returns the caller's trace context if it is valid: version, trace id, parent id and flags in lower-case hexadecimal
/// (W3C Trace Context §3.2).
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    let hex = text.bytes().all(|b| b == b'-' || matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (lengths == [2, 32, 16, 2] && hex).then(|| text.to_owned())
}
