//! Judge0's own limits, and a question's beside them.

use std::time::Duration;

use gavel_domain::Question;
use serde_json::Value;

use crate::call::CallError;
use crate::report::{number, whole};

/// The least memory that Judge0 takes, in KB (recorded: "must be greater than or equal to 2048").
const MIN_MEMORY_KB: u64 = 2_048;
/// The least wall time that Judge0 takes (recorded: "must be greater than or equal to 1").
const MIN_WALL_TIME: Duration = Duration::from_secs(1);
/// The most submissions of a batch, where Judge0 does not say (its default).
const DEFAULT_BATCH: usize = 20;

/// Judge0's limits; nothing where it does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most CPU time of a test.
    pub max_cpu_time: Option<Duration>,
    /// The most wall time of a test.
    pub max_wall_time: Option<Duration>,
    /// The most memory of a test, in KB.
    pub max_memory_kb: Option<u64>,
    /// The largest stack of a test, in KB.
    pub max_stack_kb: Option<u64>,
    /// The largest file of a test, the two streams included, in KB.
    pub max_file_kb: Option<u64>,
    /// The most submissions of a batch.
    pub max_batch: usize,
}

/// What each test of a question is run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunSettings {
    /// CPU time.
    pub cpu_time: Duration,
    /// Wall time.
    pub wall_time: Duration,
    /// Memory, in KB.
    pub memory_kb: u64,
    /// Stack, in KB; nothing for Judge0's default.
    pub stack_kb: Option<u64>,
    /// What each stream may have, in KB.
    pub file_kb: u64,
}

/// A question that Judge0 cannot judge. The text names what is asked for and what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// More CPU time than Judge0 allows.
    #[error("the question asks for {} s of CPU time and Judge0 allows at most {} s", asked.as_secs_f64(), allowed.as_secs_f64())]
    CpuTime {
        /// By the question.
        asked: Duration,
        /// By Judge0.
        allowed: Duration,
    },
    /// More wall time than Judge0 allows.
    #[error("the question asks for {} s of wall time and Judge0 allows at most {} s", asked.as_secs_f64(), allowed.as_secs_f64())]
    WallTime {
        /// By the question.
        asked: Duration,
        /// By Judge0.
        allowed: Duration,
    },
    /// Less wall time than Judge0 can count.
    #[error("the question asks for {} s of wall time and Judge0 allows at least {} s", asked.as_secs_f64(), allowed.as_secs_f64())]
    LittleWallTime {
        /// By the question.
        asked: Duration,
        /// By Judge0.
        allowed: Duration,
    },
    /// More memory than Judge0 allows.
    #[error("the question asks for {asked_kb} KB of memory and Judge0 allows at most {allowed_kb} KB")]
    Memory {
        /// By the question.
        asked_kb: u64,
        /// By Judge0.
        allowed_kb: u64,
    },
    /// Less memory than Judge0 takes.
    #[error("the question asks for {asked_kb} KB of memory and Judge0 allows at least {allowed_kb} KB")]
    LittleMemory {
        /// By the question.
        asked_kb: u64,
        /// By Judge0.
        allowed_kb: u64,
    },
    /// A right answer does not fit.
    #[error("the question expects {asked_bytes} bytes of output and Judge0 allows less than {allowed_bytes}")]
    Output {
        /// By the question.
        asked_bytes: u64,
        /// By Judge0.
        allowed_bytes: u64,
    },
}

impl Limits {
    /// Reads the answer of `/config_info`; nothing where it is another.
    pub(crate) fn read(answer: &Value) -> Option<Result<Self, CallError>> {
        let fields = answer.as_object()?;
        // Any configuration of Judge0 has this; a sign-in or a gateway has not.
        fields.get("max_cpu_time_limit")?;
        if fields.get("enable_batched_submissions") == Some(&Value::Bool(false)) {
            return Some(Err(CallError::NoBatches));
        }
        let seconds =
            |name: &str| number(fields.get(name)?).and_then(|it| Duration::try_from_secs_f64(it).ok());
        let kb = |name: &str| whole(fields.get(name)?);
        let max_batch = kb("max_submission_batch_size").and_then(|size| usize::try_from(size).ok());
        Some(Ok(Self {
            max_cpu_time: seconds("max_cpu_time_limit"),
            max_wall_time: seconds("max_wall_time_limit"),
            max_memory_kb: kb("max_memory_limit"),
            max_stack_kb: kb("max_stack_limit"),
            max_file_kb: kb("max_max_file_size"),
            max_batch: max_batch.unwrap_or(DEFAULT_BATCH).max(1),
        }))
    }

    /// What a question's tests are run with; `max_output_bytes` is what a stream may have, or twice the expected
    /// output if that is more, as far as Judge0 allows.
    ///
    /// # Errors
    /// [`Misfit`], which no try will change.
    pub fn fit(&self, question: &Question, max_output_bytes: u64) -> Result<RunSettings, Misfit> {
        let (cpu_time, wall_time) = (question.limits.cpu_time, question.limits.wall_time());
        let memory_kb = question.limits.memory_bytes.div_ceil(1_024);
        if let Some(allowed) = self.max_cpu_time.filter(|allowed| cpu_time > *allowed) {
            return Err(Misfit::CpuTime { asked: cpu_time, allowed });
        }
        if let Some(allowed) = self.max_wall_time.filter(|allowed| wall_time > *allowed) {
            return Err(Misfit::WallTime { asked: wall_time, allowed });
        }
        if wall_time < MIN_WALL_TIME {
            return Err(Misfit::LittleWallTime { asked: wall_time, allowed: MIN_WALL_TIME });
        }
        if let Some(allowed_kb) = self.max_memory_kb.filter(|allowed| memory_kb > *allowed) {
            return Err(Misfit::Memory { asked_kb: memory_kb, allowed_kb });
        }
        if memory_kb < MIN_MEMORY_KB {
            return Err(Misfit::LittleMemory { asked_kb: memory_kb, allowed_kb: MIN_MEMORY_KB });
        }
        let file_kb = self.file_kb(question, max_output_bytes)?;
        let stack_kb = self.max_stack_kb.map(|allowed| allowed.min(memory_kb));
        Ok(RunSettings { cpu_time, wall_time, memory_kb, stack_kb, file_kb })
    }

    fn file_kb(&self, question: &Question, max_output_bytes: u64) -> Result<u64, Misfit> {
        let longest = question.tests.iter().map(|test| test.expected_stdout.len()).max().unwrap_or(0);
        let longest = u64::try_from(longest).unwrap_or(u64::MAX);
        let wanted = max_output_bytes.max(longest.saturating_mul(2)).div_ceil(1_024).max(1);
        let Some(allowed_kb) = self.max_file_kb else { return Ok(wanted) };
        let allowed_bytes = allowed_kb.saturating_mul(1_024);
        // What has as many bytes as are allowed cannot be told from what was cut.
        if longest >= allowed_bytes {
            return Err(Misfit::Output { asked_bytes: longest, allowed_bytes });
        }
        Ok(wanted.min(allowed_kb))
    }
}

#[cfg(test)]
mod tests {
    use gavel_domain::{Comparison, TestCase, Visibility};
    use serde_json::json;

    use super::*;

    fn question(seconds: f64, mb: f64, expected_bytes: usize) -> Question {
        let test = TestCase {
            visibility: Visibility::Hidden,
            stdin: String::new(),
            expected_stdout: "x".repeat(expected_bytes),
        };
        Question {
            limits: gavel_domain::Limits::new(seconds, mb).unwrap(),
            comparison: Comparison { trim_outputs: true, normalize_whitespace: false, case_sensitive: true },
            tests: vec![test],
        }
    }

    /// The figures of the recorded configuration.
    fn limits() -> Limits {
        Limits {
            max_cpu_time: Some(Duration::from_secs(15)),
            max_wall_time: Some(Duration::from_secs(20)),
            max_memory_kb: Some(512_000),
            max_stack_kb: Some(128_000),
            max_file_kb: Some(4_096),
            max_batch: 20,
        }
    }

    #[test]
    fn what_fits_is_sent_in_judge0s_units() {
        let settings = limits().fit(&question(2.5, 256.0, 3), 1_000_000).unwrap();
        assert_eq!(settings.memory_kb, 262_144);
        assert_eq!((settings.cpu_time.as_secs_f64(), settings.wall_time.as_secs_f64()), (2.5, 5.0));
        assert_eq!((settings.stack_kb, settings.file_kb), (Some(128_000), 977));
        let little = limits().fit(&question(0.5, 2.0, 3), 8 << 20).unwrap();
        assert_eq!((little.memory_kb, little.stack_kb, little.file_kb), (2_048, Some(2_048), 4_096));
    }

    #[test]
    fn what_does_not_fit_names_both_figures() {
        let rows = [
            (question(16.0, 64.0, 1), "16 s of CPU time and Judge0 allows at most 15 s"),
            (question(12.0, 64.0, 1), "24 s of wall time and Judge0 allows at most 20 s"),
            (question(0.25, 64.0, 1), "0.5 s of wall time and Judge0 allows at least 1 s"),
            (question(1.0, 600.0, 1), "614400 KB of memory and Judge0 allows at most 512000 KB"),
            (question(1.0, 1.5, 1), "1536 KB of memory and Judge0 allows at least 2048 KB"),
            (question(1.0, 64.0, 4_194_304), "4194304 bytes of output and Judge0 allows less than 4194304"),
        ];
        for (question, text) in rows {
            let misfit = limits().fit(&question, 1_000).unwrap_err().to_string();
            assert!(misfit.ends_with(text), "{misfit}");
        }
    }

    #[test]
    fn figures_may_be_strings_or_missing_and_batches_must_be_on() {
        let read = Limits::read(&json!({ "max_cpu_time_limit": "15.0", "max_memory_limit": "512000" }));
        let read = read.unwrap().unwrap();
        assert_eq!((read.max_cpu_time, read.max_memory_kb), (Some(Duration::from_secs(15)), Some(512_000)));
        assert_eq!((read.max_wall_time, read.max_file_kb, read.max_batch), (None, None, 20));
        assert!(Limits::read(&json!({ "error": "x" })).is_none());
        let off = json!({ "max_cpu_time_limit": 1, "enable_batched_submissions": false });
        assert!(matches!(Limits::read(&off), Some(Err(CallError::NoBatches))));
    }
}
