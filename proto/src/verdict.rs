//! Verdicts and their parts.

use std::time::Duration;

use gavel_domain::{Clock, FirstFailure, Outcome, OutputStream, Status, TestReport, Usage, Verdict};

use crate::v1::test_report::Ending as WireEnding;
use crate::{DecodeError, v1};

pub(crate) fn status_to(status: Status) -> v1::Status {
    match status {
        Status::Passed => v1::Status::Passed,
        Status::Failed => v1::Status::Failed,
        Status::Error => v1::Status::Error,
    }
}

pub(crate) fn status_from(wire: v1::Status) -> Result<Status, DecodeError> {
    match wire {
        v1::Status::Passed => Ok(Status::Passed),
        v1::Status::Failed => Ok(Status::Failed),
        v1::Status::Error => Ok(Status::Error),
        v1::Status::Unspecified => Err(DecodeError::Field("status")),
    }
}

pub(crate) fn verdict_to(verdict: &Verdict) -> v1::Verdict {
    v1::Verdict {
        status: status_to(verdict.status).into(),
        passed_count: verdict.passed_count,
        total_count: verdict.total_count,
        first_failure: verdict.first_failure.as_ref().map(|failure| v1::FirstFailure {
            index: failure.index,
            stdin: failure.stdin.clone(),
            actual_output: failure.actual_output.clone(),
            expected_output: failure.expected_output.clone(),
            error_message: failure.error_message.clone(),
        }),
        stderr: verdict.reason.as_ref().or(verdict.stderr.as_ref()).cloned(),
        compile_output: verdict.compile_output.clone(),
        tests: verdict.tests.iter().map(report_to).collect(),
        toolchain: verdict.toolchain.clone(),
    }
}

pub(crate) fn verdict_from(wire: v1::Verdict) -> Result<Verdict, DecodeError> {
    let status = status_from(wire.status())?;
    let (reason, stderr) = if status == Status::Error { (wire.stderr, None) } else { (None, wire.stderr) };
    Ok(Verdict {
        status,
        passed_count: wire.passed_count,
        total_count: wire.total_count,
        first_failure: wire.first_failure.map(|failure| FirstFailure {
            index: failure.index,
            stdin: failure.stdin,
            actual_output: failure.actual_output,
            expected_output: failure.expected_output,
            error_message: failure.error_message,
        }),
        reason,
        stderr,
        compile_output: wire.compile_output,
        tests: wire.tests.iter().map(report_from).collect::<Result<_, _>>()?,
        toolchain: wire.toolchain,
    })
}

fn report_to(report: &TestReport) -> v1::TestReport {
    let limit = |limit: v1::Limit| WireEnding::Limit(limit.into());
    let outcome = match report.outcome {
        Outcome::Exited { code } => WireEnding::ExitCode(code),
        Outcome::Signaled { signal } => WireEnding::Signal(signal),
        Outcome::TimeLimit { clock: Clock::Cpu } => limit(v1::Limit::CpuTime),
        Outcome::TimeLimit { clock: Clock::Wall } => limit(v1::Limit::WallTime),
        Outcome::MemoryLimit => limit(v1::Limit::Memory),
        Outcome::OutputLimit { stream: OutputStream::Stdout } => limit(v1::Limit::Stdout),
        Outcome::OutputLimit { stream: OutputStream::Stderr } => limit(v1::Limit::Stderr),
    };
    v1::TestReport {
        ending: Some(outcome),
        cpu_time_us: micros(report.usage.cpu_time),
        wall_time_us: micros(report.usage.wall_time),
        memory_bytes: report.usage.memory_bytes,
    }
}

fn report_from(wire: &v1::TestReport) -> Result<TestReport, DecodeError> {
    let outcome = match wire.ending {
        Some(WireEnding::ExitCode(code)) => Outcome::Exited { code },
        Some(WireEnding::Signal(signal)) => Outcome::Signaled { signal },
        Some(WireEnding::Limit(limit)) => match v1::Limit::try_from(limit) {
            Ok(v1::Limit::CpuTime) => Outcome::TimeLimit { clock: Clock::Cpu },
            Ok(v1::Limit::WallTime) => Outcome::TimeLimit { clock: Clock::Wall },
            Ok(v1::Limit::Memory) => Outcome::MemoryLimit,
            Ok(v1::Limit::Stdout) => Outcome::OutputLimit { stream: OutputStream::Stdout },
            Ok(v1::Limit::Stderr) => Outcome::OutputLimit { stream: OutputStream::Stderr },
            Ok(v1::Limit::Unspecified) | Err(_) => return Err(DecodeError::Field("tests.limit")),
        },
        None => return Err(DecodeError::Field("tests.ending")),
    };
    let usage = Usage {
        cpu_time: Duration::from_micros(wire.cpu_time_us),
        wall_time: Duration::from_micros(wire.wall_time_us),
        memory_bytes: wire.memory_bytes,
    };
    Ok(TestReport { outcome, usage })
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
