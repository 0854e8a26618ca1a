//! Turns executions into a verdict, as contract §2 ("What the result must say") defines.

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use crate::text::truncate;
use crate::verdict::sentence;
use crate::{Execution, FirstFailure, Outcome, Question, Status, TestCase, TestReport, Verdict, Visibility};

/// The size limit of an error message that is the beginning of standard error or of the compiler's output, in bytes. The
/// whole text is in its own field, and sending it twice would double the size of the result.
const MAX_EXCERPT_BYTES: usize = 1024;

/// Whether the learner sees what a program wrote during a hidden test. A program can print its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HiddenOutput {
    /// The learner sees it, as the contract has it.
    #[default]
    Send,
    /// The learner sees neither standard output nor standard error.
    Withhold,
}

/// The text names no [`HiddenOutput`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidHiddenOutput;

impl FromStr for HiddenOutput {
    type Err = InvalidHiddenOutput;

    fn from_str(text: &str) -> Result<Self, InvalidHiddenOutput> {
        match text {
            "send" => Ok(Self::Send),
            "withhold" => Ok(Self::Withhold),
            _ => Err(InvalidHiddenOutput),
        }
    }
}

impl fmt::Display for HiddenOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Send => "send",
            Self::Withhold => "withhold",
        })
    }
}

/// Receives the executions of a question's tests in order and makes the verdict.
///
/// The first failure decides; later executions are not needed.
pub struct Scorer<'a> {
    question: &'a Question,
    max_field_bytes: usize,
    hidden_output: HiddenOutput,
    tests: Vec<TestReport>,
}

impl<'a> Scorer<'a> {
    /// Creates a scorer for one submission. Text fields of its verdict are cut to `max_field_bytes`.
    #[must_use]
    pub fn new(question: &'a Question, max_field_bytes: usize, hidden_output: HiddenOutput) -> Self {
        let tests = Vec::with_capacity(question.tests.len());
        Self { question, max_field_bytes, hidden_output, tests }
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
        let error_message = self.excerpt(output).unwrap_or_else(|| "Compilation failed".to_owned());
        let public = self.question.tests.first().filter(|test| test.visibility == Visibility::Public);
        Verdict {
            first_failure: Some(FirstFailure {
                index: 0,
                stdin: public.map(|test| self.field(test.stdin.as_bytes())),
                actual_output: public.map(|_| String::new()),
                expected_output: public.map(|test| self.field(test.expected_stdout.as_bytes())),
                error_message,
            }),
            compile_output: Some(self.field(output)).filter(|text| !text.trim().is_empty()),
            ..self.verdict(Status::Failed, 0)
        }
    }

    /// Returns the verdict if the system could not finish judging. The learner sees the reason as a sentence.
    #[must_use]
    pub fn error(mut self, reason: &str) -> Verdict {
        let passed = u32::try_from(self.tests.len()).expect("fewer tests than u32::MAX");
        Verdict { reason: Some(sentence(reason)), ..self.verdict(Status::Error, passed) }
    }

    fn failure(&mut self, test: &TestCase, execution: &Execution) -> Option<Verdict> {
        let is_public = test.visibility == Visibility::Public;
        let shows_output = is_public || self.hidden_output == HiddenOutput::Send;
        // Standard error is shown only if it explains the failure.
        let crashed = |message: String| {
            let stderr = if shows_output { execution.stderr.as_slice() } else { &[] };
            (self.excerpt(stderr).unwrap_or(message), stderr)
        };
        let (error_message, stderr) = match execution.outcome {
            Outcome::Exited { code: 0 } => {
                if self.accepts(test, execution) {
                    return None;
                }
                ("Wrong answer".to_owned(), &[][..])
            }
            Outcome::TimeLimit { .. } => ("Time limit exceeded".to_owned(), &[][..]),
            Outcome::MemoryLimit => ("Memory limit exceeded".to_owned(), &[][..]),
            Outcome::OutputLimit { .. } => ("Output limit exceeded".to_owned(), &[][..]),
            Outcome::Exited { code } => crashed(format!("Runtime error (exit code {code})")),
            Outcome::Signaled { signal } => crashed(format!("Runtime error ({})", signal_name(signal))),
        };
        let stderr = Some(self.field(stderr)).filter(|text| !text.trim().is_empty());
        let index = u32::try_from(self.tests.len() - 1).expect("fewer tests than u32::MAX");
        let first_failure = Some(FirstFailure {
            index,
            stdin: is_public.then(|| self.field(test.stdin.as_bytes())),
            actual_output: shows_output.then(|| self.field(&stdout(test, execution))),
            expected_output: is_public.then(|| self.field(test.expected_stdout.as_bytes())),
            error_message,
        });
        Some(Verdict { first_failure, stderr, ..self.verdict(Status::Failed, index) })
    }

    /// The text of a field.
    fn field(&self, text: &[u8]) -> String {
        truncate(text, self.max_field_bytes)
    }

    /// The beginning of a text, for a message. `None` if it is blank.
    fn excerpt(&self, text: &[u8]) -> Option<String> {
        let excerpt = truncate(text, self.max_field_bytes.min(MAX_EXCERPT_BYTES));
        Some(excerpt).filter(|text| !text.trim().is_empty())
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
            reason: None,
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

    fn scorer(question: &Question) -> Scorer<'_> {
        Scorer::new(question, 1000, HiddenOutput::Send)
    }

    fn first_of(visibility: Visibility, execution: &Execution) -> Verdict {
        let question = question(&[visibility, Visibility::Public]);
        match scorer(&question).next(execution) {
            ControlFlow::Break(verdict) => verdict,
            ControlFlow::Continue(()) => panic!("the test passed"),
        }
    }

    #[test]
    fn verdict_is_passed_if_all_tests_pass() {
        let question = question(&[Visibility::Public, Visibility::Hidden]);
        let mut scorer = scorer(&question);
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
                    scorer(&question).next(&execution).break_value().unwrap()
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
        let verdict = scorer(&question).compile_error(b"main.c:1: error");
        assert_eq!((verdict.passed_count, verdict.total_count), (Some(0), Some(1)));
        assert_eq!(verdict.compile_output.as_deref(), Some("main.c:1: error"));
        assert_eq!(verdict.first_failure.unwrap().error_message, "main.c:1: error");
        let silent = scorer(&question).compile_error(b" \n");
        assert_eq!(silent.compile_output, None);
        assert_eq!(silent.first_failure.unwrap().error_message, "Compilation failed");
    }

    #[test]
    fn compile_error_carries_a_public_first_test() {
        let of = |first| {
            let question = question(&[first, Visibility::Public]);
            let failure = scorer(&question).compile_error(b"error").first_failure.unwrap();
            (failure.stdin, failure.actual_output, failure.expected_output)
        };
        let shown = (Some("in0".into()), Some(String::new()), Some("out0".into()));
        assert_eq!(of(Visibility::Public), shown);
        assert_eq!(of(Visibility::Hidden), (None, None, None));
    }

    #[test]
    fn long_stderr_and_compiler_output_are_sent_once() {
        let (question, long) = (question(&[Visibility::Public]), "e".repeat(6000));
        let scorer = || Scorer::new(&question, 8000, HiddenOutput::Send);
        let crashed =
            scorer().next(&execution(Outcome::Exited { code: 1 }, "", &long)).break_value().unwrap();
        let refused = scorer().compile_error(long.as_bytes());
        for (verdict, text) in [(&crashed, &crashed.stderr), (&refused, &refused.compile_output)] {
            let message = &verdict.first_failure.as_ref().unwrap().error_message;
            assert_eq!(text.as_ref().unwrap().len(), 6000);
            assert!(message.len() <= MAX_EXCERPT_BYTES && message.ends_with("\n[cut: 6000 bytes in all]"));
        }
    }

    #[test]
    fn withheld_output_of_a_hidden_test_is_in_no_field() {
        let of = |visibility, outcome| {
            let question = question(&[visibility]);
            let mut scorer = Scorer::new(&question, 1000, HiddenOutput::Withhold);
            scorer.next(&execution(outcome, "in0", "in0")).break_value().unwrap()
        };
        let exited = Outcome::Exited { code: 1 };
        let outcomes = [
            (exited, "Runtime error (exit code 1)"),
            (Outcome::Signaled { signal: 6 }, "Runtime error (SIGABRT)"),
            (OK, "Wrong answer"),
            (Outcome::MemoryLimit, "Memory limit exceeded"),
        ];
        for (outcome, message) in outcomes {
            let verdict = of(Visibility::Hidden, outcome);
            let failure = verdict.first_failure.unwrap();
            assert_eq!((failure.error_message.as_str(), failure.actual_output), (message, None));
            assert_eq!(verdict.stderr, None);
        }
        let public = of(Visibility::Public, exited);
        assert_eq!(public.stderr.as_deref(), Some("in0"));
        assert_eq!(public.first_failure.unwrap().actual_output.as_deref(), Some("in0"));
    }

    #[test]
    fn error_verdict_counts_the_tests_that_passed() {
        let question = question(&[Visibility::Public, Visibility::Public]);
        let mut scorer = scorer(&question);
        assert!(scorer.next(&execution(OK, "out0", "")).is_continue());
        let verdict = scorer.error("the engine is not available");
        assert_eq!(
            (verdict.status, verdict.passed_count, verdict.total_count),
            (Status::Error, Some(1), Some(2))
        );
        assert_eq!(verdict.reason.as_deref(), Some("The engine is not available."));
        assert_eq!(verdict.stderr, None);
    }
}
