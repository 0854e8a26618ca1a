//! The responses of contract §1: JSON bodies of one shape.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse as _, Response};
use gavel_domain::RequestId;
use gavel_domain::text::escape_json;
use serde::Serialize;
use serde_json::{Value, json};

use crate::request::InvalidRequest;

/// The body of a 202. Its own type, because every submission gets one: a [`Value`] takes several times as long.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted<'a> {
    status: &'a str,
    submission_id: &'a str,
    message: &'a str,
    details: Details<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    request_id: &'a str,
}

pub(crate) fn accepted(submission_id: &str, request_id: &RequestId) -> Response {
    let body = Accepted {
        status: "accepted",
        submission_id,
        message: "Submission queued for execution",
        details: Details { request_id: request_id.as_str() },
    };
    json(StatusCode::ACCEPTED, &body)
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
    json(status, &body)
}

pub(crate) fn unauthorized() -> Response {
    let message = "Missing or invalid key: send one as Authorization: Bearer KEY or X-Code-Exec-Key: KEY";
    let body = json!({ "status": "error", "message": message });
    // Without a valid key, a client must not keep a connection.
    let headers = [(WWW_AUTHENTICATE, "Bearer"), (CONNECTION, "close")];
    (headers, json(StatusCode::UNAUTHORIZED, &body)).into_response()
}

/// A response with a JSON body. It may repeat ids and keys of the caller, which can hold any character.
fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let body = serde_json::to_string(body).expect("strings and numbers always have a JSON form");
    (status, [(CONTENT_TYPE, "application/json")], escape_json(body)).into_response()
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
