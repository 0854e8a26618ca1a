//! Converts a final report into the outcome that the sandbox would report.
//!
//! Judge0 has no status for the memory limit and hides signals behind the exit code of the shell that runs the
//! program. The recordings under `tests/recorded` show how to recognize both.

use gavel_domain::{Clock, Execution, Outcome, OutputStream, Usage};

use crate::limits::RunSettings;
use crate::report::Judge0Report;

/// Sent when a file exceeds its size limit.
const SIGXFSZ: i32 = 25;
const SIGKILL: i32 = 9;
/// The kernel counts memory in pages, so that the peak can be one page below the limit. In KB.
const PAGE_KB: u64 = 4;

/// The meaning of a final report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestResult {
    /// The program ran.
    Ran(Execution),
    /// The program did not compile. Holds the compiler's output.
    CompileError(Vec<u8>),
    /// Judge0 failed; the program is not at fault. Holds the cause. Another attempt may succeed.
    Failed(String),
    /// The output is the shell's message that the compiler or the interpreter is not installed. A program can write the
    /// same message, so another program in the same language must tell.
    MaybeMissing {
        /// What is missing if the message is the shell's.
        tool: &'static str,
        /// The meaning if the message is the program's.
        otherwise: Box<Self>,
    },
}

/// Interprets the final report of a test that ran with `settings`.
#[must_use]
pub fn interpret(report: Judge0Report, settings: &RunSettings) -> TestResult {
    let Some(status) = report.status else {
        return TestResult::Failed("answer without a status".to_owned());
    };
    if report.is_malformed {
        return TestResult::Failed("unreadable answer".to_owned());
    }
    match status {
        6 => {
            let is_missing = is_missing_program(&report.compile_output, b"compile");
            let error = TestResult::CompileError(report.compile_output);
            if is_missing { maybe_missing("compiler", error) } else { error }
        }
        13 => TestResult::Failed("internal error (status 13)".to_owned()),
        14 => TestResult::Failed("exec format error (status 14)".to_owned()),
        3..=5 | 7..=12 => {
            let is_missing = report.exit_code == Some(127) && is_missing_program(&report.stderr, b"run");
            let result = ran(status, report, settings);
            if is_missing { maybe_missing("interpreter", result) } else { result }
        }
        _ => TestResult::Failed(format!("unknown status ({status})")),
    }
}

fn maybe_missing(tool: &'static str, otherwise: TestResult) -> TestResult {
    TestResult::MaybeMissing { tool, otherwise: Box::new(otherwise) }
}

fn ran(status: u64, report: Judge0Report, settings: &RunSettings) -> TestResult {
    let Some((outcome, stderr)) = outcome(status, &report, settings) else {
        return TestResult::Failed(format!("status {status} without an exit code or a signal"));
    };
    let usage = Usage {
        cpu_time: report.time.unwrap_or_default(),
        wall_time: report.wall_time.unwrap_or_default(),
        memory_bytes: report.memory_kb.unwrap_or_default().saturating_mul(1_024),
    };
    TestResult::Ran(Execution { outcome, matched_bytes: 0, stdout: report.stdout, stderr, usage })
}

/// The outcome, and what the program itself wrote to standard error.
fn outcome(status: u64, report: &Judge0Report, settings: &RunSettings) -> Option<(Outcome, Vec<u8>)> {
    let is_cut = |stream: &[u8]| u64::try_from(stream.len()).is_ok_and(|len| len >= settings.file_kb * 1_024);
    let stderr = || report.stderr.clone();
    if status == 5 {
        let is_wall = report.message.windows(4).any(|word| word == b"wall");
        let clock = if is_wall { Clock::Wall } else { Clock::Cpu };
        return Some((Outcome::TimeLimit { clock }, stderr()));
    }
    let (signal, own_stderr) = signal(status, report);
    // The output is incomplete, however the program ended.
    let exceeded = if is_cut(&report.stdout) || signal == Some(SIGXFSZ) && !is_cut(&report.stderr) {
        Some(OutputStream::Stdout)
    } else {
        is_cut(&report.stderr).then_some(OutputStream::Stderr)
    };
    if let Some(stream) = exceeded {
        return Some((Outcome::OutputLimit { stream }, own_stderr));
    }
    let is_full = report.memory_kb.is_some_and(|peak| peak + PAGE_KB > settings.memory_kb);
    let was_killed = signal == Some(SIGKILL) || report.exit_code == Some(128 + SIGKILL);
    match (status, signal, report.exit_code) {
        (7..=12, ..) if was_killed && is_full => Some((Outcome::MemoryLimit, own_stderr)),
        (3 | 4, ..) => Some((Outcome::Exited { code: 0 }, stderr())),
        (_, Some(signal), _) => Some((Outcome::Signaled { signal }, own_stderr)),
        (_, None, Some(code)) if code != 0 => Some((Outcome::Exited { code }, stderr())),
        _ => None,
    }
}

/// The signal that ended the program, and its standard error without what the shell added about it.
///
/// A shell runs the program and turns signal n into the exit code 128 + n. A program can exit with such a code by
/// itself, but then the shell does not add its line, `run: line 1:     3 Segmentation fault      ./a.out`.
fn signal(status: u64, report: &Judge0Report) -> (Option<i32>, Vec<u8>) {
    if let Some(signal) = report.exit_signal.filter(|signal| *signal > 0) {
        return (Some(signal), report.stderr.clone());
    }
    let code = report.exit_code.unwrap_or_default();
    if let (129..=192, Some(own)) = (code, own_part(&report.stderr)) {
        return (Some(code - 128), own.to_vec());
    }
    let named = match status {
        7 => Some(11),
        8 => Some(SIGXFSZ),
        9 => Some(8),
        10 => Some(6),
        _ => None,
    };
    (named.filter(|_| code == 0), report.stderr.clone())
}

/// Returns the part before the shell's line about the signal, or `None` if that is not the last line.
fn own_part(stderr: &[u8]) -> Option<&[u8]> {
    let text = stderr.strip_suffix(b"\n").unwrap_or(stderr);
    // The program's own output need not end with a newline.
    let at = text.windows(10).rposition(|part| part == b"run: line ")?;
    let line = &text[at..];
    let rest = line[10..].iter().position(|byte| *byte == b':').map(|colon| &line[10 + colon + 1..])?;
    let rest = rest.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_end = digits > 0 && rest.get(digits) == Some(&b' ') && !line.contains(&b'\n');
    is_end.then(|| &text[..at])
}

/// Whether the output is only the shell's message that the compiler or interpreter is missing:
/// `compile: line 1: /usr/local/go-1.13.5/bin/go: No such file or directory`.
fn is_missing_program(output: &[u8], script: &[u8]) -> bool {
    let line = output.trim_ascii_end();
    let is_from_shell = line.strip_prefix(script).is_some_and(|rest| rest.starts_with(b": line "));
    let ends = [&b"No such file or directory"[..], b"command not found", b"Permission denied"];
    is_from_shell && !line.contains(&b'\n') && ends.iter().any(|end| line.ends_with(end))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SETTINGS: RunSettings = RunSettings {
        cpu_time: Duration::from_secs(1),
        wall_time: Duration::from_secs(2),
        memory_kb: 128_001,
        stack_kb: None,
        file_kb: 1,
    };

    fn report(status: u64, exit_code: i32, stderr: &[u8]) -> Judge0Report {
        Judge0Report {
            status: Some(status),
            exit_code: Some(exit_code),
            stderr: stderr.to_vec(),
            ..Judge0Report::default()
        }
    }

    fn outcome_of(report: Judge0Report) -> Outcome {
        match interpret(report, &SETTINGS) {
            TestResult::Ran(execution) => execution.outcome,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn shell_line_distinguishes_a_signal_from_an_exit_code() {
        let killed =
            report(11, 139, b"mine, without a newlinerun: line 1:     3 Segmentation fault      ./a.out\n");
        let TestResult::Ran(execution) = interpret(killed, &SETTINGS) else { panic!() };
        assert_eq!(execution.outcome, Outcome::Signaled { signal: 11 });
        assert_eq!(execution.stderr, b"mine, without a newline");
        assert_eq!(outcome_of(report(11, 139, b"")), Outcome::Exited { code: 139 });
        assert_eq!(outcome_of(report(11, 139, b"run: line 1: 3 x\nmine")), Outcome::Exited { code: 139 });
        assert_eq!(outcome_of(report(11, 42, b"run: line 1: 3 x\n")), Outcome::Exited { code: 42 });
        assert_eq!(
            outcome_of(Judge0Report { exit_signal: Some(8), ..report(9, 0, b"") }),
            Outcome::Signaled { signal: 8 }
        );
        assert_eq!(outcome_of(report(10, 0, b"")), Outcome::Signaled { signal: 6 });
    }

    #[test]
    fn sigkill_is_the_memory_limit_only_at_the_limit() {
        let line = b"run: line 1:     3 Killed                  ./a.out\n";
        let at = |kb| Judge0Report { memory_kb: Some(kb), ..report(11, 137, line) };
        assert_eq!(outcome_of(at(128_000)), Outcome::MemoryLimit, "the kernel counts in pages");
        assert_eq!(outcome_of(at(120_000)), Outcome::Signaled { signal: 9 });
        assert_eq!(
            outcome_of(Judge0Report { memory_kb: Some(128_000), ..report(11, 1, b"") }),
            Outcome::Exited { code: 1 }
        );
    }

    #[test]
    fn truncated_output_is_the_output_limit_however_the_program_ended() {
        let stdout = Outcome::OutputLimit { stream: OutputStream::Stdout };
        let stderr = Outcome::OutputLimit { stream: OutputStream::Stderr };
        let full = vec![b'x'; 1_024];
        assert_eq!(
            outcome_of(report(11, 153, b"run: line 1:  3 File size limit exceeded ./a.out\n")),
            stdout
        );
        assert_eq!(outcome_of(report(8, 0, b"")), stdout);
        assert_eq!(
            outcome_of(Judge0Report { stdout: full.clone(), ..report(11, 1, b"OSError: File too large") }),
            stdout
        );
        assert_eq!(outcome_of(Judge0Report { stdout: full.clone(), ..report(3, 0, b"") }), stdout);
        assert_eq!(
            outcome_of(Judge0Report { stdout: full[1..].to_vec(), ..report(3, 0, b"") }),
            Outcome::Exited { code: 0 }
        );
        assert_eq!(outcome_of(report(11, 153, &full)), stderr, "no room for the shell's line");
        assert_eq!(outcome_of(report(3, 0, &full)), stderr);
    }

    #[test]
    fn failures_of_judge0_are_not_outcomes() {
        let malformed = Judge0Report { is_malformed: true, ..report(3, 0, b"") };
        let faults = [
            Judge0Report::default(),
            malformed,
            report(13, 0, b""),
            report(14, 0, b""),
            report(99, 0, b""),
            report(11, 0, b""),
            Judge0Report { exit_code: None, ..report(11, 0, b"") },
        ];
        for report in faults {
            let shown = format!("{report:?}");
            assert!(matches!(interpret(report, &SETTINGS), TestResult::Failed(_)), "{shown}");
        }
    }

    #[test]
    fn exit_code_alone_is_no_evidence_of_a_signal_or_an_output_limit() {
        for code in [127, 134, 136, 137, 139, 153] {
            assert_eq!(outcome_of(report(11, code, b"")), Outcome::Exited { code });
            assert_eq!(outcome_of(report(11, code, b"mine\n")), Outcome::Exited { code });
        }
    }

    #[test]
    fn message_about_a_missing_tool_needs_confirmation() {
        let message = b"run: line 1: /usr/local/ruby/bin/ruby: No such file or directory\n";
        let TestResult::MaybeMissing { tool, otherwise } = interpret(report(11, 127, message), &SETTINGS)
        else {
            panic!("not taken for the shell's message")
        };
        let TestResult::Ran(execution) = *otherwise else { panic!("{otherwise:?}") };
        assert_eq!((tool, execution.outcome), ("interpreter", Outcome::Exited { code: 127 }));
        assert_eq!(execution.stderr, message);
        // `#line` lets a program choose the file name in the messages of gcc.
        let output = b"compile: line 1: x:1:2: error: #error No such file or directory\n".to_vec();
        let compiled = Judge0Report { compile_output: output.clone(), ..report(6, 0, b"") };
        let otherwise = Box::new(TestResult::CompileError(output));
        assert_eq!(interpret(compiled, &SETTINGS), TestResult::MaybeMissing { tool: "compiler", otherwise });
        // A program that ran cannot lack its interpreter.
        assert_eq!(outcome_of(report(11, 1, message)), Outcome::Exited { code: 1 });
    }
}
