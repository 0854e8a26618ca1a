//! Failures of requests, as JSON that says what to do.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gavel_bus::Cause;
use gavel_describe::explanation::Explanation;
use gavel_inspect::{InspectError, RejudgeError, RemoveError};
use serde::Serialize;

/// Why a request failed.
#[derive(Debug, Serialize)]
pub(crate) struct ApiError {
    #[serde(skip)]
    status: StatusCode,
    /// What failed.
    pub(crate) error: String,
    /// What to do about it, as full sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), remedy: None }
    }

    pub(crate) fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// The request itself is wrong.
    pub(crate) fn invalid(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    pub(crate) fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }

    /// NATS cannot be reached.
    pub(crate) fn unavailable(error: impl Into<String>, remedy: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error).with_remedy(remedy)
    }
}

impl From<InspectError> for ApiError {
    fn from(error: InspectError) -> Self {
        let Explanation { message, remedy } = (&error).into();
        Self::unavailable(message, remedy)
    }
}

/// Only failures of NATS: a refusal is an outcome.
impl From<RejudgeError> for ApiError {
    fn from(error: RejudgeError) -> Self {
        Self::unavailable(Cause::from(error).as_str(), "Try again once NATS answers.")
    }
}

impl From<RemoveError> for ApiError {
    fn from(error: RemoveError) -> Self {
        Self::unavailable(Cause::from(error).as_str(), "Try again once NATS answers.")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}
