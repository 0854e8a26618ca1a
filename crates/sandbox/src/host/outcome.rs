//! From what the init saw to how the program ended.

use std::time::Duration;

use gavel_domain::{Clock, Outcome, OutputStream, Usage};
use regex::bytes::Regex;

use crate::protocol::limits::RunLimits;
use crate::protocol::wire::{End, Report, StoppedBy};

/// What else is known of the run.
pub(crate) struct Evidence<'a> {
    pub(crate) limits: &'a RunLimits,
    pub(crate) stdout_overflowed: bool,
    pub(crate) stderr_overflowed: bool,
    pub(crate) stderr: &'a [u8],
    /// What stderr matches when the language's runtime reports that memory ran out.
    pub(crate) out_of_memory: Option<&'a Regex>,
    /// The memory that the program's file asks for at start, in bytes.
    pub(crate) image_bytes: u64,
}

/// How the run ended. Where several limits were met, the order here is that in which they can only have been
/// met: what was written was written before the end, and what was killed for memory was killed before the end.
pub(crate) fn decide(report: &Report, evidence: &Evidence<'_>) -> Outcome {
    if evidence.stdout_overflowed {
        return Outcome::OutputLimit { stream: OutputStream::Stdout };
    }
    if evidence.stderr_overflowed {
        return Outcome::OutputLimit { stream: OutputStream::Stderr };
    }
    if report.out_of_memory || report.end == End::NoRoom || report.stopped_by == StoppedBy::MemoryLimit {
        return Outcome::MemoryLimit;
    }
    let usage = usage(report);
    if report.stopped_by == StoppedBy::CpuLimit || usage.cpu_time > evidence.limits.cpu_time {
        return Outcome::TimeLimit { clock: Clock::Cpu };
    }
    if report.stopped_by == StoppedBy::WallLimit || usage.wall_time > evidence.limits.wall_time {
        return Outcome::TimeLimit { clock: Clock::Wall };
    }
    match report.end {
        End::Exited(0) => Outcome::Exited { code: 0 },
        _ if ran_out_of_memory(report.end, evidence) => Outcome::MemoryLimit,
        End::Exited(code) | End::NotStarted(code) => Outcome::Exited { code },
        End::Signaled(signal) => Outcome::Signaled { signal },
        End::NoRoom => Outcome::MemoryLimit,
    }
}

/// What the run cost.
pub(crate) fn usage(report: &Report) -> Usage {
    Usage {
        cpu_time: Duration::from_nanos(report.cpu_ns),
        wall_time: Duration::from_nanos(report.wall_ns),
        memory_bytes: report.memory_bytes,
    }
}

/// Memory that was refused rather than taken: nothing was killed, and the program failed all the same.
fn ran_out_of_memory(end: End, evidence: &Evidence<'_>) -> bool {
    // The kernel ends a program whose image does not fit with one of these.
    let image = matches!(end, End::Signaled(libc::SIGKILL | libc::SIGSEGV))
        && evidence.image_bytes > evidence.limits.memory_bytes;
    image || evidence.out_of_memory.is_some_and(|said| said.is_match(evidence.stderr))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::wire::Collected;

    fn report(end: End) -> Report {
        Report {
            end,
            stopped_by: StoppedBy::Nothing,
            out_of_memory: false,
            cpu_ns: 1,
            wall_ns: 1,
            memory_bytes: 1,
            collected: Collected::NotAsked,
            spent: false,
        }
    }

    fn decided(report: &Report, change: impl FnOnce(&mut Evidence<'_>)) -> Outcome {
        let limits = RunLimits::default();
        let said = Regex::new(r"(?m)^MemoryError\s*\z").unwrap();
        let mut evidence = Evidence {
            limits: &limits,
            stdout_overflowed: false,
            stderr_overflowed: false,
            stderr: b"",
            out_of_memory: Some(&said),
            image_bytes: 0,
        };
        change(&mut evidence);
        decide(report, &evidence)
    }

    #[test]
    fn a_plain_end_is_told_as_it_was() {
        assert_eq!(decided(&report(End::Exited(0)), |_| ()), Outcome::Exited { code: 0 });
        assert_eq!(decided(&report(End::Exited(3)), |_| ()), Outcome::Exited { code: 3 });
        assert_eq!(decided(&report(End::Signaled(11)), |_| ()), Outcome::Signaled { signal: 11 });
    }

    #[test]
    fn a_flood_wins_over_the_signal_that_followed() {
        let ended = decided(&report(End::Signaled(13)), |evidence| evidence.stderr_overflowed = true);
        assert_eq!(ended, Outcome::OutputLimit { stream: OutputStream::Stderr });
    }

    #[test]
    fn a_memory_kill_wins_over_how_the_parent_took_it() {
        for end in [End::Exited(0), End::Exited(1), End::Signaled(9)] {
            let report = Report { out_of_memory: true, stopped_by: StoppedBy::WallLimit, ..report(end) };
            assert_eq!(decided(&report, |_| ()), Outcome::MemoryLimit);
        }
        assert_eq!(decided(&report(End::NoRoom), |_| ()), Outcome::MemoryLimit);
    }

    #[test]
    fn a_limit_that_was_passed_counts_even_if_the_program_was_quicker_than_we() {
        let cpu = Report { cpu_ns: 2_000_000_001, ..report(End::Exited(0)) };
        assert_eq!(decided(&cpu, |_| ()), Outcome::TimeLimit { clock: Clock::Cpu });
        let wall = Report { wall_ns: 4_000_000_001, ..report(End::Exited(0)) };
        assert_eq!(decided(&wall, |_| ()), Outcome::TimeLimit { clock: Clock::Wall });
    }

    #[test]
    fn a_runtime_that_says_so_ran_out_of_memory() {
        let said = |evidence: &mut Evidence<'_>| evidence.stderr = b"Traceback\nMemoryError\n";
        assert_eq!(decided(&report(End::Exited(1)), said), Outcome::MemoryLimit);
        assert_eq!(decided(&report(End::Exited(0)), said), Outcome::Exited { code: 0 });
        let elsewhere = |evidence: &mut Evidence<'_>| evidence.stderr = b"MemoryError\nValueError\n";
        assert_eq!(decided(&report(End::Exited(1)), elsewhere), Outcome::Exited { code: 1 });
    }

    #[test]
    fn an_image_beyond_the_limit_is_a_memory_limit() {
        let large = |evidence: &mut Evidence<'_>| evidence.image_bytes = 1 << 40;
        assert_eq!(decided(&report(End::Signaled(11)), large), Outcome::MemoryLimit);
        assert_eq!(decided(&report(End::Signaled(6)), large), Outcome::Signaled { signal: 6 });
    }
}
