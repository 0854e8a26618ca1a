//! The client, and the one way in which every call is made.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use gavel_domain::heartbeat::DependencyStatus;
use gavel_domain::{RequestId, SubmissionId, SubmissionKind};
use gavel_telemetry::trace::traceparent;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, redirect};
use serde::Serialize;
use tracing::error;

use crate::call::{CallError, measured, show_denials, word};
use crate::config::{Checked, ConvexConfig, InvalidConfig};
use crate::in_flight::{InFlight, Slot};
use crate::seen::Seen;
use crate::sign::Signer;

/// How much of a refusal is kept.
const MAX_REFUSAL_BYTES: usize = 500;

/// The Convex app. Cheap to clone.
#[derive(Clone)]
pub struct Convex {
    http: Client,
    base: String,
    in_flight: InFlight,
    authorization: Option<HeaderValue>,
    signer: Signer,
    seen: Seen,
}

#[derive(Serialize)]
struct Running<'a> {
    #[serde(rename = "submissionId")]
    submission_id: &'a str,
}

impl Convex {
    /// A client for one deployment.
    ///
    /// # Errors
    /// [`InvalidConfig`].
    pub fn new(config: &ConvexConfig) -> Result<Self, InvalidConfig> {
        let Checked { base, authorization, signer } = config.check()?;
        let http = Client::builder()
            .user_agent(concat!("gavel/", env!("CARGO_PKG_VERSION")))
            .timeout(config.timeout)
            .connect_timeout(config.timeout.min(Duration::from_secs(5)))
            // A redirect would carry a submission to wherever it points.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(InvalidConfig::Client)?;
        show_denials();
        let in_flight = config.in_flight.clone();
        Ok(Self { http, base, in_flight, authorization, signer, seen: Seen::default() })
    }

    /// How Convex is, as the last calls saw it.
    #[must_use]
    pub fn seen(&self) -> DependencyStatus {
        self.seen.peer()
    }

    /// A slot for a first try; it waits for its turn.
    pub async fn slot(&self) -> Slot {
        self.in_flight.first().await
    }

    /// A slot for one that comes again; none where so many do that it had better come later.
    pub async fn slot_again(&self) -> Option<Slot> {
        self.in_flight.again().await
    }

    /// Tells Convex that a submission is running, and returns the status of its answer. The call is over on our side after `timeout`; `callback` is its
    /// id, the same for each try.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn running(
        &self,
        _slot: &Slot,
        id: &SubmissionId,
        kind: SubmissionKind,
        callback: &str,
        request_id: Option<&RequestId>,
        timeout: Duration,
    ) -> Result<u16, CallError> {
        let path = match kind {
            SubmissionKind::Standard => "/coding/submission-running",
            SubmissionKind::Personalized => "/coding/personalized-submission-running",
        };
        let body = to_json(&Running { submission_id: id.as_str() });
        measured(path, word, async {
            expect_success(self.post(path, body, callback, request_id, Some(timeout)).await?).await
        })
        .await
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        body: Vec<u8>,
        callback: &str,
        request_id: Option<&RequestId>,
        timeout: Option<Duration>,
    ) -> Result<Response, CallError> {
        let request = self.http.post(format!("{}{path}", self.base)).header(CONTENT_TYPE, "application/json");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut request = self.signer.sign(request, callback, now.as_secs(), &body).body(body);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(id) = request_id {
            request = request.header("x-request-id", id.as_str());
        }
        if let Some(traceparent) = traceparent() {
            request = request.header("traceparent", traceparent);
        }
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        let answered = request.send().await.map_err(CallError::of);
        self.seen.note(path, &answered);
        answered
    }
}

pub(crate) fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("strings and numbers always have a JSON form")
}

/// An answer that carries nothing but its status. A page is not one, whatever its status: Convex sends none, but
/// a proxy or a sign-in in between does.
pub(crate) async fn expect_success(response: Response) -> Result<u16, CallError> {
    if response.status().is_success() {
        let status = response.status().as_u16();
        return if is_page(&response) { Err(CallError::Page { status }) } else { Ok(status) };
    }
    let mut refusal = refusal(&response);
    if let CallError::Status { body, .. } = &mut refusal {
        // What cannot be read in full is told as far as it came.
        let bytes = read_up_to(response, MAX_REFUSAL_BYTES).await.unwrap_or_default().head;
        *body = Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|text| !text.is_empty());
    }
    Err(refusal)
}

pub(crate) fn is_page(response: &Response) -> bool {
    let media = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media.is_some_and(|media| media.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

/// The error of an answer, without its body.
pub(crate) fn refusal(response: &Response) -> CallError {
    let status = response.status().as_u16();
    if matches!(status, 401 | 403) {
        refused_credentials(status);
    }
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    CallError::Status { status, retry_after: seconds.map(Duration::from_secs), body: None }
}

/// An alarm: nothing that this deployment is told gets through until a person mends it. `alarm` is what to look for
/// in the logs; what counts alarms belongs here.
fn refused_credentials(status: u16) {
    error!(alarm = "convex_refuses_credentials", status, "Convex refuses our credentials");
}

/// The beginning of a body.
#[derive(Default)]
pub(crate) struct Head {
    pub(crate) head: Bytes,
    /// Whether there was more.
    pub(crate) cut: bool,
}

pub(crate) async fn read_up_to(mut response: Response, max_bytes: usize) -> Result<Head, CallError> {
    let mut head = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(CallError::of)? {
        let room = max_bytes - head.len();
        head.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok(Head { head: head.freeze(), cut: true });
        }
    }
    Ok(Head { head: head.freeze(), cut: false })
}
