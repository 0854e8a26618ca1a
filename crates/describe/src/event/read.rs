//! Converts messages to [`Event`]s. It never fails: a message that cannot be decoded becomes an `undecodable` event.

use std::fmt::Write as _;

use gavel_bus::topology;
use gavel_domain::event::{
    CallbackAttempt, CallbackKind, DeadLetter, Expired, Judged, Queued, Ready, Rejudged, Reported, Running,
    Waiting,
};
use gavel_domain::time::from_epoch_ms;
use gavel_domain::{Clock, Outcome, OutputStream, Submission, SubmissionKey, Verdict};
use gavel_inspect::Message;
use gavel_proto::{DecodeError, Event as WireEvent};
use sha2::{Digest as _, Sha256};

use super::{Attempt, Event, Test, Timestamp, UNDECODABLE};

/// How many bytes of a payload that cannot be decoded are shown.
const HEAD_BYTES: usize = 24;

/// What is shown of a message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Source code, and the output of programs and compilers.
    pub source: bool,
    /// Headers.
    pub headers: bool,
}

impl Reading {
    /// Returns the event of a message.
    pub fn read(self, message: &Message) -> Event {
        let (word, id, generation) = address(&message.subject);
        let mut event = Event {
            time: Timestamp(message.at),
            stage: word.to_owned(),
            id: id.to_owned(),
            generation,
            subject: message.subject.clone(),
            request_id: message.header("Gavel-Request-Id").map(str::to_owned),
            bytes: message.payload.len(),
            headers: if self.headers { message.headers.clone() } else { Vec::new() },
            ..Event::default()
        };
        if let Err(error) = self.fill(&mut event, &message.subject, &message.payload) {
            UNDECODABLE.clone_into(&mut event.stage);
            event.reason = Some(error.to_string());
            event.head = Some(hex(&message.payload[..message.payload.len().min(HEAD_BYTES)], " "));
        }
        event
    }

    fn fill(self, event: &mut Event, subject: &str, payload: &[u8]) -> Result<(), DecodeError> {
        match WireEvent::decode(subject, payload)? {
            WireEvent::Queued(Queued { submission, source })
            | WireEvent::Ready(Ready { submission, source, .. })
            | WireEvent::Expired(Expired { ready: Ready { submission, source, .. } }) => {
                self.program(event, &submission, source);
            }
            WireEvent::Waiting(Waiting { ready: Ready { submission, source, handed_on, .. } }) => {
                self.program(event, &submission, source);
                event.ready_at = handed_on.as_ref().map(|handed_on| moment(handed_on.ready_at_ms));
                event.handed_on_by = handed_on.map(|handed_on| handed_on.by);
            }
            WireEvent::Rejudged(Rejudged { submission, from, by, reason, .. }) => {
                of(event, &submission);
                (event.instance, event.reason) = (Some(by), Some(reason));
                event.from = Some(from.as_str().to_owned());
            }
            WireEvent::Running(Running { submission, instance }) => {
                of(event, &submission);
                event.instance = Some(instance);
            }
            WireEvent::Judged(judged) => {
                let Judged { submission, verdict, duration_ms, instance, assignment } = *judged;
                of(event, &submission);
                self.verdict(event, verdict);
                (event.duration_ms, event.instance) = (Some(duration_ms), Some(instance));
                event.ready_at = assignment.as_ref().map(|assignment| moment(assignment.ready_at_ms));
                event.attempts = assignment.as_ref().map(|assignment| assignment.attempts);
                event.handed_on_by = assignment.and_then(|assignment| assignment.handed_on_by);
            }
            WireEvent::Reported(Reported { submission, status, attempts, instance, callback_attempts }) => {
                of(event, &submission);
                event.status = Some(status.as_str().to_owned());
                (event.attempts, event.instance) = (Some(attempts), Some(instance));
                event.callback_attempts = callback_attempts.into_iter().map(Attempt::from).collect();
            }
            WireEvent::DeadLetter(DeadLetter { stage, cause, attempts, subject, payload, .. }) => {
                // The failed message names the question and the language, if it can be decoded.
                let mut inner = Event::default();
                let (word, ..) = address(&subject);
                if word != "dead" && self.fill(&mut inner, &subject, &payload).is_ok() {
                    (event.question, event.language, event.kind) =
                        (inner.question, inner.language, inner.kind);
                    event.source = inner.source;
                }
                event.failed_stage = Some(stage.as_str().to_owned());
                (event.attempts, event.reason) = (Some(attempts), Some(cause));
            }
        }
        Ok(())
    }

    fn program(self, event: &mut Event, submission: &Submission, source: String) {
        of(event, submission);
        event.source_bytes = Some(source.len());
        event.source_sha256 = Some(hex(&Sha256::digest(&source), ""));
        event.source = self.source.then_some(source);
    }

    fn verdict(self, event: &mut Event, verdict: Verdict) {
        event.status = Some(verdict.status.as_str().to_owned());
        (event.passed, event.total) = (verdict.passed_count, verdict.total_count);
        let failure = verdict.first_failure.map(|failure| failure.error_message);
        let said = verdict.compile_output.or(verdict.stderr);
        event.reason = failure.or(verdict.reason);
        event.toolchain = verdict.toolchain;
        event.output = said.filter(|_| self.source);
        event.tests = verdict
            .tests
            .iter()
            .map(|test| Test {
                outcome: outcome(test.outcome),
                cpu_us: micros(test.usage.cpu_time),
                wall_us: micros(test.usage.wall_time),
                memory_bytes: test.usage.memory_bytes,
            })
            .collect();
    }
}

impl From<CallbackAttempt> for Attempt {
    fn from(made: CallbackAttempt) -> Self {
        let kind = match made.kind {
            CallbackKind::Running => "running",
            CallbackKind::Result => "result",
        };
        let CallbackAttempt { at_ms, took_ms, status, problem, .. } = made;
        Self { kind: kind.to_owned(), at: moment(at_ms), took_ms, status, problem }
    }
}

/// Returns a time; the epoch if it is out of range.
fn moment(ms: u64) -> Timestamp {
    from_epoch_ms(ms).map(Timestamp).unwrap_or_default()
}

/// Returns the event name, the id and the generation of a subject.
fn address(subject: &str) -> (&str, &str, u32) {
    let rest = subject.strip_prefix("submission.").unwrap_or(subject);
    let other = || rest.split_once('.').unwrap_or((rest, ""));
    let (word, key) = topology::event_and_key(subject).unwrap_or_else(other);
    match SubmissionKey::parse(key) {
        Some(parsed) => (word, &key[..parsed.id.as_str().len()], parsed.generation.number()),
        None => (word, key, 1),
    }
}

fn of(event: &mut Event, submission: &Submission) {
    event.question = Some(submission.question_id.to_string());
    event.language = Some(submission.language.0);
    event.kind = Some(submission.kind.as_str().to_owned());
}

fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::Exited { code } => format!("exit {code}"),
        Outcome::Signaled { signal } => format!("signal {signal}"),
        Outcome::TimeLimit { clock: Clock::Cpu } => "CPU time limit".to_owned(),
        Outcome::TimeLimit { clock: Clock::Wall } => "wall time limit".to_owned(),
        Outcome::MemoryLimit => "memory limit".to_owned(),
        Outcome::OutputLimit { stream: OutputStream::Stdout } => "output limit".to_owned(),
        Outcome::OutputLimit { stream: OutputStream::Stderr } => "stderr limit".to_owned(),
    }
}

fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn hex(bytes: &[u8], between: &str) -> String {
    bytes.iter().enumerate().fold(String::new(), |mut text, (n, byte)| {
        let gap = if n == 0 { "" } else { between };
        let _ = write!(text, "{gap}{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gavel_domain::event::Stage;
    use gavel_domain::{LanguageId, QuestionId, SubmissionId, SubmissionKind};
    use gavel_proto::WireEvent as _;
    use proptest::prelude::*;

    fn submission() -> Submission {
        Submission {
            id: SubmissionId::new("k97").unwrap(),
            question_id: QuestionId::new("q1").unwrap(),
            language: LanguageId(71),
            kind: SubmissionKind::Standard,
            accepted_at_ms: 0,
            generation: gavel_domain::Generation::FIRST,
        }
    }

    fn message(subject: &str, payload: impl Into<bytes::Bytes>) -> Message {
        let at = std::time::SystemTime::UNIX_EPOCH;
        Message {
            at,
            subject: subject.to_owned(),
            headers: Vec::new(),
            payload: payload.into(),
            sequence: None,
        }
    }

    #[test]
    fn subjects_with_and_without_generation_are_parsed() {
        assert_eq!(address("submission.queued.k97"), ("queued", "k97", 1));
        assert_eq!(address("submission.queued.k97.2"), ("queued", "k97", 2));
        assert_eq!(address("submission.queued.k97.x"), ("queued", "k97.x", 1));
        assert_eq!(address("submission.waiting.83.k97.2"), ("waiting", "k97", 2));
        assert_eq!(address("submission.waiting.83"), ("waiting", "83", 1));
        assert_eq!(address("submission.queued"), ("queued", "", 1));
        assert_eq!(address("else"), ("else", "", 1));
    }

    #[test]
    fn source_is_shown_only_on_request() {
        let queued = Queued { submission: submission(), source: "print(1)".to_owned() };
        let message = message("submission.queued.k97", queued.encode());
        let event = Reading::default().read(&message);
        assert_eq!((event.stage.as_str(), event.source_bytes, event.source), ("queued", Some(8), None));
        assert_eq!(event.source_sha256.map(|digest| digest.len()), Some(64));
        assert_eq!(event.language, Some(71));
        let event = Reading { source: true, headers: false }.read(&message);
        assert_eq!(event.source.as_deref(), Some("print(1)"));
    }

    #[test]
    fn dead_letter_names_its_question() {
        let running = Running { submission: submission(), instance: "j".to_owned() };
        let dead = DeadLetter {
            key: "k97".to_owned(),
            stage: Stage::Reporter,
            cause: "Convex answered 401".to_owned(),
            attempts: 3,
            stored_at_ms: 1,
            subject: "submission.running.k97".to_owned(),
            payload: running.encode().to_vec(),
            kept_on: None,
        };
        let event = Reading::default().read(&message("submission.dead.k97", dead.encode()));
        assert_eq!(event.question.as_deref(), Some("q1"));
        assert_eq!(event.failed_stage.as_deref(), Some("reporter"));
        assert!(event.is_error());
    }

    #[test]
    fn undecodable_message_shows_its_first_bytes() {
        let event = Reading::default().read(&message("submission.judged.k97", vec![0xff; 100]));
        assert_eq!((event.stage.as_str(), event.id.as_str(), event.bytes), (UNDECODABLE, "k97", 100));
        assert!(event.head.unwrap().starts_with("ff ff ff"));
    }

    proptest! {
        #[test]
        fn any_message_becomes_an_event(
            word in "queued|ready|waiting|waiting.83|running|judged|reported|dead|rejudged|other",
            end in ".{0,20}",
            payload in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let event = Reading { source: true, headers: true }
                .read(&message(&format!("submission.{word}.{end}"), payload));
            let text = crate::text::json_line(&event);
            prop_assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        }
    }
}
