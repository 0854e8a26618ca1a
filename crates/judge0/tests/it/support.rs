//! A double, a Judge0 that watches it, and questions.

use std::ops::ControlFlow;
use std::time::Duration;

use gavel_domain::{
    Backoff, Comparison, Execution, LanguageId, Limits, Outcome, Question, TestCase, Visibility,
};
use gavel_judge0::{Entry, Fault, Job, Judge0, Judge0Config, Pace, Progress};
use gavel_testkit::Judge0Double;
use gavel_testkit::judge0::Settings;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Pauses for tests: short ones between tries, long ones for whatever should not be waited for.
pub(crate) fn pace() -> Pace {
    let (ms, short) =
        (Duration::from_millis, Backoff { base: Duration::from_millis(5), cap: Duration::from_millis(40) });
    Pace { first_look: ms(5), longest_look: ms(40), retry: short, probe: short, ..Pace::default() }
}

pub(crate) fn config(url: String) -> Judge0Config {
    Judge0Config {
        base_url: url,
        api_key: None,
        headers: Vec::new(),
        timeout: Duration::from_secs(5),
        window: 4,
    }
}

/// A double and a Judge0 that watches it.
pub(crate) async fn pair(settings: Settings, pace: Pace) -> (Judge0Double, Judge0) {
    let double = Judge0Double::start(settings).await;
    let judge0 = Judge0::start(&config(double.url()), pace).unwrap();
    (double, judge0)
}

/// A question of so many tests, the `n`th of which has `n` as its input and expects it back.
pub(crate) fn question(tests: usize) -> Question {
    with_limits(tests, 1.0, 64.0)
}

pub(crate) fn with_limits(tests: usize, seconds: f64, mb: f64) -> Question {
    let test = |n: usize| TestCase {
        visibility: Visibility::Public,
        stdin: format!("{n}\r\n"),
        expected_stdout: format!("{n}\n"),
    };
    Question {
        limits: Limits::new(seconds, mb).unwrap(),
        comparison: Comparison { trim_outputs: true, normalize_whitespace: false, case_sensitive: true },
        tests: (0..tests).map(test).collect(),
    }
}

/// What was shown, and how it ended.
pub(crate) type Ran = (Vec<Execution>, Result<Progress, Fault>);

/// Runs a program to the first test that does not end with 0, or that does not write what is expected.
pub(crate) async fn run(judge0: &Judge0, source: &str, question: &Question) -> Ran {
    run_in(judge0, LanguageId(71), source, question).await
}

pub(crate) async fn run_in(judge0: &Judge0, language: LanguageId, source: &str, question: &Question) -> Ran {
    let mut shown: Vec<Execution> = Vec::new();
    let job = Job { language, source, question, max_output_bytes: 4 << 20 };
    let mut observer = |execution: Execution| {
        let expected = &question.tests[shown.len()].expected_stdout;
        let passed = execution.outcome == Outcome::Exited { code: 0 }
            && question.comparison.accepts(&execution.stdout, expected);
        shown.push(execution);
        if passed { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let ended = tokio::time::timeout(PATIENCE, judge0.run(&job, &mut observer)).await.unwrap();
    (shown, ended)
}

/// Any submission that Judge0 takes.
pub(crate) fn entry() -> Entry<'static> {
    Entry {
        source_code: "eA==",
        language_id: 71,
        stdin: String::new(),
        cpu_time_limit: 1.0,
        wall_time_limit: 2.0,
        memory_limit: 64_000,
        stack_limit: None,
        max_file_size: 1_024,
        number_of_runs: 1,
        enable_network: false,
        redirect_stderr_to_stdout: false,
    }
}
