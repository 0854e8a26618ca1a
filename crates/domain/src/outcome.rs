//! The execution of a program on one input, without its meaning for the learner.

use std::time::Duration;

/// The clock that a time limit applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The CPU time of the whole process tree, all threads included.
    Cpu,
    /// Wall time, measured by a monotonic clock.
    Wall,
}

/// An output stream whose size is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a program ended. The engines distinguish these cases exactly. If a program exceeds several limits, the first one
/// counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The program exited by itself.
    Exited {
        /// The exit code, 0 to 255.
        code: i32,
    },
    /// A signal ended the program, other than one that the engine sent to enforce a limit.
    Signaled {
        /// The number of the signal.
        signal: i32,
    },
    /// The program exceeded its time limit.
    TimeLimit {
        /// The clock that reached the limit.
        clock: Clock,
    },
    /// The process tree exceeded its memory limit.
    MemoryLimit,
    /// The program exceeded its output limit.
    OutputLimit {
        /// The stream that exceeded the limit.
        stream: OutputStream,
    },
}

impl Outcome {
    /// Whether the program exited by itself with code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Exited { code: 0 }
    }
}

/// The resources that an execution used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The CPU time, user and system, of all processes and threads.
    pub cpu_time: Duration,
    /// The wall time from the start of the program to its end. The sandbox leaves out the time in which the program was
    /// runnable and waited for a CPU.
    pub wall_time: Duration,
    /// The peak memory of the whole process tree, in bytes.
    pub memory_bytes: u64,
}

/// One execution of a program on one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// How the program ended.
    pub outcome: Outcome,
    /// The number of leading bytes of standard output that match the expected output. `stdout` does not contain them.
    pub matched_bytes: usize,
    /// Standard output after the matched bytes, up to the output limit. Not necessarily UTF-8.
    pub stdout: Vec<u8>,
    /// Standard error, up to the output limit. Not necessarily UTF-8.
    pub stderr: Vec<u8>,
    /// The resources that it used.
    pub usage: Usage,
}
