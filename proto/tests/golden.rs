//! Pins the bytes of every message: a change here changes the wire format, which may only be extended.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use gavel_domain::event::{
    Assignment, BundleKey, CallbackAttempt, CallbackKind, DeadLetter, Expired, HandedOn, Judged, Queued,
    Ready, RejudgeRun, Rejudged, Reported, Running, Stage, Waiting,
};
use gavel_domain::heartbeat::{DependencyStatus, Heartbeat, ServedLanguage};
use gavel_domain::{
    Clock, Comparison, FirstFailure, Generation, LanguageId, Limits, Outcome, OutputStream, Question,
    QuestionId, Status, Submission, SubmissionId, SubmissionKind, TestCase, TestReport, Usage, Verdict,
    Visibility,
};
use gavel_proto::{
    Call, Claimed, DecodeError, WireEvent, decode_attempt, decode_bundle, decode_claim, decode_heartbeat,
    encode_attempt, encode_bundle, encode_claim, encode_heartbeat,
};

const SUBMISSION: &str = "0a160a046b3937611203713577184720022880d095ffbc31";

fn submission() -> Submission {
    Submission {
        id: SubmissionId::new("k97a").unwrap(),
        question_id: QuestionId::new("q5w").unwrap(),
        language: LanguageId(71),
        kind: SubmissionKind::Personalized,
        accepted_at_ms: 1_700_000_000_000,
        generation: Generation::FIRST,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Checks both directions: encoding gives the golden bytes, and decoding them gives the event.
fn pin<E: WireEvent + PartialEq>(event: &E, golden: &str) {
    assert_eq!(hex(&event.encode()), golden, "{}", E::SCHEMA);
    assert!(E::decode(&unhex(golden)).unwrap() == *event, "{} does not survive the wire", E::SCHEMA);
}

#[test]
fn queued() {
    pin(
        &Queued { submission: submission(), source: "x=1\n".into() },
        "0a160a046b3937611203713577184720022880d095ffbc311204783d310a",
    );
}

#[test]
fn ready() {
    let bundle = BundleKey { day: 20_000, digest: "ab".repeat(32) };
    pin(
        &Ready { submission: submission(), source: "x".into(), bundle, renewals: 0, handed_on: None },
        "0a160a046b3937611203713577184720022880d095ffbc311201781a2608a09c011220abababababababababababababababababababababababababababababababab",
    );
}

#[test]
fn waiting() {
    let bundle = BundleKey { day: 20_000, digest: "ab".repeat(32) };
    let handed_on = Some(HandedOn { by: "judge-1".into(), ready_at_ms: 1_700_000_000_500 });
    let ready = Ready { submission: submission(), source: "x".into(), bundle, renewals: 0, handed_on };
    pin(
        &Waiting { ready },
        "0a160a046b3937611203713577184720022880d095ffbc311201781a2608a09c011220abababababababababababababababababababababababababababababababab2a100a076a756467652d3110f4d395ffbc31",
    );
}

#[test]
fn expired() {
    let bundle = BundleKey { day: 20_000, digest: "ab".repeat(32) };
    let ready = Ready { submission: submission(), source: "x".into(), bundle, renewals: 1, handed_on: None };
    pin(
        &Expired { ready },
        "0a450a160a046b3937611203713577184720022880d095ffbc311201781a2608a09c011220abababababababababababababababababababababababababababababababab2001",
    );
}

#[test]
fn running() {
    pin(
        &Running { submission: submission(), instance: "judge-1".into() },
        "0a160a046b3937611203713577184720022880d095ffbc3112076a756467652d31",
    );
}

#[test]
fn judged_with_everything() {
    let report = |outcome| TestReport {
        outcome,
        usage: Usage {
            cpu_time: Duration::from_micros(1500),
            wall_time: Duration::from_millis(2),
            memory_bytes: 4096,
        },
    };
    let verdict = Verdict {
        status: Status::Failed,
        passed_count: Some(0),
        total_count: Some(7),
        first_failure: Some(FirstFailure {
            index: 0,
            stdin: Some(String::new()),
            actual_output: Some("é".into()),
            expected_output: None,
            error_message: "Wrong answer".into(),
        }),
        reason: None,
        stderr: Some("e".into()),
        compile_output: Some("c".into()),
        tests: [
            Outcome::Exited { code: 0 },
            Outcome::Signaled { signal: 11 },
            Outcome::TimeLimit { clock: Clock::Cpu },
            Outcome::TimeLimit { clock: Clock::Wall },
            Outcome::MemoryLimit,
            Outcome::OutputLimit { stream: OutputStream::Stdout },
            Outcome::OutputLimit { stream: OutputStream::Stderr },
        ]
        .map(report)
        .to_vec(),
        toolchain: None,
    };
    let instance = "judge-1".to_owned();
    pin(
        &Judged { submission: submission(), verdict, duration_ms: 812, instance, assignment: None },
        "0a160a046b3937611203713577184720022880d095ffbc31127d080210001807221412001a02c3a92a0c57726f6e6720616e737765722a01653201633a0b080020dc0b28d00f3080203a0b100b20dc0b28d00f3080203a0b180120dc0b28d00f3080203a0b180220dc0b28d00f3080203a0b180320dc0b28d00f3080203a0b180420dc0b28d00f3080203a0b180520dc0b28d00f30802018ac0622076a756467652d31",
    );
}

#[test]
fn judged_without_optional_fields() {
    let verdict = Verdict::error("no such question");
    let instance = "fetcher-1".to_owned();
    pin(
        &Judged { submission: submission(), verdict, duration_ms: 0, instance, assignment: None },
        "0a160a046b3937611203713577184720022880d095ffbc31121508032a114e6f2073756368207175657374696f6e2e2209666574636865722d31",
    );
}

#[test]
fn judged_with_toolchain() {
    let verdict = Verdict { toolchain: Some("C 12".into()), ..Verdict::error("no") };
    let instance = "judge-1".to_owned();
    pin(
        &Judged { submission: submission(), verdict, duration_ms: 0, instance, assignment: None },
        "0a160a046b3937611203713577184720022880d095ffbc31120d08032a034e6f2e42044320313222076a756467652d31",
    );
}

#[test]
fn reported() {
    let instance = "reporter-1".to_owned();
    let (submission, callback_attempts) = (submission(), Vec::new());
    let mut event = Reported { submission, status: Status::Passed, attempts: 2, instance, callback_attempts };
    let golden = "0a160a046b3937611203713577184720022880d095ffbc3110011802220a7265706f727465722d31";
    pin(&event, golden);
    let made = CallbackAttempt {
        kind: CallbackKind::Running,
        at_ms: 5,
        took_ms: 1,
        status: Some(200),
        problem: None,
    };
    let unanswered = CallbackAttempt {
        kind: CallbackKind::Result,
        status: None,
        problem: Some("away".into()),
        ..made.clone()
    };
    event.callback_attempts = vec![made, unanswered];
    pin(&event, &format!("{golden}2a0908011005180120c8012a0c0802100518012a0461776179"));
}

#[test]
fn judged_with_assignment() {
    let assignment = Assignment { ready_at_ms: 7, attempts: 2, handed_on_by: None };
    let (verdict, instance) = (Verdict::error("no"), "judge-1".to_owned());
    pin(
        &Judged {
            submission: submission(),
            verdict: verdict.clone(),
            duration_ms: 0,
            instance: instance.clone(),
            assignment: Some(assignment.clone()),
        },
        "0a160a046b3937611203713577184720022880d095ffbc31120708032a034e6f2e22076a756467652d3128073002",
    );
    let assignment = Some(Assignment { handed_on_by: Some("judge-2".to_owned()), ..assignment });
    pin(
        &Judged { submission: submission(), verdict, duration_ms: 0, instance, assignment },
        "0a160a046b3937611203713577184720022880d095ffbc31120708032a034e6f2e22076a756467652d31280730023a076a756467652d32",
    );
}

#[test]
fn a_later_generation() {
    let submission = Submission { generation: Generation::new(2).unwrap(), ..submission() };
    pin(
        &Queued { submission: submission.clone(), source: "x=1\n".into() },
        "0a180a046b3937611203713577184720022880d095ffbc3130021204783d310a",
    );
    let (by, reason) = ("me".into(), "why".into());
    let mut record = Rejudged { submission, from: Stage::Judge, by, reason, run: None };
    let golden = "0a180a046b3937611203713577184720022880d095ffbc31300210021a026d652203776879";
    pin(&record, golden);
    record.run = Some(RejudgeRun { began_at_ms: 300, since_ms: 200, last_queued: 7 });
    pin(&record, &format!("{golden}28ac0230c8013807"));
}

#[test]
fn dead() {
    let mut event = DeadLetter {
        key: "k97a".into(),
        stage: Stage::Reporter,
        cause: "refused".into(),
        attempts: 3,
        stored_at_ms: 5,
        subject: "submission.judged.k97a".into(),
        payload: vec![0, 255],
        kept_on: None,
    };
    let golden = "0a046b39376110031a07726566757365642003280532167375626d697373696f6e2e6a75646765642e6b393761";
    pin(&event, &format!("{golden}3a0200ff"));
    (event.payload, event.kept_on) = (Vec::new(), Some("dead-message.S.7.5".into()));
    pin(&event, &format!("{golden}4212646561642d6d6573736167652e532e372e35"));
}

#[test]
fn bundle() {
    let question = Question {
        limits: Limits::new(0.5, 64.0).unwrap(),
        comparison: Comparison { trim_outputs: true, normalize_whitespace: false, case_sensitive: true },
        tests: vec![
            TestCase { visibility: Visibility::Public, stdin: "1\r\n".into(), expected_stdout: "2".into() },
            TestCase { visibility: Visibility::Hidden, stdin: String::new(), expected_stdout: String::new() },
        ],
    };
    let golden = "08a0c21e10808080201a040801180122081203310d0a1a013222020801";
    assert_eq!(hex(&encode_bundle(&question)), golden);
    assert!(decode_bundle(&unhex(golden)).unwrap() == question);
}

#[test]
fn claims() {
    let running = Claimed { call: Call::Running { expires_at_ms: 300 }, instance: "r".into(), nonce: 1 };
    let result = Claimed { call: Call::Result, instance: "r".into(), nonce: 0 };
    for (claim, golden) in [(running, "0a0308ac021a0172210100000000000000"), (result, "12001a0172")] {
        assert_eq!(hex(&encode_claim(&claim)), golden);
        assert_eq!(decode_claim(&unhex(golden)).unwrap(), claim);
    }
}

#[test]
fn callback_attempt() {
    let attempt = CallbackAttempt {
        kind: CallbackKind::Result,
        at_ms: 300,
        took_ms: 7,
        status: Some(503),
        problem: None,
    };
    let golden = "0a0a080210ac02180720f703120172";
    assert_eq!(hex(&encode_attempt(&attempt, "r")), golden);
    assert_eq!(decode_attempt(&unhex(golden)).unwrap(), (attempt, "r".to_owned()));
    assert_eq!(decode_attempt(b"").err(), Some(DecodeError::Field("attempt")));
}

#[test]
fn heartbeat() {
    let language = ServedLanguage {
        id: LanguageId(71),
        name: "Python".into(),
        version: "3.11.2".into(),
        engine: "sandbox".into(),
    };
    let mut heartbeat = Heartbeat {
        service: "judge".into(),
        instance: "j1".into(),
        version: "0.1.0".into(),
        started_at_ms: 5,
        slots: 2,
        busy: 1,
        languages: vec![language],
        dependencies: Vec::new(),
        problems: Vec::new(),
    };
    let golden = "0a056a7564676512026a311a05302e312e302005280230013a1b08471206507974686f6e1a06332e31312e32220773616e64626f78";
    assert_eq!(hex(&encode_heartbeat(&heartbeat)), golden);
    assert_eq!(decode_heartbeat(&unhex(golden)).unwrap(), heartbeat);
    let peer = |problem: Option<&str>, since_ms| DependencyStatus {
        name: "Convex".into(),
        problem: problem.map(str::to_owned),
        since_ms,
    };
    heartbeat.dependencies = vec![peer(None, None), peer(Some("away"), Some(7))];
    heartbeat.problems = vec!["no NATS".into()];
    let later = "42080a06436f6e76657842100a06436f6e76657812046177617918074a076e6f204e415453";
    assert_eq!(hex(&encode_heartbeat(&heartbeat)), format!("{golden}{later}"));
    assert_eq!(decode_heartbeat(&unhex(&format!("{golden}{later}"))).unwrap(), heartbeat);
    assert_eq!(decode_heartbeat(b"").err(), Some(DecodeError::Field("instance")));
}

#[test]
fn missing_or_invalid_field_is_named() {
    assert_eq!(Queued::decode(b"").err(), Some(DecodeError::Field("submission")));
    assert!(matches!(Queued::decode(b"\xff\xff").err(), Some(DecodeError::Malformed(_))));
    let with_a_bad_id = format!("0a0e{}", "0a03612e62120371357718472001");
    assert_eq!(Queued::decode(&unhex(&with_a_bad_id)).err(), Some(DecodeError::Field("submission.id")));
    assert_eq!(Ready::decode(&unhex(SUBMISSION)).err(), Some(DecodeError::Field("bundle")));
    assert_eq!(Judged::decode(&unhex(SUBMISSION)).err(), Some(DecodeError::Field("verdict")));
    assert_eq!(decode_bundle(b"").err(), Some(DecodeError::Field("comparison")));
    assert_eq!(decode_claim(b"").err(), Some(DecodeError::Field("call")));
}

#[test]
fn unknown_field_is_ignored() {
    // Field 100, a string, as a newer writer may add.
    let newer = format!("{SUBMISSION}120178a2060178");
    let event = Queued::decode(&unhex(&newer)).unwrap();
    assert_eq!(event.source, "x");
}
