//! `POST /v1/judge-question`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{self, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use gavel_bus::{Bus, Outgoing, PublishError, Stored, Trace};
use gavel_domain::event::Queued;
use gavel_domain::{Generation, RequestId, Submission, SubmissionId};
use tracing::{info, warn};

use crate::answer;
use crate::body::{self, Unread};
use crate::guard::{Guard, Refusal};
use crate::languages::Judges;
use crate::request::{Parsed, parse};

/// How long a submission whose publish has no answer is repeated before the caller is told 503.
const PATIENCE: Duration = Duration::from_secs(3);
/// When a caller should come back if the queue cannot take a submission.
const COME_BACK: Duration = Duration::from_secs(5);

const REQUEST_ID: &str = "x-request-id";

pub(crate) struct State {
    pub(crate) bus: Bus,
    pub(crate) guard: Guard,
    pub(crate) judges: Judges,
    pub(crate) max_source_bytes: usize,
}

pub(crate) async fn judge_question(
    extract::State(state): extract::State<Arc<State>>,
    request: Request,
) -> Response {
    let request_id = request_id(request.headers());
    let mut response = answer(&state, request, &request_id).await;
    if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

async fn answer(state: &State, request: Request, request_id: &RequestId) -> Response {
    if let Err(refusal) = state.guard.admit(request.headers()) {
        body::discard(request).await;
        return turned_away(&refusal, request_id);
    }
    let traceparent = traceparent(request.headers());
    let body = match body::read(request.into_body()).await {
        Ok(body) => body,
        Err(unread) => return not_read(&unread, request_id),
    };
    let parsed = match parse(&body, state.max_source_bytes) {
        Ok(parsed) => parsed,
        Err(invalid) => {
            refused(request_id, invalid.submission_id(), "not a submission");
            return answer::invalid(invalid, state.max_source_bytes);
        }
    };
    let trace = Trace { request_id: Some(request_id.clone()), traceparent };
    queue(state, parsed, &trace, request_id).await
}

fn turned_away(refusal: &Refusal, request_id: &RequestId) -> Response {
    match refusal {
        Refusal::Unauthorized => {
            refused(request_id, "", "no valid key");
            answer::unauthorized()
        }
        Refusal::TooMany { retry_after } => {
            refused(request_id, "", "too many submissions");
            answer::later(StatusCode::TOO_MANY_REQUESTS, "", "Too many submissions", *retry_after)
        }
    }
}

fn not_read(unread: &Unread, request_id: &RequestId) -> Response {
    let (status, message) = match unread {
        Unread::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The body is over 1 MiB"),
        Unread::Broken => (StatusCode::BAD_REQUEST, "The body did not arrive whole"),
        Unread::Late => (StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time"),
    };
    refused(request_id, "", message);
    answer::error(status, "", message, None)
}

/// The caller takes a refusal for the submission's end, so somebody will look for it. An id is told only
/// where it can be one: the rest of what a caller sends is not for logs.
fn refused(request_id: &RequestId, submission_id: &str, reason: &str) {
    let id = SubmissionId::new(submission_id).ok();
    let submission_id = id.as_ref().map_or("", SubmissionId::as_str);
    info!(submission_id, %request_id, reason, "refused");
}

async fn queue(state: &State, parsed: Parsed, trace: &Trace, request_id: &RequestId) -> Response {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let event = Queued {
        submission: Submission {
            id: parsed.submission_id,
            question_id: parsed.question_id,
            language: parsed.language,
            kind: parsed.kind,
            accepted_at_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
            generation: Generation::FIRST,
        },
        source: parsed.source,
    };
    let id = event.submission.id.as_str();
    match state.bus.publish(&Outgoing::from(&event), trace, PATIENCE).await {
        Ok(stored) => {
            let repeated = stored != Stored::New;
            info!(submission_id = id, %request_id, language = %event.submission.language, repeated, "queued");
            answer::accepted(id, request_id)
        }
        Err(error) => {
            warn!(submission_id = id, %request_id, %error, "not queued");
            let message = match error {
                PublishError::Full => "The queue is full",
                _ => "The queue is not available",
            };
            answer::later(StatusCode::SERVICE_UNAVAILABLE, id, message, COME_BACK)
        }
    }
}

pub(crate) async fn not_found(request: Request) -> Response {
    body::discard(request).await;
    answer::error(StatusCode::NOT_FOUND, "", "No such path; submissions go to POST /v1/judge-question", None)
}

pub(crate) async fn method_not_allowed(request: Request) -> Response {
    body::discard(request).await;
    answer::error(StatusCode::METHOD_NOT_ALLOWED, "", "This path takes another method", None)
}

/// The caller's request id where it can be kept; else a new one, of 128 random bits.
fn request_id(headers: &HeaderMap) -> RequestId {
    let sent = headers.get(REQUEST_ID).and_then(|value| RequestId::new(value.to_str().ok()?));
    sent.unwrap_or_else(|| {
        RequestId::new(&format!("{:032x}", rand::random::<u128>())).expect("hexadecimal is visible ASCII")
    })
}

/// The caller's trace context: version, trace id, parent id and flags, in lower-case hexadecimal (W3C Trace
/// Context §3.2).
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    let hex = text.bytes().all(|b| b == b'-' || matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (lengths == [2, 32, 16, 2] && hex).then(|| text.to_owned())
}
