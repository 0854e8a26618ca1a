//! Reading Convex's responses, and telling them from those of the platform or of a proxy in between.

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Map, Value};
use tracing::error;

use crate::call::{AnswerOrigin, CallError};
use crate::retry_after::requested_wait;

/// How many bytes of an error response are read.
const MAX_ERROR_BODY_BYTES: usize = 4 << 10;
/// How many of them are kept.
const MAX_QUOTE_BYTES: usize = 500;

/// Returns the status of a 2xx response whose body does not matter, and an error for any other response. An HTML page
/// counts as an error whatever its status: Convex sends none, but a proxy or a sign-in page in between does.
pub(crate) async fn expect_success(response: Response) -> Result<u16, CallError> {
    if !response.status().is_success() {
        return Err(read_error(response).await);
    }
    let status = response.status().as_u16();
    if is_page(&response) { Err(CallError::Page { status }) } else { Ok(status) }
}

/// Whether the response is an HTML page.
pub(crate) fn is_page(response: &Response) -> bool {
    let media = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media.is_some_and(|media| media.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

/// Reads a response without success and returns its error.
pub(crate) async fn read_error(response: Response) -> CallError {
    let status = response.status().as_u16();
    if matches!(status, 401 | 403) {
        alarm_refused_credentials(status);
    }
    let (retry_after, is_page) = (requested_wait(response.headers()), is_page(&response));
    let bytes = read_start(response, MAX_ERROR_BODY_BYTES).await;
    let origin = if is_page {
        AnswerOrigin::Page
    } else if is_of_app(&bytes) {
        AnswerOrigin::App
    } else {
        AnswerOrigin::Unknown
    };
    let text = String::from_utf8_lossy(&bytes);
    let quote = &text[..text.floor_char_boundary(MAX_QUOTE_BYTES)];
    let body = Some(quote.to_owned()).filter(|text| !text.is_empty());
    CallError::Status { status, retry_after, body, origin }
}

/// Whether the body of an error is one that an app's own function wrote: a JSON object, and none of Convex's errors,
/// which have a `code`. The platform and proxies answer with text.
fn is_of_app(body: &[u8]) -> bool {
    serde_json::from_slice::<Map<String, Value>>(body).is_ok_and(|object| !object.contains_key("code"))
}

/// Logs an alarm: no call of this deployment succeeds until an operator corrects the credentials. Alerts search the
/// logs for the field `alarm`.
fn alarm_refused_credentials(status: u16) {
    error!(
        alarm = "convex_refuses_credentials",
        status, "Convex refuses the credentials: check CONVEX_TOKEN and CONVEX_SIGNING_SECRETS"
    );
}

/// Reads at most `max_bytes` of a body. A body that breaks off is read up to that point.
async fn read_start(mut response: Response, max_bytes: usize) -> Bytes {
    let mut bytes = BytesMut::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = max_bytes - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_json_object_without_a_code_is_of_the_app() {
        for body in [r#"{"error":"no such question"}"#, r#"{"ok":false,"message":"m"}"#, "{}"] {
            assert!(is_of_app(body.as_bytes()), "{body}");
        }
        for body in [
            "",
            "This Convex deployment does not have HTTP actions enabled.",
            "No matching routes found",
            "null",
            r#""not found""#,
            "[]",
            r#"{"error":"no such"#,
            r#"{"code":"DeploymentNotFound","message":"m"}"#,
        ] {
            assert!(!is_of_app(body.as_bytes()), "{body}");
        }
    }
}
