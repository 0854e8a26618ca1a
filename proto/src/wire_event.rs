//! The events of a submission as messages on the wire.

use bytes::Bytes;
use gavel_domain::event::{
    Assignment, BundleKey, CallbackAttempt, CallbackKind, DeadLetter, Expired, HandedOn, Judged, Queued,
    Ready, RejudgeRun, Rejudged, Reported, Running, Stage, Waiting,
};
use prost::Message as _;

use crate::submission::{submission_from, submission_to};
use crate::v1::Told as WireCallbackKind;
use crate::verdict::{status_from, status_to, verdict_from, verdict_to};
use crate::{DecodeError, v1};

/// An event that travels on `submission.<NAME>.<key>`; [`Waiting`] on `submission.waiting.<language>.<key>`.
pub trait WireEvent: Sized {
    /// The event's name, the second token of its subject.
    const NAME: &'static str;
    /// The full name of its protobuf message, sent as a header.
    const SCHEMA: &'static str;

    /// The key in its subject.
    fn key(&self) -> String;

    /// Encodes the payload.
    fn encode(&self) -> Bytes;

    /// Decodes a payload.
    ///
    /// # Errors
    /// Returns an error if the payload is not of this schema, or if a field is missing or invalid.
    fn decode(payload: &[u8]) -> Result<Self, DecodeError>;
}

impl WireEvent for Queued {
    const NAME: &'static str = "queued";
    const SCHEMA: &'static str = "gavel.v1.Queued";

    fn key(&self) -> String {
        self.submission.key().to_string()
    }

    fn encode(&self) -> Bytes {
        let submission = Some(submission_to(&self.submission));
        v1::Queued { submission, source_code: self.source.clone() }.encode_to_vec().into()
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let wire = v1::Queued::decode(payload)?;
        Ok(Self { submission: submission_from(wire.submission)?, source: wire.source_code })
    }
}

impl WireEvent for Ready {
    const NAME: &'static str = "ready";
    const SCHEMA: &'static str = "gavel.v1.Ready";

    fn key(&self) -> String {
        self.submission.key().to_string()
    }

    fn encode(&self) -> Bytes {
        ready_to(self).encode_to_vec().into()
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        ready_from(v1::Ready::decode(payload)?)
    }
}

impl WireEvent for Waiting {
    const NAME: &'static str = "waiting";
    /// The payload is that of the ready event.
    const SCHEMA: &'static str = Ready::SCHEMA;

    fn key(&self) -> String {
        self.ready.key()
    }

    fn encode(&self) -> Bytes {
        self.ready.encode()
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        Ready::decode(payload).map(|ready| Self { ready })
    }
}

impl WireEvent for Expired {
    const NAME: &'static str = "expired";
    const SCHEMA: &'static str = "gavel.v1.Expired";

    fn key(&self) -> String {
        self.ready.key()
    }

    fn encode(&self) -> Bytes {
        v1::Expired { ready: Some(ready_to(&self.ready)) }.encode_to_vec().into()
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let ready = v1::Expired::decode(payload)?.ready.ok_or(DecodeError::Field("ready"))?;
        Ok(Self { ready: ready_from(ready)? })
    }
}

impl WireEvent for Running {
    const NAME: &'static str = "running";
    const SCHEMA: &'static str = "gavel.v1.Running";

    fn key(&self) -> String {
        self.submission.key().to_string()
    }

    fn encode(&self) -> Bytes {
        let submission = Some(submission_to(&self.submission));
        v1::Running { submission, instance: self.instance.clone() }.encode_to_vec().into()
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let wire = v1::Running::decode(payload)?;
        Ok(Self { submission: submission_from(wire.submission)?, instance: wire.instance })
    }
}

impl WireEvent for Judged {
    const NAME: &'static str = "judged";
    const SCHEMA: &'static str = "gavel.v1.Judged";

    fn key(&self) -> String {
        self.submission.key().to_string()
    }

    fn encode(&self) -> Bytes {
        let assignment = self.assignment.as_ref();
        v1::Judged {
            submission: Some(submission_to(&self.submission)),
            verdict: Some(verdict_to(&self.verdict)),
            duration_ms: self.duration_ms,
            instance: self.instance.clone(),
            ready_at_unix_ms: assignment.map_or(0, |assignment| assignment.ready_at_ms),
            attempts: assignment.map_or(0, |assignment| assignment.attempts),
            handed_on_by: assignment
                .and_then(|assignment| assignment.handed_on_by.clone())
                .unwrap_or_default(),
        }
        .encode_to_vec()
        .into()
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let wire = v1::Judged::decode(payload)?;
        Ok(Self {
            submission: submission_from(wire.submission)?,
            verdict: verdict_from(wire.verdict.ok_or(DecodeError::Field("verdict"))?)?,
            duration_ms: wire.duration_ms,
            instance: wire.instance,
            assignment: (wire.attempts > 0).then_some(Assignment {
                ready_at_ms: wire.ready_at_unix_ms,
                attempts: wire.attempts,
                handed_on_by: Some(wire.handed_on_by).filter(|by| !by.is_empty()),
            }),
        })
    }
}

impl WireEvent for Reported {
    const NAME: &'static str = "reported";
    const SCHEMA: &'static str = "gavel.v1.Reported";

    fn key(&self) -> String {
        self.submission.key().to_string()
    }

    fn encode(&self) -> Bytes {
        v1::Reported {
            submission: Some(submission_to(&self.submission)),
            status: status_to(self.status).into(),
            attempts: self.attempts,
            instance: self.instance.clone(),
            tries: self.callback_attempts.iter().map(attempt_to).collect(),
        }
        .encode_to_vec()
        .into()
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let wire = v1::Reported::decode(payload)?;
        Ok(Self {
            status: status_from(wire.status())?,
            submission: submission_from(wire.submission)?,
            attempts: wire.attempts,
            instance: wire.instance,
            callback_attempts: wire.tries.into_iter().filter_map(attempt_from).collect(),
        })
    }
}

impl WireEvent for Rejudged {
    const NAME: &'static str = "rejudged";
    const SCHEMA: &'static str = "gavel.v1.Rejudged";

    fn key(&self) -> String {
        self.submission.key().to_string()
    }

    fn encode(&self) -> Bytes {
        v1::Rejudged {
            submission: Some(submission_to(&self.submission)),
            from: stage_to(self.from).into(),
            by: self.by.clone(),
            reason: self.reason.clone(),
            run_at_unix_ms: self.run.map_or(0, |run| run.began_at_ms),
            run_since_unix_ms: self.run.map_or(0, |run| run.since_ms),
            run_last_queued: self.run.map_or(0, |run| run.last_queued),
        }
        .encode_to_vec()
        .into()
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let wire = v1::Rejudged::decode(payload)?;
        Ok(Self {
            from: stage_from(wire.from()).ok_or(DecodeError::Field("from"))?,
            submission: submission_from(wire.submission)?,
            by: wire.by,
            reason: wire.reason,
            run: (wire.run_at_unix_ms > 0).then_some(RejudgeRun {
                began_at_ms: wire.run_at_unix_ms,
                since_ms: wire.run_since_unix_ms,
                last_queued: wire.run_last_queued,
            }),
        })
    }
}

impl WireEvent for DeadLetter {
    const NAME: &'static str = "dead";
    const SCHEMA: &'static str = "gavel.v1.DeadLetter";

    fn key(&self) -> String {
        self.key.clone()
    }

    fn encode(&self) -> Bytes {
        v1::Dead {
            id: self.key.clone(),
            stage: stage_to(self.stage).into(),
            cause: self.cause.clone(),
            attempts: self.attempts,
            stored_at_unix_ms: self.stored_at_ms,
            subject: self.subject.clone(),
            payload: self.payload.clone(),
            kept_on: self.kept_on.clone().unwrap_or_default(),
        }
        .encode_to_vec()
        .into()
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let wire = v1::Dead::decode(payload)?;
        Ok(Self {
            stage: stage_from(wire.stage()).ok_or(DecodeError::Field("stage"))?,
            key: wire.id,
            cause: wire.cause,
            attempts: wire.attempts,
            stored_at_ms: wire.stored_at_unix_ms,
            subject: wire.subject,
            payload: wire.payload,
            kept_on: Some(wire.kept_on).filter(|subject| !subject.is_empty()),
        })
    }
}

fn ready_to(ready: &Ready) -> v1::Ready {
    let sha256 = hex_to_bytes(&ready.bundle.digest);
    v1::Ready {
        submission: Some(submission_to(&ready.submission)),
        source_code: ready.source.clone(),
        bundle: Some(v1::BundleKey { day: ready.bundle.day, sha256 }),
        renewals: ready.renewals,
        handed_on: ready.handed_on.as_ref().map(|handed_on| v1::HandedOn {
            by: handed_on.by.clone(),
            ready_at_unix_ms: handed_on.ready_at_ms,
        }),
    }
}

fn ready_from(wire: v1::Ready) -> Result<Ready, DecodeError> {
    let key = wire.bundle.filter(|key| key.sha256.len() == 32).ok_or(DecodeError::Field("bundle"))?;
    Ok(Ready {
        submission: submission_from(wire.submission)?,
        source: wire.source_code,
        bundle: BundleKey { day: key.day, digest: bytes_to_hex(&key.sha256) },
        renewals: wire.renewals,
        handed_on: wire
            .handed_on
            .map(|handed_on| HandedOn { by: handed_on.by, ready_at_ms: handed_on.ready_at_unix_ms }),
    })
}

pub(crate) fn attempt_to(attempt: &CallbackAttempt) -> v1::Try {
    let of = match attempt.kind {
        CallbackKind::Running => WireCallbackKind::Running,
        CallbackKind::Result => WireCallbackKind::Result,
    };
    v1::Try {
        of: of.into(),
        at_unix_ms: attempt.at_ms,
        took_ms: attempt.took_ms,
        status: attempt.status.unwrap_or_default().into(),
        problem: attempt.problem.clone().unwrap_or_default(),
    }
}

/// Returns `None` for a callback that only a later version knows; attempts are information for people only.
pub(crate) fn attempt_from(wire: v1::Try) -> Option<CallbackAttempt> {
    let kind = match wire.of() {
        WireCallbackKind::Running => CallbackKind::Running,
        WireCallbackKind::Result => CallbackKind::Result,
        WireCallbackKind::Unspecified => return None,
    };
    Some(CallbackAttempt {
        kind,
        at_ms: wire.at_unix_ms,
        took_ms: wire.took_ms,
        status: u16::try_from(wire.status).ok().filter(|&status| status > 0),
        problem: Some(wire.problem).filter(|problem| !problem.is_empty()),
    })
}

fn stage_to(stage: Stage) -> v1::Stage {
    match stage {
        Stage::Fetcher => v1::Stage::Fetcher,
        Stage::Judge => v1::Stage::Judge,
        Stage::Reporter => v1::Stage::Reporter,
    }
}

fn stage_from(wire: v1::Stage) -> Option<Stage> {
    match wire {
        v1::Stage::Fetcher => Some(Stage::Fetcher),
        v1::Stage::Judge => Some(Stage::Judge),
        v1::Stage::Reporter => Some(Stage::Reporter),
        v1::Stage::Unspecified => None,
    }
}

fn bytes_to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
        hex
    })
}

/// Decodes hexadecimal digits, up to the first other character; a valid [`BundleKey`] has only digits.
fn hex_to_bytes(hex: &str) -> Vec<u8> {
    let digits = |at| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..hex.len()).step_by(2).map_while(digits).collect()
}
