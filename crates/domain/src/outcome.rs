//! What a process did, before anybody says what it means.

use std::time::Duration;

/// The two clocks that a time limit can be counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// CPU time of the whole process tree, all threads.
    Cpu,
    /// Time on the wall, monotonic.
    Wall,
}

/// The two streams whose size is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a program came to its end. The engines tell these apart exactly; when several limits were met, the
/// first one met is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It exited by itself, with this code.
    Exited {
        /// The exit code, 0 to 255.
        code: i32,
    },
    /// A signal that was not ours ended it.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// It used more time than it had.
    TimeLimit {
        /// Which clock ran out.
        clock: Clock,
    },
    /// Its process tree wanted more memory than it had.
    MemoryLimit,
    /// It wrote more than it may.
    OutputLimit {
        /// The stream that was flooded.
        stream: OutputStream,
    },
}

impl Outcome {
    /// Whether the program ended by itself with exit code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Exited { code: 0 }
    }
}

/// What a run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time, user and system, of all processes and threads of the run.
    pub cpu_time: Duration,
    /// Time from the start of the program to its end.
    pub wall_time: Duration,
    /// Peak memory of the whole process tree, in bytes.
    pub memory_bytes: u64,
}

/// One run of a program on one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// How it ended.
    pub outcome: Outcome,
    /// So many bytes of what it was expected to write came first; they are kept as this number, not in `stdout`.
    pub matched_bytes: usize,
    /// What else it wrote to standard output, at most as many bytes as the limit. Any bytes, not only UTF-8.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, at most as many bytes as the limit. Any bytes, not only UTF-8.
    pub stderr: Vec<u8>,
    /// What it cost.
    pub usage: Usage,
}
