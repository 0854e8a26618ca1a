//! The client, and the one function that sends every call.

use std::time::{Duration, SystemTime};

use gavel_domain::heartbeat::DependencyStatus;
use gavel_domain::{RequestId, SubmissionId, SubmissionKind};
use gavel_telemetry::trace::traceparent;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, Url, redirect};
use serde::Serialize;
use tokio::sync::watch;
use tracing::warn;

use crate::breaker::{Breaker, BreakerOpen, set_metric};
use crate::call::{CallError, error_label, measured, register_denied_series};
use crate::config::{ConvexConfig, InvalidConfig, ValidatedConfig};
use crate::dependency::DependencyTracker;
use crate::permits::{CallPermit, CallPermits};
use crate::response::expect_success;
use crate::sign::Signer;

/// A client for one Convex deployment. Cheap to clone; clones share permits, breaker and status.
#[derive(Clone)]
pub struct Convex {
    http: Client,
    base: Url,
    permits: CallPermits,
    authorization: Option<HeaderValue>,
    signer: Signer,
    dependency: DependencyTracker,
    breaker: Breaker,
}

/// Why there is no permit for a retry.
#[derive(Clone, Debug)]
pub enum NoPermit {
    /// All permits for retries are in use: try again later.
    TooManyRetries,
    /// Convex does not work.
    BreakerOpen(BreakerOpen),
}

impl From<BreakerOpen> for NoPermit {
    fn from(open: BreakerOpen) -> Self {
        Self::BreakerOpen(open)
    }
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
        let http = gavel_http::client()
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
        let (dependency, breaker) = (DependencyTracker::default(), Breaker::new());
        Ok(Self { http, base, permits, authorization, signer, dependency, breaker })
    }

    /// Returns the health of Convex as recent calls saw it.
    #[must_use]
    pub fn status(&self) -> DependencyStatus {
        let status = self.dependency.status();
        let Some((cause, since_ms)) = self.breaker.problem() else { return status };
        let problem = status.problem.unwrap_or(cause);
        let problem = format!("{problem}; the breaker is open, so only probes are sent, and messages wait");
        DependencyStatus { problem: Some(problem), since_ms: Some(since_ms), ..status }
    }

    /// Checks that the breaker is closed, for the readiness of a service.
    ///
    /// # Errors
    /// Returns why it is open, as one sentence.
    pub fn check_breaker(&self) -> Result<(), String> {
        self.breaker.check().map_err(|open| open.to_string())
    }

    /// Whether the breaker is closed, with its changes. While it is open, messages that need Convex should not be taken.
    #[must_use]
    pub fn is_breaker_closed(&self) -> watch::Receiver<bool> {
        self.breaker.is_closed()
    }

    /// Returns for how long a message of this age may have been tried: not before this process started, and not during the
    /// last outage of a minute or more.
    #[must_use]
    pub fn tried_for(&self, age: Duration) -> Duration {
        self.breaker.recovered_for().min(age)
    }

    /// Sends a probe from time to time while the breaker is open, and closes it once Convex answers. Runs until dropped;
    /// without it an open breaker stays open.
    pub async fn probe_while_open(self, service: &'static str) {
        set_metric(service, false);
        loop {
            let path = self.breaker.probe_is_due().await;
            let probe = measured(path, error_label, self.send_probe(path)).await;
            self.breaker.record_probe(probe.as_ref().err());
        }
    }

    /// Waits for a permit for a first attempt.
    ///
    /// # Errors
    /// Fails while the breaker is open, also for those who wait when it opens.
    pub async fn acquire_permit(&self) -> Result<CallPermit, BreakerOpen> {
        self.breaker.check()?;
        let permit = self.permits.acquire().await;
        self.breaker.check()?;
        Ok(permit)
    }

    /// Waits briefly for a permit for a retry.
    ///
    /// # Errors
    /// Fails if too many retries are running, and while the breaker is open.
    pub async fn acquire_retry_permit(&self) -> Result<CallPermit, NoPermit> {
        self.breaker.check()?;
        let permit = self.permits.acquire_for_retry().await.ok_or(NoPermit::TooManyRetries)?;
        self.breaker.check()?;
        Ok(permit)
    }

    /// Waits for a permit for a `running` callback that no other call waits for.
    ///
    /// # Errors
    /// Fails while the breaker is open, also for those who wait when it opens.
    pub async fn acquire_running_permit(&self) -> Result<CallPermit, BreakerOpen> {
        self.breaker.check()?;
        let permit = self.permits.acquire_for_running().await;
        self.breaker.check()?;
        Ok(permit)
    }

    /// Notifies Convex that a submission is running, and returns the HTTP status of its response. The call is cut off
    /// after `timeout`. `callback` is the callback's id, the same for each attempt.
    ///
    /// # Errors
    /// Returns an error if Convex does not answer in time, or answers with anything but a 2xx.
    pub async fn notify_running(
        &self,
        permit: &CallPermit,
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
        let call =
            async { expect_success(self.post(path, body, callback, request_id, Some(timeout)).await?).await };
        self.observed(path, permit, error_label, |error| Some(error), call).await
    }

    /// Runs a call, records its metrics, and its end for the breaker and for the health of Convex. `label` names an
    /// error, and `failed` returns the error of a call that the app did not answer.
    pub(crate) async fn observed<T, E>(
        &self,
        path: &'static str,
        permit: &CallPermit,
        label: impl FnOnce(&E) -> &'static str,
        failed: impl FnOnce(&E) -> Option<&CallError>,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        // On the heap: the futures of the HTTP client have kilobytes, which each wrapper around them would copy.
        let called = measured(path, label, Box::pin(call)).await;
        let error = called.as_ref().err().and_then(failed);
        self.dependency.record(error);
        self.breaker.record(path, error, permit.is_retry);
        called
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
        let request = self.http.post(self.url(path)).header(CONTENT_TYPE, "application/json");
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
        request.send().await.map_err(CallError::from_reqwest)
    }

    /// The URL of a route below the app's own. Parsing a whole URL for each call took 2 % of the CPU time of a reporter.
    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }
}

pub(crate) fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("strings and numbers always have a JSON form")
}
