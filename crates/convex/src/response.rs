//! Reading Convex's responses, and telling them from those of a proxy in between.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use tracing::error;

use crate::call::CallError;

/// How many bytes of an error response are kept.
const MAX_ERROR_BODY_BYTES: usize = 500;

/// Returns the status of a 2xx response whose body does not matter, and an error for any other response. An HTML page
/// counts as an error whatever its status: Convex sends none, but a proxy or a sign-in page in between does.
pub(crate) async fn expect_success(response: Response) -> Result<u16, CallError> {
    if response.status().is_success() {
        let status = response.status().as_u16();
        return if is_page(&response) { Err(CallError::Page { status }) } else { Ok(status) };
    }
    let mut error = error_status(&response);
    if let CallError::Status { body, .. } = &mut error {
        // A body that breaks off is kept up to that point.
        let bytes = read_up_to(response, MAX_ERROR_BODY_BYTES).await.unwrap_or_default().bytes;
        *body = Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|text| !text.is_empty());
    }
    Err(error)
}

/// Whether the response is an HTML page.
pub(crate) fn is_page(response: &Response) -> bool {
    let media = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media.is_some_and(|media| media.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

/// Returns the error for the status of a response, without its body.
pub(crate) fn error_status(response: &Response) -> CallError {
    let status = response.status().as_u16();
    if matches!(status, 401 | 403) {
        alarm_refused_credentials(status);
    }
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    CallError::Status { status, retry_after: seconds.map(Duration::from_secs), body: None }
}

/// Logs an alarm: no call of this deployment succeeds until an operator corrects the credentials. Alerts search the
/// logs for the field `alarm`.
fn alarm_refused_credentials(status: u16) {
    error!(
        alarm = "convex_refuses_credentials",
        status, "Convex refuses the credentials: check CONVEX_TOKEN and CONVEX_SIGNING_SECRETS"
    );
}

/// The beginning of a body.
#[derive(Default)]
pub(crate) struct BodyStart {
    pub(crate) bytes: Bytes,
    /// Whether the body is longer than `bytes`.
    pub(crate) is_truncated: bool,
}

/// Reads at most `max_bytes` of a body.
pub(crate) async fn read_up_to(mut response: Response, max_bytes: usize) -> Result<BodyStart, CallError> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(CallError::from_reqwest)? {
        let room = max_bytes - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok(BodyStart { bytes: bytes.freeze(), is_truncated: true });
        }
    }
    Ok(BodyStart { bytes: bytes.freeze(), is_truncated: false })
}
