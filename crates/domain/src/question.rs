//! A question as it is judged: its limits, its comparison and its test cases.

use std::time::Duration;

use crate::Comparison;

/// The longest time limit that a question may ask for, so that no submission holds a slot for ever.
pub const MAX_TIME_LIMIT: Duration = Duration::from_mins(5);

/// Whether a learner may see a test case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Input and expected output may be shown.
    Public,
    /// Input and expected output never leave the judge.
    Hidden,
}

/// One input and the output that it must lead to.
///
/// No `Debug`: test data must not reach a log by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct TestCase {
    /// Who may see it.
    pub visibility: Visibility,
    /// What the program reads, as the question has it; `\r\n` becomes `\n` only on its way into the program.
    pub stdin: String,
    /// What it must write.
    pub expected_stdout: String,
}

/// The limits of each test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// CPU time of the whole process tree.
    pub cpu_time: Duration,
    /// Memory of the whole process tree, in bytes.
    pub memory_bytes: u64,
}

impl Limits {
    /// Limits in the units of a question: seconds and MiB, both possibly fractional.
    ///
    /// # Errors
    /// [`InvalidLimits`] where a number is not a positive one that can be kept.
    pub fn new(time_limit_seconds: f64, memory_limit_mb: f64) -> Result<Self, InvalidLimits> {
        let cpu_time = Duration::try_from_secs_f64(time_limit_seconds)
            .ok()
            .filter(|time| !time.is_zero() && *time <= MAX_TIME_LIMIT)
            .ok_or(InvalidLimits::Time { seconds: time_limit_seconds })?;
        // A TiB is more than any machine gives one run, and far from where f64 loses whole bytes.
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

    /// Wall time: twice the CPU time (contract, "Judging semantics").
    #[must_use]
    pub fn wall_time(&self) -> Duration {
        self.cpu_time * 2
    }
}

/// Why a question's limits cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum InvalidLimits {
    /// Not above 0, or above [`MAX_TIME_LIMIT`].
    #[error("a time limit of {seconds} s is not between 0 and {} s", MAX_TIME_LIMIT.as_secs())]
    Time {
        /// As the question has it.
        seconds: f64,
    },
    /// Not above 0, or above 1 TiB.
    #[error("a memory limit of {mb} MiB is not between 0 and 1048576 MiB")]
    Memory {
        /// As the question has it.
        mb: f64,
    },
}

/// All that is needed to judge a program, the program and its language aside.
#[derive(Clone, PartialEq, Eq)]
pub struct Question {
    /// The limits of each test.
    pub limits: Limits,
    /// How outputs are compared.
    pub comparison: Comparison,
    /// In the order in which they are judged; never empty.
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
    fn limits_that_make_no_sense_are_refused() {
        for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY, 301.0, 1e300] {
            assert!(Limits::new(seconds, 64.0).is_err(), "{seconds}");
        }
        for mb in [0.0, -1.0, f64::NAN, f64::INFINITY, 1_048_577.0] {
            assert!(Limits::new(1.0, mb).is_err(), "{mb}");
        }
    }
}
