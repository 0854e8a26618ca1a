//! A mock Judge0, an engine that uses it, and questions.

use std::ops::ControlFlow;
use std::time::Duration;

use gavel_domain::engine::{EngineFault, Job, Progress};
use gavel_domain::{
    Backoff, Comparison, Execution, LanguageId, Limits, Outcome, Question, TestCase, Visibility,
};
use gavel_judge0::{BatchEntry, BreakerState, Judge0, Judge0Config, Tuning};
use gavel_testkit::MockJudge0;
use gavel_testkit::judge0::Settings;

/// Longer than any test here takes on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Short poll intervals and retry delays; the defaults for what a test should not wait for.
pub(crate) fn tuning() -> Tuning {
    let (ms, short) =
        (Duration::from_millis, Backoff { base: Duration::from_millis(5), cap: Duration::from_millis(40) });
    Tuning {
        min_poll_interval: ms(5),
        max_poll_interval: ms(40),
        retry: short,
        probe: short,
        ..Tuning::default()
    }
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

/// A mock Judge0 and an engine that uses it.
pub(crate) async fn pair(settings: Settings, tuning: Tuning) -> (MockJudge0, Judge0) {
    let mock = MockJudge0::start(settings).await;
    let judge0 = Judge0::start(&config(mock.url()), tuning).unwrap();
    (mock, judge0)
}

/// A question with `tests` tests. Test `n` has the input `n` and expects it as output.
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

/// An [`EngineFault`] with its cause as text, so that tests can compare it.
#[derive(Debug, PartialEq)]
pub(crate) enum ComparableFault {
    Final { reason: String, cause: String },
    Transient(String),
    Unavailable { retry_after: Duration, cause: String },
}

impl From<EngineFault> for ComparableFault {
    fn from(fault: EngineFault) -> Self {
        match fault {
            EngineFault::Final { reason, source } => {
                Self::Final { reason, cause: source.map_or_else(String::new, |source| source.to_string()) }
            }
            EngineFault::Transient(source) => Self::Transient(source.to_string()),
            EngineFault::Unavailable { retry_after, source } => {
                Self::Unavailable { retry_after, cause: source.to_string() }
            }
        }
    }
}

/// The final fault with this reason for the learner and this cause for the operator.
pub(crate) fn final_fault(reason: &str, cause: &str) -> ComparableFault {
    ComparableFault::Final { reason: reason.to_owned(), cause: cause.to_owned() }
}

/// The executions that the observer has seen, and the result.
pub(crate) type Ran = (Vec<Execution>, Result<Progress, ComparableFault>);

/// Runs a program until a test fails.
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
    let ended = tokio::time::timeout(TIMEOUT, judge0.run(&job, 0, &mut observer)).await.unwrap();
    (shown, ended.map_err(ComparableFault::from))
}

/// How many times a program was submitted.
pub(crate) fn times_submitted(mock: &MockJudge0, source: &str) -> usize {
    mock.programs().iter().filter(|program| program.source == source).count()
}

/// Waits until the breaker is in such a state.
pub(crate) async fn wait_for_state(judge0: &Judge0, is: impl Fn(&BreakerState) -> bool) -> BreakerState {
    let mut states = judge0.breaker().watch();
    tokio::time::timeout(TIMEOUT, states.wait_for(|state| is(state))).await.unwrap().unwrap().clone()
}

/// A submission that Judge0 accepts.
pub(crate) fn entry() -> BatchEntry<'static> {
    BatchEntry {
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
