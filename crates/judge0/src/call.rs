//! The errors of a call to Judge0, and the metrics of calls.

use std::time::Duration;

use gavel_telemetry::{CallLabels, OK, measure_call};

/// Why a call has no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum Judge0Error {
    /// No connection could be made.
    #[error("cannot connect to Judge0")]
    Unreachable(#[source] reqwest::Error),
    /// The request was sent, but no complete answer arrived.
    #[error("no complete answer from Judge0")]
    NoAnswer(#[source] reqwest::Error),
    /// Judge0 works but cannot take more now: its queue is full, or the rate limit is reached.
    #[error("Judge0 is busy (status {status}{})", text.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
    Busy {
        /// The HTTP status code, 429 or 503.
        status: u16,
        /// The wait that Judge0 asked for.
        retry_after: Option<Duration>,
        /// Judge0's error message.
        text: Option<String>,
    },
    /// Judge0 rejected the credentials.
    #[error("Judge0 rejected the API key (status {status}): check JUDGE0_API_KEY and JUDGE0_HEADERS")]
    Denied {
        /// The HTTP status code, 401 or 403.
        status: u16,
    },
    /// Judge0 rejected this request and would reject it again.
    #[error("Judge0 rejected the request (status {status}): {text}")]
    Rejected {
        /// The HTTP status code.
        status: u16,
        /// Judge0's error message.
        text: String,
    },
    /// Judge0 failed, or a proxy in front of it did.
    #[error("Judge0 answered with status {status}")]
    Failed {
        /// The HTTP status code.
        status: u16,
    },
    /// The answer is not one of Judge0's: an HTML page, truncated JSON, or JSON of another form.
    #[error("the answer is not from Judge0 (status {status}): {text}")]
    Unreadable {
        /// The HTTP status code.
        status: u16,
        /// What is wrong with the answer.
        text: String,
    },
    /// The answer exceeds the size limit.
    #[error("Judge0's answer exceeds {max_bytes} bytes")]
    TooLarge {
        /// The size limit.
        max_bytes: usize,
    },
    /// Judge0 is configured without batched submissions, which this client requires.
    #[error(
        "batched submissions are disabled in Judge0: set ENABLE_BATCHED_SUBMISSIONS=true in its configuration"
    )]
    NoBatches,
}

impl Judge0Error {
    /// Converts an error of reqwest. Removes the URL, which is configuration and would be in every message.
    pub(crate) fn from_reqwest(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_connect() { Self::Unreachable(error) } else { Self::NoAnswer(error) }
    }

    /// Whether the error means that Judge0 is unreachable or broken, not only busy or unable to take this one request.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::NoAnswer(_)
            | Self::Denied { .. }
            | Self::Failed { .. }
            | Self::Unreadable { .. }
            | Self::NoBatches => true,
            Self::Busy { .. } | Self::Rejected { .. } | Self::TooLarge { .. } => false,
        }
    }

    /// Whether the same call may succeed later.
    pub(crate) fn can_pass(&self) -> bool {
        self.is_outage() || matches!(self, Self::Busy { .. })
    }

    /// The label value in metrics.
    fn label(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::NoAnswer(_) => "no_answer",
            Self::Busy { .. } => "busy",
            Self::Denied { .. } => "denied",
            Self::Rejected { .. } => "refused",
            Self::Failed { .. } => "failed",
            Self::Unreadable { .. } => "page",
            Self::TooLarge { .. } | Self::NoBatches => "unusable",
        }
    }

    /// The wait that Judge0 asked for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Busy { retry_after, .. } = self { *retry_after } else { None }
    }
}

/// Makes a call and records its metrics.
pub(crate) async fn measured<T>(
    method: &'static str,
    endpoint: &'static str,
    request: impl Future<Output = Result<T, Judge0Error>>,
) -> Result<T, Judge0Error> {
    let labels = CallLabels { service: "judge", peer: "judge0", method, endpoint };
    measure_call(labels, request, |answer| answer.as_ref().err().map_or(OK, Judge0Error::label)).await
}
