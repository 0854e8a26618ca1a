//! From any execution to the callback's body: no field is null or too long, what is hidden stays hidden, and the
//! verdict is the same after its way over the wire.
#![no_main]

use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use gavel_domain::event::Judged;
use gavel_domain::{
    Clock, Comparison, Execution, Generation, LanguageId, Limits, Outcome, OutputStream, Question,
    QuestionId, Scorer, Status, Submission, SubmissionId, SubmissionKind, TestCase, Usage, Visibility,
};
use gavel_proto::WireEvent;
use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use serde_json::Value;

/// The bound of a text field, in bytes; room for the mark of a cut, and no more.
const MAX_FIELD_BYTES: usize = 64;
/// Where the hidden test's data say so, no shown text does.
const HIDDEN: &str = "\u{1f648}hidden";

#[derive(Arbitrary, Debug)]
enum End {
    Exited(u8),
    Signaled(u8),
    Time,
    Memory,
    Output,
    NotCompiled,
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    end: End,
    stdout: &'a [u8],
    stderr: &'a [u8],
    expected: &'a str,
    is_hidden: bool,
    is_later: bool,
}

fuzz_target!(|input: Input<'_>| {
    if [input.stdout, input.stderr].iter().any(|text| String::from_utf8_lossy(text).contains(HIDDEN)) {
        return;
    }
    let question = question(&input);
    let scorer = Scorer::new(&question, MAX_FIELD_BYTES);
    let verdict = match outcome(&input.end) {
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
                ControlFlow::Continue(()) => panic!("the only test decides"),
            }
        }
    };
    assert_ne!(verdict.status, Status::Error, "nothing that a program does is a fault of ours");
    let judged = Judged::new(submission(input.is_later), verdict, SystemTime::UNIX_EPOCH, "judge");
    assert!(
        Judged::decode(&judged.encode()).is_ok_and(|same| same == judged),
        "the wire changes the verdict"
    );
    let body: Value = serde_json::from_slice(&gavel_convex::result_body(&judged)).expect("the body is JSON");
    check(&body);
    if input.is_hidden {
        assert!(!body.to_string().contains(HIDDEN), "hidden data is shown");
    }
});

/// No null anywhere, and no text beyond the bound.
fn check(value: &Value) {
    match value {
        Value::Null => panic!("null in the body"),
        Value::String(text) => assert!(text.len() <= MAX_FIELD_BYTES, "{text:?}"),
        Value::Object(fields) => fields.values().for_each(check),
        _ => {}
    }
}

fn outcome(end: &End) -> Option<Outcome> {
    Some(match end {
        End::Exited(code) => Outcome::Exited { code: i32::from(*code) },
        End::Signaled(signal) => Outcome::Signaled { signal: i32::from(*signal) },
        End::Time => Outcome::TimeLimit { clock: Clock::Wall },
        End::Memory => Outcome::MemoryLimit,
        End::Output => Outcome::OutputLimit { stream: OutputStream::Stderr },
        End::NotCompiled => return None,
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

fn submission(is_later: bool) -> Submission {
    let generation = if is_later { Generation::FIRST.next() } else { Generation::FIRST };
    Submission {
        id: SubmissionId::new("k97").expect("an id"),
        question_id: QuestionId::new("q1").expect("an id"),
        language: LanguageId(71),
        kind: SubmissionKind::Standard,
        accepted_at_ms: 0,
        generation,
    }
}
