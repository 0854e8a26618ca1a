//! What became of a call.

use std::time::Duration;

use gavel_telemetry::{Call, OK, call};

/// A call without an answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There was no connection.
    #[error("Judge0 cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The call was sent, and no answer came, or half of one.
    #[error("Judge0 did not answer in full")]
    NoAnswer(#[source] reqwest::Error),
    /// It works, and cannot take more now: its queue is full, or we ask too often.
    #[error("Judge0 is busy (status {status}{})", text.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
    Busy {
        /// The HTTP status code, 429 or 503.
        status: u16,
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
        /// What it said.
        text: Option<String>,
    },
    /// It does not know us, or does not let us.
    #[error("Judge0 refuses us (status {status}): JUDGE0_API_KEY or JUDGE0_HEADERS is missing or wrong")]
    Denied {
        /// The HTTP status code, 401 or 403.
        status: u16,
    },
    /// It will not have this request, however often it is sent.
    #[error("Judge0 refuses the request (status {status}): {text}")]
    Refused {
        /// The HTTP status code.
        status: u16,
        /// What it said.
        text: String,
    },
    /// It failed, or something in between did.
    #[error("status {status} came in the place of Judge0's answer")]
    Failed {
        /// The HTTP status code.
        status: u16,
    },
    /// The answer is not what Judge0 sends: a page, half of the JSON, another JSON.
    #[error("what answered is not Judge0 (status {status}): {text}")]
    Garbled {
        /// The HTTP status code.
        status: u16,
        /// What is wrong with it.
        text: String,
    },
    /// The answer is larger than we take.
    #[error("Judge0's answer has more than {max_bytes} bytes")]
    TooLarge {
        /// What we take.
        max_bytes: usize,
    },
    /// Judge0 is set up without batches, on which this client is built.
    #[error("Judge0 has batched submissions switched off (ENABLE_BATCHED_SUBMISSIONS)")]
    NoBatches,
}

impl CallError {
    /// Takes reqwest's error apart. It never repeats the URL: that is configuration, and in every message.
    pub(crate) fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_connect() { Self::Unreachable(error) } else { Self::NoAnswer(error) }
    }

    /// Whether it says that Judge0 is away or broken, and not merely busy, or unwilling to take this one request.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::NoAnswer(_)
            | Self::Denied { .. }
            | Self::Failed { .. }
            | Self::Garbled { .. }
            | Self::NoBatches => true,
            Self::Busy { .. } | Self::Refused { .. } | Self::TooLarge { .. } => false,
        }
    }

    /// The word for figures.
    fn word(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::NoAnswer(_) => "no_answer",
            Self::Busy { .. } => "busy",
            Self::Denied { .. } => "denied",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } => "failed",
            Self::Garbled { .. } => "page",
            Self::TooLarge { .. } | Self::NoBatches => "unusable",
        }
    }

    /// How long Judge0 asked us to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Busy { retry_after, .. } = self { *retry_after } else { None }
    }
}

/// Makes a call and takes its measures.
pub(crate) async fn measured<T>(
    method: &'static str,
    endpoint: &'static str,
    made: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    let what = Call { service: "judge", peer: "judge0", method, endpoint };
    call(what, made, |answer| answer.as_ref().err().map_or(OK, CallError::word)).await
}

/// An error with its sources, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
