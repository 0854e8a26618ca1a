//! A question: its limits, its comparison and its test cases.

use std::time::Duration;

use crate::Comparison;

/// The maximum time limit of a question, so that no submission occupies a slot for too long.
pub const MAX_TIME_LIMIT: Duration = Duration::from_mins(5);

/// Whether a learner may see a test case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Input and expected output may be shown to the learner.
    Public,
    /// Input and expected output never leave the judge.
    Hidden,
}

/// An input and its expected output.
///
/// Has no `Debug`, so that test data cannot reach a log by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct TestCase {
    /// Whether the learner may see it.
    pub visibility: Visibility,
    /// The input, as the question has it. The engines replace `\r\n` by `\n`.
    pub stdin: String,
    /// The expected output.
    pub expected_stdout: String,
}

/// The limits of each test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The CPU time limit of the whole process tree.
    pub cpu_time: Duration,
    /// The memory limit of the whole process tree, in bytes.
    pub memory_bytes: u64,
}

impl Limits {
    /// Creates limits from the units of a question: seconds and MiB, both possibly fractional.
    ///
    /// # Errors
    /// Returns an error if a number is not above 0 or exceeds its maximum ([`MAX_TIME_LIMIT`], 1 TiB).
    pub fn new(time_limit_seconds: f64, memory_limit_mb: f64) -> Result<Self, InvalidLimits> {
        let cpu_time = Duration::try_from_secs_f64(time_limit_seconds)
            .ok()
            .filter(|time| !time.is_zero() && *time <= MAX_TIME_LIMIT)
            .ok_or(InvalidLimits::Time { seconds: time_limit_seconds })?;
        // 1 TiB is more than any machine gives one program, and f64 still represents each byte.
        if !(memory_limit_mb > 0.0 && memory_limit_mb <= f64::from(1 << 20)) {
            return Err(InvalidLimits::Memory { mb: memory_limit_mb });
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 2^40, checked above"
        )]
        let memory_bytes = (memory_limit_mb * 1_048_576.0) as u64;
        Ok(Self { cpu_time, memory_bytes })
    }

    /// The wall time limit: twice the CPU time limit (contract, "Judging semantics").
    #[must_use]
    pub fn wall_time(&self) -> Duration {
        self.cpu_time * 2
    }
}

/// Why the limits of a question are invalid.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum InvalidLimits {
    /// The time limit is not above 0, or above [`MAX_TIME_LIMIT`].
    #[error("a time limit of {seconds} s is not between 0 and {} s", MAX_TIME_LIMIT.as_secs())]
    Time {
        /// The value in the question.
        seconds: f64,
    },
    /// The memory limit is not above 0, or above 1 TiB.
    #[error("a memory limit of {mb} MiB is not between 0 and 1048576 MiB")]
    Memory {
        /// The value in the question.
        mb: f64,
    },
}

/// Everything needed to judge a program, except the program and its language.
#[derive(Clone, PartialEq, Eq)]
pub struct Question {
    /// The limits of each test.
    pub limits: Limits,
    /// How outputs are compared.
    pub comparison: Comparison,
    /// The test cases in the order of judging. Never empty.
    pub tests: Vec<TestCase>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_may_be_fractions() {
        let limits = Limits::new(0.5, 0.25).unwrap();
        assert_eq!(limits.cpu_time, Duration::from_millis(500));
        assert_eq!(limits.wall_time(), Duration::from_secs(1));
        assert_eq!(limits.memory_bytes, 262_144);
    }

    #[test]
    fn invalid_limits_are_rejected() {
        for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY, 301.0, 1e300] {
            assert!(Limits::new(seconds, 64.0).is_err(), "{seconds}");
        }
        for mb in [0.0, -1.0, f64::NAN, f64::INFINITY, 1_048_577.0] {
            assert!(Limits::new(1.0, mb).is_err(), "{mb}");
        }
    }
}
