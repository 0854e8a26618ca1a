//! Whose fault it is: Judge0's, or the program's, which may forge what Judge0 says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gavel_domain::engine::Progress;
use gavel_domain::{LanguageId, Outcome};
use gavel_judge0::BreakerState;
use gavel_testkit::judge0::{Program, Script, Settings, TestFault, accepted, ended};
use serde_json::json;

use crate::support::{
    ComparableFault, final_fault, pair, question, run, run_in, times_submitted, tuning, wait_for_state,
};

const GO: LanguageId = LanguageId(60);
const NO_INTERPRETER: &str = "run: line 1: /usr/local/ruby-2.7.0/bin/ruby: No such file or directory\n";

/// As recorded (`exec_missing`): the compiler's path, and nothing else.
fn no_compiler() -> serde_json::Value {
    use base64::Engine as _;
    let message = "compile: line 1: /usr/local/go-1.13.5/bin/go: No such file or directory\n";
    json!({ "status_id": 6, "compile_output": base64::prelude::BASE64_STANDARD.encode(message) })
}

fn settings(script: impl Fn(&Program) -> serde_json::Value + Send + Sync + 'static) -> Settings {
    let script: Script = Arc::new(script);
    Settings { script, ..Settings::default() }
}

/// Judge0's sandbox is broken for a while: whatever is submitted ends with status 13.
#[tokio::test]
async fn wave_of_internal_errors_opens_breaker_and_ends_no_submission() {
    let (mock, judge0) = pair(Settings::default(), tuning()).await;
    mock.test_fault(None, TestFault::Internal);
    let question = question(4);
    let submissions = (0..8).map(|_| run(&judge0, "echo", &question));
    for (executions, ended) in futures::future::join_all(submissions).await {
        assert!(executions.is_empty());
        let Err(ComparableFault::Unavailable { cause, .. } | ComparableFault::Transient(cause)) = ended
        else {
            panic!("{ended:?}")
        };
        assert!(cause.contains("internal error (status 13)"), "{cause}");
    }
    let state = wait_for_state(&judge0, |state| *state != BreakerState::Closed).await;
    let problem = state.problem().unwrap();
    assert_eq!(problem, "Judge0 answers but runs no programs: internal error (status 13)");
    // The probes run a program, so that an API that answers does not close the breaker.
    let canaries = times_submitted(&mock, "0");
    gavel_testkit::wait_until("more probes", crate::support::TIMEOUT, async || {
        times_submitted(&mock, "0") >= canaries + 3
    })
    .await
    .unwrap();
    assert!(matches!(judge0.breaker().state(), BreakerState::NotRunning(_)));
    mock.clear_faults();
    wait_for_state(&judge0, |state| *state == BreakerState::Closed).await;
    assert_eq!(run(&judge0, "echo", &question).await.1, Ok(Progress::Ran));
}

/// Such a submission must not return as often as one that was only in flight.
#[tokio::test]
async fn submission_that_precedes_a_broken_canary_is_distinguished_from_others_in_flight() {
    let is_broken = AtomicBool::new(false);
    let script = move |program: &Program| match program.source.as_str() {
        "poison" => {
            is_broken.store(true, Ordering::Relaxed);
            json!({ "status_id": 13 })
        }
        "0" if is_broken.swap(false, Ordering::Relaxed) => json!({ "status_id": 13 }),
        _ => accepted(&program.stdin),
    };
    let (_mock, judge0) = pair(settings(script), tuning()).await;
    let (one, many) = (question(1), question(500));
    let ((_, poison), (_, other)) = tokio::join!(run(&judge0, "poison", &one), run(&judge0, "echo", &many));
    let Err(ComparableFault::Transient(cause)) = poison else { panic!("{poison:?}") };
    assert!(cause.contains("internal error (status 13)"), "{cause}");
    assert!(matches!(other, Err(ComparableFault::Unavailable { .. })), "{other:?}");
    wait_for_state(&judge0, |state| *state == BreakerState::Closed).await;
}

/// Judge0 compiles for each test, and a program can look at the time (`__TIME__`).
#[tokio::test]
async fn program_that_stops_compiling_has_a_compile_error() {
    use base64::Engine as _;
    let output = base64::prelude::BASE64_STANDARD.encode("static assertion failed");
    let script = move |program: &Program| match (program.source.as_str(), program.stdin.as_str()) {
        ("moody", "1\n") => json!({ "status_id": 6, "compile_output": output }),
        _ => accepted(&program.stdin),
    };
    let mock = gavel_testkit::MockJudge0::start(settings(script)).await;
    let one_by_one = gavel_judge0::Judge0Config { window: 0, ..crate::support::config(mock.url()) };
    let judge0 = gavel_judge0::Judge0::start(&one_by_one, tuning()).unwrap();
    let (executions, ended) = run(&judge0, "moody", &question(3)).await;
    let output = b"static assertion failed".to_vec();
    assert_eq!((executions.len(), ended), (1, Ok(Progress::CompileError(output))));
    assert_eq!(times_submitted(&mock, "moody"), 1 + 5, "Judge0 may be at fault, so it is tried again");
}

#[tokio::test]
async fn language_in_which_judge0_fails_does_not_pause_the_others() {
    let script = |program: &Program| match (program.source.as_str(), &program.entry["language_id"]) {
        ("x", _) => no_compiler(),
        ("0", language) if *language == GO.0 => json!({ "status_id": 13 }),
        _ => accepted(&program.stdin),
    };
    let (_mock, judge0) = pair(settings(script), tuning()).await;
    let cause = "Judge0 failed on a test 5 times; the last cause: internal error (status 13)";
    let fault = final_fault("the submission could not be judged because of a system error", cause);
    assert_eq!(run_in(&judge0, GO, "x", &question(1)).await.1, Err(fault));
    assert_eq!(judge0.breaker().state(), BreakerState::Closed);
}

#[tokio::test]
async fn forged_message_about_the_interpreter_is_the_programs_own_exit() {
    let script = |program: &Program| match program.source.as_str() {
        "forged" => ended(11, 127, "", NO_INTERPRETER),
        _ => accepted(&program.stdin),
    };
    let (mock, judge0) = pair(settings(script), tuning()).await;
    let (executions, ended) = run(&judge0, "forged", &question(6)).await;
    assert_eq!((executions.len(), ended), (1, Ok(Progress::Ran)));
    assert_eq!(executions[0].outcome, Outcome::Exited { code: 127 });
    assert!(times_submitted(&mock, "forged") <= 5, "no test is sent again");
}

#[tokio::test]
async fn forged_message_about_the_compiler_is_a_compile_error() {
    let script = |program: &Program| match program.source.as_str() {
        "forged" => no_compiler(),
        _ => accepted(&program.stdin),
    };
    let (_mock, judge0) = pair(settings(script), tuning()).await;
    let (executions, ended) = run_in(&judge0, GO, "forged", &question(3)).await;
    let Ok(Progress::CompileError(output)) = ended else { panic!("{ended:?}") };
    assert!(executions.is_empty() && output.ends_with(b"No such file or directory\n"));
}

#[tokio::test]
async fn missing_tool_makes_its_language_unavailable_at_once() {
    let rows = [
        (GO, no_compiler(), "Go", "compiler"),
        (LanguageId(72), ended(11, 127, "", NO_INTERPRETER), "Ruby", "interpreter"),
    ];
    for (language, report, label, tool) in rows {
        let script = move |program: &Program| {
            if program.entry["language_id"] == language.0 { report.clone() } else { accepted(&program.stdin) }
        };
        let (mock, judge0) = pair(settings(script), tuning()).await;
        let reason = format!("{label} is not available on this judge");
        let cause = format!("Judge0 has no {tool} for language {language}");
        let fault = final_fault(&reason, &cause);
        assert_eq!(run_in(&judge0, language, "x", &question(3)).await.1, Err(fault));
        assert_eq!(times_submitted(&mock, "x"), 3);
        assert_eq!(run(&judge0, "echo", &question(3)).await.1, Ok(Progress::Ran), "other languages run");
    }
}

/// Judge0 refuses a source that is blank.
#[tokio::test]
async fn blank_program_is_judged() {
    let (mock, judge0) = pair(Settings::default(), tuning()).await;
    for (language, source, sent) in [(71, "", "#\n"), (54, " \n\u{a0}", "//\n \n\u{a0}")] {
        let (executions, ended) = run_in(&judge0, LanguageId(language), source, &question(2)).await;
        assert_eq!((executions.len(), ended), (2, Ok(Progress::Ran)), "{source:?}");
        assert_eq!(times_submitted(&mock, sent), 2);
    }
    // Plain text has no comments.
    let ended = run_in(&judge0, LanguageId(43), "\n", &question(2)).await.1;
    assert_eq!(ended, Ok(Progress::CompileError(b"The program is empty.".to_vec())));
}
