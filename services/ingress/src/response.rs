//! The responses of contract §1: JSON bodies of one shape.

use std::time::Duration;

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use gavel_domain::RequestId;
use serde_json::{Value, json};

use crate::request::InvalidRequest;

pub(crate) fn accepted(submission_id: &str, request_id: &RequestId) -> Response {
    let body = json!({
        "status": "accepted",
        "submissionId": submission_id,
        "message": "Submission queued for execution",
        "details": { "requestId": request_id.as_str() },
    });
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

pub(crate) fn invalid(invalid: InvalidRequest, max_source_bytes: usize) -> Response {
    let (submission_id, message, details) = match invalid {
        InvalidRequest::Schema { submission_id, issues } => {
            (submission_id, "Invalid request body", json!({ "issues": issues }))
        }
        InvalidRequest::SourceTooLarge { submission_id } => {
            (submission_id, "sourceCode exceeds MAX_SOURCE_BYTES", json!({ "maxBytes": max_source_bytes }))
        }
    };
    error(StatusCode::BAD_REQUEST, &submission_id, message, Some(details))
}

pub(crate) fn error(
    status: StatusCode,
    submission_id: &str,
    message: &str,
    details: Option<Value>,
) -> Response {
    let mut body = json!({ "status": "error", "submissionId": submission_id, "message": message });
    if let Some(details) = details {
        body["details"] = details;
    }
    (status, Json(body)).into_response()
}

pub(crate) fn unauthorized() -> Response {
    let message = "Missing or invalid key: send one as Authorization: Bearer KEY or X-Code-Exec-Key: KEY";
    let body = json!({ "status": "error", "message": message });
    let challenge = (WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    (StatusCode::UNAUTHORIZED, [challenge], Json(body)).into_response()
}

/// An error with a `Retry-After` header, in whole seconds, at least one.
pub(crate) fn retry_later(
    status: StatusCode,
    submission_id: &str,
    message: &str,
    retry_after: Duration,
) -> Response {
    let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
    let mut response = error(status, submission_id, message, None);
    response.headers_mut().insert(RETRY_AFTER, seconds.max(1).into());
    response
}
