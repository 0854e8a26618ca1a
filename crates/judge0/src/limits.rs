//! Judge0's limits, and whether a question fits them.

use std::time::Duration;

use gavel_domain::Question;
use serde_json::Value;

use crate::call::Judge0Error;
use crate::report::{number, whole};

/// The lowest memory limit that Judge0 accepts, in KB (recorded: "must be greater than or equal to 2048").
const MIN_MEMORY_KB: u64 = 2_048;
/// The lowest wall time limit that Judge0 accepts (recorded: "must be greater than or equal to 1").
const MIN_WALL_TIME: Duration = Duration::from_secs(1);
/// Judge0's default maximum of the memory limit, in KB, used if it does not report one.
const DEFAULT_MAX_MEMORY_KB: u64 = 512_000;
/// Judge0's default batch size, used if it does not report one.
const DEFAULT_MAX_BATCH: usize = 20;

/// Judge0's limits. `None` if it does not report one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judge0Limits {
    /// The highest CPU time limit of a test.
    pub max_cpu_time: Option<Duration>,
    /// The highest wall time limit of a test.
    pub max_wall_time: Option<Duration>,
    /// The highest memory limit of a test, in KB.
    pub max_memory_kb: Option<u64>,
    /// The highest stack limit of a test, in KB.
    pub max_stack_kb: Option<u64>,
    /// The highest limit of each file and each output stream of a test, in KB.
    pub max_file_kb: Option<u64>,
    /// The largest number of submissions in a batch, which is at most `max_queue`.
    pub max_batch: usize,
    /// The largest number of submissions in the queue.
    pub max_queue: Option<usize>,
    /// Whether finished submissions can be deleted.
    pub allows_delete: bool,
}

/// The limits that are sent with each test of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunSettings {
    /// CPU time limit.
    pub cpu_time: Duration,
    /// Wall time limit.
    pub wall_time: Duration,
    /// Memory limit, in KB.
    pub memory_kb: u64,
    /// Stack limit, in KB. `None` means Judge0's default.
    pub stack_kb: Option<u64>,
    /// Limit of each output stream, in KB.
    pub file_kb: u64,
}

/// Why a question does not fit Judge0's limits. The text is shown to the learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitMismatch {
    /// The CPU time limit is too high.
    #[error("the question asks for {} s of CPU time and Judge0 allows at most {} s", asked.as_secs_f64(), allowed.as_secs_f64())]
    CpuTime {
        /// The question's limit.
        asked: Duration,
        /// Judge0's limit.
        allowed: Duration,
    },
    /// The wall time limit is too high.
    #[error("the question asks for {} s of wall time and Judge0 allows at most {} s", asked.as_secs_f64(), allowed.as_secs_f64())]
    WallTime {
        /// The question's limit.
        asked: Duration,
        /// Judge0's limit.
        allowed: Duration,
    },
    /// The wall time limit is too low.
    #[error("the question asks for {} s of wall time and Judge0 allows at least {} s", asked.as_secs_f64(), allowed.as_secs_f64())]
    WallTimeTooLow {
        /// The question's limit.
        asked: Duration,
        /// Judge0's limit.
        allowed: Duration,
    },
    /// The memory limit is too high.
    #[error("the question asks for {asked_kb} KB of memory and Judge0 allows at most {allowed_kb} KB")]
    Memory {
        /// The question's limit.
        asked_kb: u64,
        /// Judge0's limit.
        allowed_kb: u64,
    },
    /// The memory limit is too low.
    #[error("the question asks for {asked_kb} KB of memory and Judge0 allows at least {allowed_kb} KB")]
    MemoryTooLow {
        /// The question's limit.
        asked_kb: u64,
        /// Judge0's limit.
        allowed_kb: u64,
    },
    /// The expected output exceeds the output limit.
    #[error("the question expects {asked_bytes} bytes of output and Judge0 allows less than {allowed_bytes}")]
    Output {
        /// The question's limit.
        asked_bytes: u64,
        /// Judge0's limit.
        allowed_bytes: u64,
    },
}

impl Judge0Limits {
    /// Parses the answer of `/config_info`. Returns `None` if it is not a JSON object. An object without limits is valid:
    /// a gateway in front of Judge0 may hide them. They are unknown then, and Judge0 itself rejects what exceeds them.
    pub(crate) fn read(answer: &Value) -> Option<Result<Self, Judge0Error>> {
        let fields = answer.as_object()?;
        if fields.get("enable_batched_submissions") == Some(&Value::Bool(false)) {
            return Some(Err(Judge0Error::NoBatches));
        }
        let seconds =
            |name: &str| number(fields.get(name)?).and_then(|it| Duration::try_from_secs_f64(it).ok());
        let kb = |name: &str| whole(fields.get(name)?);
        let count = |name: &str| kb(name).and_then(|count| usize::try_from(count).ok());
        let max_batch = count("max_submission_batch_size").unwrap_or(DEFAULT_MAX_BATCH);
        let max_queue = count("max_queue_size");
        Some(Ok(Self {
            max_cpu_time: seconds("max_cpu_time_limit"),
            max_wall_time: seconds("max_wall_time_limit"),
            max_memory_kb: kb("max_memory_limit"),
            max_stack_kb: kb("max_stack_limit"),
            max_file_kb: kb("max_max_file_size"),
            // Judge0 rejects a batch as a whole if its queue has no room for all of it.
            max_batch: max_batch.min(max_queue.unwrap_or(max_batch)).max(1),
            max_queue,
            allows_delete: fields.get("enable_submission_delete") == Some(&Value::Bool(true)),
        }))
    }

    /// Whether Judge0 reported none of its limits.
    pub(crate) fn are_unknown(&self) -> bool {
        self.max_cpu_time.is_none() && self.max_wall_time.is_none() && self.max_memory_kb.is_none()
    }

    /// Returns the limits to send with a question's tests. The memory limit is the question's plus
    /// `runtime_memory_bytes`, which the language's runtime itself needs, but at most what Judge0 allows, or allows by
    /// default if it does not say. The output
    /// limit is `max_output_bytes`, or twice the expected output if that is more, but at most what Judge0 allows.
    ///
    /// # Errors
    /// Returns an error if Judge0 does not allow the question's limits. Another attempt would fail in the same way.
    pub fn fit(
        &self,
        question: &Question,
        runtime_memory_bytes: u64,
        max_output_bytes: u64,
    ) -> Result<RunSettings, LimitMismatch> {
        let (cpu_time, wall_time) = (question.limits.cpu_time, question.limits.wall_time());
        let memory_kb = question.limits.memory_bytes.div_ceil(1_024);
        if let Some(allowed) = self.max_cpu_time.filter(|allowed| cpu_time > *allowed) {
            return Err(LimitMismatch::CpuTime { asked: cpu_time, allowed });
        }
        if let Some(allowed) = self.max_wall_time.filter(|allowed| wall_time > *allowed) {
            return Err(LimitMismatch::WallTime { asked: wall_time, allowed });
        }
        if wall_time < MIN_WALL_TIME {
            return Err(LimitMismatch::WallTimeTooLow { asked: wall_time, allowed: MIN_WALL_TIME });
        }
        if let Some(allowed_kb) = self.max_memory_kb.filter(|allowed| memory_kb > *allowed) {
            return Err(LimitMismatch::Memory { asked_kb: memory_kb, allowed_kb });
        }
        if memory_kb < MIN_MEMORY_KB {
            return Err(LimitMismatch::MemoryTooLow { asked_kb: memory_kb, allowed_kb: MIN_MEMORY_KB });
        }
        let file_kb = self.file_kb(question, max_output_bytes)?;
        let granted_kb = memory_kb.saturating_add(runtime_memory_bytes.div_ceil(1_024));
        let max_memory_kb = self.max_memory_kb.unwrap_or(DEFAULT_MAX_MEMORY_KB.max(memory_kb));
        let memory_kb = granted_kb.min(max_memory_kb);
        let stack_kb = self.max_stack_kb.map(|allowed| allowed.min(memory_kb));
        Ok(RunSettings { cpu_time, wall_time, memory_kb, stack_kb, file_kb })
    }

    fn file_kb(&self, question: &Question, max_output_bytes: u64) -> Result<u64, LimitMismatch> {
        let longest = question.tests.iter().map(|test| test.expected_stdout.len()).max().unwrap_or(0);
        let longest = u64::try_from(longest).unwrap_or(u64::MAX);
        let wanted = max_output_bytes.max(longest.saturating_mul(2)).div_ceil(1_024).max(1);
        let Some(allowed_kb) = self.max_file_kb else { return Ok(wanted) };
        let allowed_bytes = allowed_kb.saturating_mul(1_024);
        // Output that reaches the limit cannot be distinguished from output that was truncated.
        if longest >= allowed_bytes {
            return Err(LimitMismatch::Output { asked_bytes: longest, allowed_bytes });
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

    /// The limits of the recorded configuration.
    fn limits() -> Judge0Limits {
        Judge0Limits {
            max_cpu_time: Some(Duration::from_secs(15)),
            max_wall_time: Some(Duration::from_secs(20)),
            max_memory_kb: Some(512_000),
            max_stack_kb: Some(128_000),
            max_file_kb: Some(4_096),
            max_batch: 20,
            max_queue: Some(100),
            allows_delete: false,
        }
    }

    #[test]
    fn settings_are_in_judge0s_units() {
        let settings = limits().fit(&question(2.5, 256.0, 3), 0, 1_000_000).unwrap();
        assert_eq!(settings.memory_kb, 262_144);
        assert_eq!((settings.cpu_time.as_secs_f64(), settings.wall_time.as_secs_f64()), (2.5, 5.0));
        assert_eq!((settings.stack_kb, settings.file_kb), (Some(128_000), 977));
        let little = limits().fit(&question(0.5, 2.0, 3), 0, 8 << 20).unwrap();
        assert_eq!((little.memory_kb, little.stack_kb, little.file_kb), (2_048, Some(2_048), 4_096));
    }

    #[test]
    fn misfit_names_both_limits() {
        let rows = [
            (question(16.0, 64.0, 1), "16 s of CPU time and Judge0 allows at most 15 s"),
            (question(12.0, 64.0, 1), "24 s of wall time and Judge0 allows at most 20 s"),
            (question(0.25, 64.0, 1), "0.5 s of wall time and Judge0 allows at least 1 s"),
            (question(1.0, 600.0, 1), "614400 KB of memory and Judge0 allows at most 512000 KB"),
            (question(1.0, 1.5, 1), "1536 KB of memory and Judge0 allows at least 2048 KB"),
            (question(1.0, 64.0, 4_194_304), "4194304 bytes of output and Judge0 allows less than 4194304"),
        ];
        for (question, text) in rows {
            let misfit = limits().fit(&question, 0, 1_000).unwrap_err().to_string();
            assert!(misfit.ends_with(text), "{misfit}");
        }
    }

    #[test]
    fn runtime_memory_is_added_up_to_the_maximum() {
        const MIB: u64 = 1 << 20;
        let memory_kb = |mb, runtime| limits().fit(&question(1.0, mb, 3), runtime, 1_000).unwrap().memory_kb;
        assert_eq!(memory_kb(256.0, 160 * MIB), (256 + 160) * 1_024);
        // A question that fits by itself stays possible.
        assert_eq!(memory_kb(500.0, 160 * MIB), 512_000);
        let unknown = Judge0Limits { max_memory_kb: None, ..limits() };
        for (mb, granted_kb) in [(256.0, (256 + 160) * 1_024), (400.0, 512_000), (600.0, 600 * 1_024)] {
            let settings = unknown.fit(&question(1.0, mb, 3), 160 * MIB, 1_000).unwrap();
            assert_eq!(settings.memory_kb, granted_kb);
        }
    }

    #[test]
    fn batch_fits_into_the_queue() {
        let max_batch = |config: serde_json::Value| Judge0Limits::read(&config).unwrap().unwrap().max_batch;
        assert_eq!(max_batch(json!({ "max_submission_batch_size": 20, "max_queue_size": 4 })), 4);
        assert_eq!(max_batch(json!({ "max_submission_batch_size": 20, "max_queue_size": 100 })), 20);
        assert_eq!(max_batch(json!({ "max_queue_size": 4 })), 4);
        assert_eq!(max_batch(json!({ "max_submission_batch_size": 30 })), 30);
        assert_eq!(max_batch(json!({ "max_queue_size": 0 })), 1);
    }

    #[test]
    fn limits_may_be_strings_or_missing_and_batches_must_be_enabled() {
        let read = Judge0Limits::read(&json!({ "max_cpu_time_limit": "15.0", "max_memory_limit": "512000" }));
        let read = read.unwrap().unwrap();
        assert_eq!((read.max_cpu_time, read.max_memory_kb), (Some(Duration::from_secs(15)), Some(512_000)));
        assert_eq!((read.max_wall_time, read.max_file_kb, read.max_batch), (None, None, 20));
        assert!(!read.are_unknown() && !read.allows_delete);
        for hidden in [json!({}), json!({ "maintenance_mode": false })] {
            assert!(Judge0Limits::read(&hidden).unwrap().unwrap().are_unknown(), "{hidden}");
        }
        assert!(Judge0Limits::read(&json!(["x"])).is_none());
        let off = json!({ "max_cpu_time_limit": 1, "enable_batched_submissions": false });
        assert!(matches!(Judge0Limits::read(&off), Some(Err(Judge0Error::NoBatches))));
    }
}
