//! Turns any execution into the body of the result callback: no field is null or too long, hidden data stays hidden, and
//! the verdict survives encoding and decoding.
#![no_main]

use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use gavel_domain::event::Judged;
use gavel_domain::{
    Clock, Comparison, Execution, Generation, HiddenOutput, LanguageId, Limits, Outcome, OutputStream,
    Question, QuestionId, Scorer, Status, Submission, SubmissionId, SubmissionKind, TestCase, Usage,
    Visibility,
};
use gavel_proto::WireEvent;
use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use serde_json::Value;

/// The size limit of a text field, in bytes: just enough for the marker of a cut.
const MAX_FIELD_BYTES: usize = 64;
/// A text that occurs only in the data of hidden tests.
const HIDDEN: &str = "\u{1f648}hidden";

#[derive(Arbitrary, Debug)]
enum Ending {
    Exited(u8),
    Signaled(u8),
    Time,
    Memory,
    Output,
    NotCompiled,
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    ending: Ending,
    stdout: &'a [u8],
    stderr: &'a [u8],
    expected: &'a str,
    is_hidden: bool,
    is_rejudged: bool,
}

fuzz_target!(|input: Input<'_>| {
    if [input.stdout, input.stderr].iter().any(|text| String::from_utf8_lossy(text).contains(HIDDEN)) {
        return;
    }
    let question = question(&input);
    let scorer = Scorer::new(&question, MAX_FIELD_BYTES, HiddenOutput::Send);
    let verdict = match outcome(&input.ending) {
        None => scorer.compile_error(input.stdout),
        Some(outcome) => {
            let usage = Usage { cpu_time: Duration::ZERO, wall_time: Duration::ZERO, memory_bytes: 1 };
            let expected = question.tests[0].expected_stdout.bytes();
            let matched_bytes =
                input.stdout.iter().zip(expected).take_while(|(one, other)| **one == *other).count();
            let (stdout, stderr) = (input.stdout[matched_bytes..].to_vec(), input.stderr.to_vec());
            let mut scorer = scorer;
            match scorer.next(&Execution { outcome, matched_bytes, stdout, stderr, usage }) {
                ControlFlow::Break(verdict) => verdict,
                ControlFlow::Continue(()) => panic!("the only test must lead to a verdict"),
            }
        }
    };
    assert_ne!(verdict.status, Status::Error, "the behaviour of a program is never a system fault");
    let judged = Judged::new(submission(input.is_rejudged), verdict, SystemTime::UNIX_EPOCH, "judge");
    assert!(
        Judged::decode(&judged.encode()).is_ok_and(|same| same == judged),
        "encoding changes the verdict"
    );
    let body: Value = serde_json::from_slice(&gavel_convex::result_body(&judged)).expect("the body is JSON");
    check(&body);
    if input.is_hidden {
        assert!(!body.to_string().contains(HIDDEN), "the body shows hidden data");
    }
});

/// Checks that no value is null and no text exceeds the limit.
fn check(value: &Value) {
    match value {
        Value::Null => panic!("null in the body"),
        Value::String(text) => assert!(text.len() <= MAX_FIELD_BYTES, "{text:?}"),
        Value::Object(fields) => fields.values().for_each(check),
        _ => {}
    }
}

fn outcome(ending: &Ending) -> Option<Outcome> {
    Some(match ending {
        Ending::Exited(code) => Outcome::Exited { code: i32::from(*code) },
        Ending::Signaled(signal) => Outcome::Signaled { signal: i32::from(*signal) },
        Ending::Time => Outcome::TimeLimit { clock: Clock::Wall },
        Ending::Memory => Outcome::MemoryLimit,
        Ending::Output => Outcome::OutputLimit { stream: OutputStream::Stderr },
        Ending::NotCompiled => return None,
    })
}

fn question(input: &Input<'_>) -> Question {
    let secret = if input.is_hidden { HIDDEN } else { "" };
    let visibility = if input.is_hidden { Visibility::Hidden } else { Visibility::Public };
    Question {
        limits: Limits::new(1.0, 64.0).expect("limits"),
        comparison: Comparison { trim_outputs: true, normalize_whitespace: false, case_sensitive: true },
        tests: vec![TestCase {
            visibility,
            stdin: secret.to_owned(),
            expected_stdout: format!("{}{secret}", input.expected),
        }],
    }
}

fn submission(is_rejudged: bool) -> Submission {
    let generation = if is_rejudged { Generation::FIRST.next() } else { Generation::FIRST };
    Submission {
        id: SubmissionId::new("k97").expect("an id"),
        question_id: QuestionId::new("q1").expect("an id"),
        language: LanguageId(71),
        kind: SubmissionKind::Standard,
        accepted_at_ms: 0,
        generation,
    }
}
