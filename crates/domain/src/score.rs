//! Turns executions into a verdict, as contract §2 ("What the result must say") defines.

use std::borrow::Cow;
use std::ops::ControlFlow;

use crate::text::truncate;
use crate::verdict::sentence;
use crate::{Execution, FirstFailure, Outcome, Question, Status, TestCase, TestReport, Verdict, Visibility};

/// Receives the executions of a question's tests in order and makes the verdict.
///
/// The first failure decides; later executions are not needed.
pub struct Scorer<'a> {
    question: &'a Question,
    max_field_bytes: usize,
    tests: Vec<TestReport>,
}

impl<'a> Scorer<'a> {
    /// Creates a scorer for one submission. Text fields of its verdict are cut to `max_field_bytes`.
    #[must_use]
    pub fn new(question: &'a Question, max_field_bytes: usize) -> Self {
        Self { question, max_field_bytes, tests: Vec::with_capacity(question.tests.len()) }
    }

    /// Receives the execution of the next test. Breaks with the verdict at the first failure and after the last test.
    ///
    /// # Panics
    /// Panics if it receives more executions than the question has tests.
    pub fn next(&mut self, execution: &Execution) -> ControlFlow<Verdict> {
        let test = &self.question.tests[self.tests.len()];
        self.tests.push(TestReport { outcome: execution.outcome, usage: execution.usage });
        if let Some(failure) = self.failure(test, execution) {
            return ControlFlow::Break(failure);
        }
        if self.tests.len() < self.question.tests.len() {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(self.verdict(Status::Passed, self.total()))
    }

    /// Returns the verdict for a program that did not compile. `output` is the compiler's output.
    #[must_use]
    pub fn compile_error(mut self, output: &[u8]) -> Verdict {
        let output = Some(truncate(output, self.max_field_bytes)).filter(|text| !text.trim().is_empty());
        let error_message = output.clone().unwrap_or_else(|| "Compilation failed".to_owned());
        Verdict {
            first_failure: Some(FirstFailure {
                index: 0,
                stdin: None,
                actual_output: None,
                expected_output: None,
                error_message,
            }),
            compile_output: output,
            ..self.verdict(Status::Failed, 0)
        }
    }

    /// Returns the verdict if the system could not finish judging. The learner sees the reason as a sentence.
    #[must_use]
    pub fn error(mut self, reason: &str) -> Verdict {
        let passed = u32::try_from(self.tests.len()).expect("fewer tests than u32::MAX");
        Verdict { stderr: Some(sentence(reason)), ..self.verdict(Status::Error, passed) }
    }

    fn failure(&mut self, test: &TestCase, execution: &Execution) -> Option<Verdict> {
        let stderr =
            || Some(truncate(&execution.stderr, self.max_field_bytes)).filter(|t| !t.trim().is_empty());
        let (error_message, stderr) = match execution.outcome {
            Outcome::Exited { code: 0 } => {
                if self.accepts(test, execution) {
                    return None;
                }
                ("Wrong answer".to_owned(), None)
            }
            Outcome::TimeLimit { .. } => ("Time limit exceeded".to_owned(), None),
            Outcome::MemoryLimit => ("Memory limit exceeded".to_owned(), None),
            Outcome::OutputLimit { .. } => ("Output limit exceeded".to_owned(), None),
            Outcome::Exited { code } => {
                (stderr().unwrap_or_else(|| format!("Runtime error (exit code {code})")), stderr())
            }
            Outcome::Signaled { signal } => {
                (stderr().unwrap_or_else(|| format!("Runtime error ({})", signal_name(signal))), stderr())
            }
        };
        let if_public = |text: &str| {
            (test.visibility == Visibility::Public).then(|| truncate(text.as_bytes(), self.max_field_bytes))
        };
        let index = u32::try_from(self.tests.len() - 1).expect("fewer tests than u32::MAX");
        let first_failure = Some(FirstFailure {
            index,
            stdin: if_public(&test.stdin),
            actual_output: Some(truncate(&stdout(test, execution), self.max_field_bytes)),
            expected_output: if_public(&test.expected_stdout),
            error_message,
        });
        Some(Verdict { first_failure, stderr, ..self.verdict(Status::Failed, index) })
    }

    fn accepts(&self, test: &TestCase, execution: &Execution) -> bool {
        let (rule, expected) = (self.question.comparison, test.expected_stdout.as_str());
        // Fast path for most correct outputs: the expected output, followed at most by white space.
        let is_match = execution.matched_bytes == expected.len()
            && (execution.stdout.is_empty() || rule.trim_outputs && execution.stdout.trim_ascii().is_empty());
        is_match || rule.accepts(&stdout(test, execution), expected)
    }

    fn verdict(&mut self, status: Status, passed: u32) -> Verdict {
        Verdict {
            status,
            passed_count: Some(passed),
            total_count: Some(self.total()),
            first_failure: None,
            stderr: None,
            compile_output: None,
            tests: std::mem::take(&mut self.tests),
            toolchain: None,
        }
    }

    fn total(&self) -> u32 {
        u32::try_from(self.question.tests.len()).expect("fewer tests than u32::MAX")
    }
}

/// The whole standard output of a program.
fn stdout<'a>(test: &'a TestCase, execution: &'a Execution) -> Cow<'a, [u8]> {
    let (head, rest) =
        (&test.expected_stdout.as_bytes()[..execution.matched_bytes], execution.stdout.as_slice());
    match (head, rest) {
        ([], rest) => Cow::Borrowed(rest),
        (head, []) => Cow::Borrowed(head),
        (head, rest) => Cow::Owned([head, rest].concat()),
    }
}

/// The names of Linux's signals on x86-64 and arm64 (`signal(7)`).
fn signal_name(signal: i32) -> String {
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    let known = usize::try_from(signal - 1).ok().and_then(|index| NAMES.get(index));
    known.map_or_else(|| format!("signal {signal}"), |&name| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Comparison, Limits, OutputStream, Usage};

    fn question(visibilities: &[Visibility]) -> Question {
        let tests = visibilities.iter().enumerate().map(|(n, &visibility)| TestCase {
            visibility,
            stdin: format!("in{n}"),
            expected_stdout: format!("out{n}"),
        });
        Question {
            limits: Limits::new(1.0, 64.0).unwrap(),
            comparison: Comparison { trim_outputs: true, normalize_whitespace: false, case_sensitive: true },
            tests: tests.collect(),
        }
    }

    fn execution(outcome: Outcome, stdout: &str, stderr: &str) -> Execution {
        let (stdout, stderr) = (stdout.into(), stderr.into());
        Execution { outcome, matched_bytes: 0, stdout, stderr, usage: Usage::default() }
    }

    const OK: Outcome = Outcome::Exited { code: 0 };

    fn first_of(visibility: Visibility, execution: &Execution) -> Verdict {
        let question = question(&[visibility, Visibility::Public]);
        match Scorer::new(&question, 1000).next(execution) {
            ControlFlow::Break(verdict) => verdict,
            ControlFlow::Continue(()) => panic!("the test passed"),
        }
    }

    #[test]
    fn verdict_is_passed_if_all_tests_pass() {
        let question = question(&[Visibility::Public, Visibility::Hidden]);
        let mut scorer = Scorer::new(&question, 1000);
        assert_eq!(scorer.next(&execution(OK, "out0\n", "warning")), ControlFlow::Continue(()));
        let ControlFlow::Break(verdict) = scorer.next(&execution(OK, "out1", "")) else {
            panic!("no verdict")
        };
        assert_eq!(
            (verdict.status, verdict.passed_count, verdict.total_count),
            (Status::Passed, Some(2), Some(2))
        );
        assert_eq!((verdict.first_failure, verdict.stderr, verdict.compile_output), (None, None, None));
        assert_eq!(verdict.tests.len(), 2);
    }

    #[test]
    fn matched_bytes_lead_to_the_same_verdict_as_captured_bytes() {
        let expected = "out0";
        for output in
            ["", "o", "out0", "out0\n", "out0 \t\u{c}\n\n", "out0x", "oux0", "out0\nmore", "out0\u{a0}"]
        {
            let same = output.bytes().zip(expected.bytes()).take_while(|(one, other)| one == other).count();
            for (outcome, trim_outputs) in [(OK, true), (OK, false), (Outcome::Exited { code: 1 }, true)] {
                let mut question = question(&[Visibility::Public]);
                question.comparison.trim_outputs = trim_outputs;
                let verdict = |matched_bytes: usize| {
                    let execution =
                        Execution { matched_bytes, ..execution(outcome, &output[matched_bytes..], "") };
                    Scorer::new(&question, 1000).next(&execution).break_value().unwrap()
                };
                for matched_bytes in 0..=same {
                    assert_eq!(verdict(matched_bytes), verdict(0), "{output:?} {matched_bytes}");
                }
            }
        }
    }

    #[test]
    fn each_outcome_has_its_message() {
        let cases = [
            (OK, "", "Wrong answer"),
            (Outcome::TimeLimit { clock: Clock::Cpu }, "ignored", "Time limit exceeded"),
            (Outcome::TimeLimit { clock: Clock::Wall }, "", "Time limit exceeded"),
            (Outcome::MemoryLimit, "ignored", "Memory limit exceeded"),
            (Outcome::OutputLimit { stream: OutputStream::Stderr }, "ignored", "Output limit exceeded"),
            (Outcome::Exited { code: 3 }, "", "Runtime error (exit code 3)"),
            (Outcome::Exited { code: 1 }, "Traceback …", "Traceback …"),
            (Outcome::Signaled { signal: 11 }, " \n", "Runtime error (SIGSEGV)"),
            (Outcome::Signaled { signal: 34 }, "", "Runtime error (signal 34)"),
        ];
        for (outcome, stderr, message) in cases {
            let verdict = first_of(Visibility::Public, &execution(outcome, "x", stderr));
            assert_eq!(verdict.status, Status::Failed);
            assert_eq!(verdict.first_failure.unwrap().error_message, message, "{outcome:?}");
            let expected = (stderr == "Traceback …").then(|| stderr.to_owned());
            assert_eq!(verdict.stderr, expected, "{outcome:?}");
        }
    }

    #[test]
    fn verdict_omits_hidden_input_and_expected_output() {
        let public = first_of(Visibility::Public, &execution(OK, "x", "")).first_failure.unwrap();
        assert_eq!((public.stdin.as_deref(), public.expected_output.as_deref()), (Some("in0"), Some("out0")));
        let hidden = first_of(Visibility::Hidden, &execution(OK, "x", "")).first_failure.unwrap();
        assert_eq!((hidden.stdin, hidden.expected_output), (None, None));
        assert_eq!(hidden.actual_output.as_deref(), Some("x"));
    }

    #[test]
    fn compile_error_carries_the_compiler_output() {
        let question = question(&[Visibility::Public]);
        let verdict = Scorer::new(&question, 1000).compile_error(b"main.c:1: error");
        assert_eq!((verdict.passed_count, verdict.total_count), (Some(0), Some(1)));
        assert_eq!(verdict.compile_output.as_deref(), Some("main.c:1: error"));
        assert_eq!(verdict.first_failure.unwrap().error_message, "main.c:1: error");
        let silent = Scorer::new(&question, 1000).compile_error(b" \n");
        assert_eq!(silent.compile_output, None);
        assert_eq!(silent.first_failure.unwrap().error_message, "Compilation failed");
    }

    #[test]
    fn error_verdict_counts_the_tests_that_passed() {
        let question = question(&[Visibility::Public, Visibility::Public]);
        let mut scorer = Scorer::new(&question, 1000);
        assert!(scorer.next(&execution(OK, "out0", "")).is_continue());
        let verdict = scorer.error("the engine is not available");
        assert_eq!(
            (verdict.status, verdict.passed_count, verdict.total_count),
            (Status::Error, Some(1), Some(2))
        );
        assert_eq!(verdict.stderr.as_deref(), Some("The engine is not available."));
    }
}
