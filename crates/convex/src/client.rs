//! The client, and the one function that sends every call.

use std::time::{Duration, SystemTime};

use gavel_domain::heartbeat::DependencyStatus;
use gavel_domain::{RequestId, SubmissionId, SubmissionKind};
use gavel_telemetry::trace::traceparent;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, redirect};
use serde::Serialize;
use tracing::warn;

use crate::call::{CallError, error_label, measured, register_denied_series};
use crate::config::{ConvexConfig, InvalidConfig, ValidatedConfig};
use crate::dependency::DependencyTracker;
use crate::permits::{CallPermit, CallPermits};
use crate::response::expect_success;
use crate::sign::Signer;

/// A client for one Convex deployment. Cheap to clone; clones share permits and status.
#[derive(Clone)]
pub struct Convex {
    http: Client,
    base: String,
    permits: CallPermits,
    authorization: Option<HeaderValue>,
    signer: Signer,
    dependency: DependencyTracker,
}

#[derive(Serialize)]
struct Running<'a> {
    #[serde(rename = "submissionId")]
    submission_id: &'a str,
}

impl Convex {
    /// Builds a client from its settings. It does not connect yet.
    ///
    /// # Errors
    /// Returns an error if the URL, the token or a signing secret is invalid, or if the HTTP client cannot be built.
    pub fn new(config: &ConvexConfig) -> Result<Self, InvalidConfig> {
        let ValidatedConfig { base, authorization, signer } = config.validate()?;
        let http = Client::builder()
            .user_agent(concat!("gavel/", env!("CARGO_PKG_VERSION")))
            .timeout(config.timeout)
            .connect_timeout(config.timeout.min(Duration::from_secs(5)))
            // Following a redirect would send the submission to another host.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(InvalidConfig::Client)?;
        if config.exposes_token() {
            warn!("CONVEX_SITE_URL begins with http://, so CONVEX_TOKEN is sent unencrypted: use https://");
        }
        register_denied_series();
        let permits = config.permits.clone();
        Ok(Self { http, base, permits, authorization, signer, dependency: DependencyTracker::default() })
    }

    /// Returns the health of Convex as recent calls saw it.
    #[must_use]
    pub fn status(&self) -> DependencyStatus {
        self.dependency.status()
    }

    /// Waits for a permit for a first attempt.
    pub async fn acquire_permit(&self) -> CallPermit {
        self.permits.acquire().await
    }

    /// Waits briefly for a permit for a retry. Returns `None` if too many retries are running: try again later.
    pub async fn acquire_retry_permit(&self) -> Option<CallPermit> {
        self.permits.acquire_for_retry().await
    }

    /// Waits for a permit for a `running` callback that no other call waits for.
    pub async fn acquire_running_permit(&self) -> CallPermit {
        self.permits.acquire_for_running().await
    }

    /// Notifies Convex that a submission is running, and returns the HTTP status of its response. The call is cut off
    /// after `timeout`. `callback` is the callback's id, the same for each attempt.
    ///
    /// # Errors
    /// Returns an error if Convex does not answer in time, or answers with anything but a 2xx.
    pub async fn notify_running(
        &self,
        _permit: &CallPermit,
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
        measured(path, error_label, async {
            expect_success(self.post(path, body, callback, request_id, Some(timeout)).await?).await
        })
        .await
    }

    /// Sends one POST request with its id, signed if there are secrets. `timeout` overrides the client's own.
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
        let response = request.send().await.map_err(CallError::from_reqwest);
        self.dependency.record(path, &response);
        response
    }
}

pub(crate) fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("strings and numbers always have a JSON form")
}
