//! Deciding the outcome of a run from the init's report and from what the judge captured.

use std::time::Duration;

use gavel_domain::{Clock, Outcome, OutputStream, Usage};
use regex::bytes::Regex;

use crate::protocol::limits::RunLimits;
use crate::protocol::wire::{KillReason, ProcessExit, RunReport};

/// The exit code of a program that the kernel refuses to execute, as in a shell.
const NOT_EXECUTED: i32 = 126;

/// What the judge knows about the run in addition to the report.
pub(crate) struct Evidence<'a> {
    pub(crate) limits: &'a RunLimits,
    pub(crate) stdout_overflowed: bool,
    pub(crate) stderr_overflowed: bool,
    pub(crate) stderr: &'a [u8],
    /// Matches stderr if the language's runtime reported that memory ran out.
    pub(crate) out_of_memory: Option<&'a Regex>,
    /// The memory that the program's image needs at start, in bytes.
    pub(crate) image_bytes: u64,
}

/// Decides the outcome of a run. If several limits were exceeded, the order here is the only one in which that can
/// have happened: output is written before the program ends, and a process is killed for its memory before the
/// program ends.
pub(crate) fn decide(report: &RunReport, evidence: &Evidence<'_>) -> Outcome {
    if evidence.stdout_overflowed {
        return Outcome::OutputLimit { stream: OutputStream::Stdout };
    }
    if evidence.stderr_overflowed {
        return Outcome::OutputLimit { stream: OutputStream::Stderr };
    }
    if report.out_of_memory
        || report.exit == ProcessExit::MemoryLimitTooLow
        || report.kill_reason == Some(KillReason::MemoryLimit)
    {
        return Outcome::MemoryLimit;
    }
    let usage = usage(report);
    if report.kill_reason == Some(KillReason::CpuLimit) || usage.cpu_time > evidence.limits.cpu_time {
        return Outcome::TimeLimit { clock: Clock::Cpu };
    }
    if report.kill_reason == Some(KillReason::WallLimit) || usage.wall_time > evidence.limits.wall_time {
        return Outcome::TimeLimit { clock: Clock::Wall };
    }
    match report.exit {
        ProcessExit::Exited(0) => Outcome::Exited { code: 0 },
        _ if ran_out_of_memory(report.exit, evidence) => Outcome::MemoryLimit,
        ProcessExit::Exited(code) | ProcessExit::NotStarted(code) => Outcome::Exited { code },
        ProcessExit::NotExecuted(_) => Outcome::Exited { code: NOT_EXECUTED },
        ProcessExit::Signaled(signal) => Outcome::Signaled { signal },
        ProcessExit::MemoryLimitTooLow => Outcome::MemoryLimit,
    }
}

/// The resources that the run used.
pub(crate) fn usage(report: &RunReport) -> Usage {
    Usage {
        cpu_time: Duration::from_nanos(report.cpu_ns),
        wall_time: Duration::from_nanos(report.wall_ns),
        memory_bytes: report.memory_bytes,
    }
}

/// Whether the program failed because an allocation was refused: the kernel then kills nothing.
fn ran_out_of_memory(exit: ProcessExit, evidence: &Evidence<'_>) -> bool {
    // The kernel kills a program whose image does not fit with one of these signals.
    let image_too_large = matches!(exit, ProcessExit::Signaled(libc::SIGKILL | libc::SIGSEGV))
        && evidence.image_bytes > evidence.limits.memory_bytes;
    image_too_large || evidence.out_of_memory.is_some_and(|pattern| pattern.is_match(evidence.stderr))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::wire::ArtefactStatus;

    fn report(exit: ProcessExit) -> RunReport {
        RunReport {
            exit,
            kill_reason: None,
            out_of_memory: false,
            cpu_ns: 1,
            wall_ns: 1,
            waiting_ns: 0,
            memory_bytes: 1,
            artefact: ArtefactStatus::NotRequested,
            unusable: false,
        }
    }

    fn decided(report: &RunReport, change: impl FnOnce(&mut Evidence<'_>)) -> Outcome {
        let limits = RunLimits::default();
        let pattern = Regex::new(r"(?m)^MemoryError\s*\z").unwrap();
        let mut evidence = Evidence {
            limits: &limits,
            stdout_overflowed: false,
            stderr_overflowed: false,
            stderr: b"",
            out_of_memory: Some(&pattern),
            image_bytes: 0,
        };
        change(&mut evidence);
        decide(report, &evidence)
    }

    #[test]
    fn exit_codes_and_signals_are_kept() {
        assert_eq!(decided(&report(ProcessExit::Exited(0)), |_| ()), Outcome::Exited { code: 0 });
        assert_eq!(decided(&report(ProcessExit::Exited(3)), |_| ()), Outcome::Exited { code: 3 });
        assert_eq!(decided(&report(ProcessExit::Signaled(11)), |_| ()), Outcome::Signaled { signal: 11 });
    }

    #[test]
    fn refused_program_exits_as_in_a_shell() {
        let refused = report(ProcessExit::NotExecuted(libc::ENOEXEC));
        assert_eq!(decided(&refused, |_| ()), Outcome::Exited { code: 126 });
    }

    #[test]
    fn output_limit_precedes_the_signal_that_followed() {
        let ended = decided(&report(ProcessExit::Signaled(13)), |evidence| evidence.stderr_overflowed = true);
        assert_eq!(ended, Outcome::OutputLimit { stream: OutputStream::Stderr });
    }

    #[test]
    fn memory_kill_precedes_how_the_parent_ended() {
        for exit in [ProcessExit::Exited(0), ProcessExit::Exited(1), ProcessExit::Signaled(9)] {
            let report =
                RunReport { out_of_memory: true, kill_reason: Some(KillReason::WallLimit), ..report(exit) };
            assert_eq!(decided(&report, |_| ()), Outcome::MemoryLimit);
        }
        assert_eq!(decided(&report(ProcessExit::MemoryLimitTooLow), |_| ()), Outcome::MemoryLimit);
    }

    #[test]
    fn exceeded_time_limit_counts_even_if_the_program_ended_first() {
        let cpu = RunReport { cpu_ns: 2_000_000_001, ..report(ProcessExit::Exited(0)) };
        assert_eq!(decided(&cpu, |_| ()), Outcome::TimeLimit { clock: Clock::Cpu });
        let wall = RunReport { wall_ns: 4_000_000_001, ..report(ProcessExit::Exited(0)) };
        assert_eq!(decided(&wall, |_| ()), Outcome::TimeLimit { clock: Clock::Wall });
    }

    #[test]
    fn runtime_error_about_memory_is_a_memory_limit() {
        let reported = |evidence: &mut Evidence<'_>| evidence.stderr = b"Traceback\nMemoryError\n";
        assert_eq!(decided(&report(ProcessExit::Exited(1)), reported), Outcome::MemoryLimit);
        assert_eq!(decided(&report(ProcessExit::Exited(0)), reported), Outcome::Exited { code: 0 });
        let elsewhere = |evidence: &mut Evidence<'_>| evidence.stderr = b"MemoryError\nValueError\n";
        assert_eq!(decided(&report(ProcessExit::Exited(1)), elsewhere), Outcome::Exited { code: 1 });
    }

    #[test]
    fn image_larger_than_the_limit_is_a_memory_limit() {
        let large = |evidence: &mut Evidence<'_>| evidence.image_bytes = 1 << 40;
        assert_eq!(decided(&report(ProcessExit::Signaled(11)), large), Outcome::MemoryLimit);
        assert_eq!(decided(&report(ProcessExit::Signaled(6)), large), Outcome::Signaled { signal: 6 });
    }
}
