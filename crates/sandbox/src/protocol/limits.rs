//! The limits of a run: all of them, and those that the init enforces.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What one run of a program may use. Unless a field says otherwise, its processes count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// CPU time, user and system, of all processes and threads. Default 2 s.
    pub cpu_time: Duration,
    /// Time from start to end, without the time in which the run is runnable and waits for a CPU. Default 4 s.
    pub wall_time: Duration,
    /// Time in which the run is runnable and waits for a CPU. A run that waits longer is starved by other work on the
    /// machine, which is a fault and not an outcome. Default [`Self::max_waiting_for`] the default wall time.
    pub max_waiting: Duration,
    /// Memory, including the files that the run writes. Default 256 MiB. A language's runtime may be granted more
    /// (`extra_memory_mib` in `languages.toml`).
    pub memory_bytes: u64,
    /// Bytes on standard output. Default 1 MiB.
    pub stdout_bytes: u64,
    /// Bytes on standard error. Default 256 KiB.
    pub stderr_bytes: u64,
    /// Processes and threads at one time. Default 64.
    pub processes: u32,
    /// The size of one file, in bytes. Default 64 MiB.
    pub file_bytes: u64,
}

/// The limits that the init enforces. The judge itself enforces those on output.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ResourceLimits {
    pub(crate) cpu_ns: u64,
    pub(crate) wall_ns: u64,
    pub(crate) waiting_ns: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) processes: u32,
    pub(crate) file_bytes: u64,
}

impl ResourceLimits {
    /// The limit of a stack's address space, in bytes: more than the memory limit, so that a stack that is used ends at
    /// the memory limit. The C library gives each thread as much address space, and the kernel may refuse a thread more
    /// than the machine's memory.
    pub(crate) fn stack_bytes(&self) -> u64 {
        const BEYOND_MEMORY: u64 = 64 << 20;
        self.memory_bytes.saturating_add(BEYOND_MEMORY)
    }
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            cpu_time: Duration::from_secs(2),
            wall_time: Duration::from_secs(4),
            max_waiting: Self::max_waiting_for(Duration::from_secs(4)),
            memory_bytes: 256 << 20,
            stdout_bytes: 1 << 20,
            stderr_bytes: 256 << 10,
            processes: 64,
            file_bytes: 64 << 20,
        }
    }
}

impl RunLimits {
    /// The limits of one compilation: 30 s of CPU time, 60 s of wall time, 512 MiB, 64 KiB of output.
    pub(crate) const COMPILATION: Self = Self {
        cpu_time: Duration::from_secs(30),
        wall_time: Duration::from_mins(1),
        max_waiting: Self::max_waiting_for(Duration::from_mins(1)),
        memory_bytes: 512 << 20,
        stdout_bytes: 64 << 10,
        stderr_bytes: 0,
        processes: 64,
        file_bytes: 64 << 20,
    };
    /// The limits for asking a toolchain for its version.
    pub(crate) const VERSION: Self = Self { stdout_bytes: 16 << 10, ..Self::COMPILATION };

    /// How long a run with this wall time limit may wait for a CPU before it is starved: twenty times the limit, so that
    /// it finishes next to ten busy processes on its CPU, each of which has four times its weight, and a minute, so that
    /// a short run outlasts a burst.
    #[must_use]
    pub const fn max_waiting_for(wall_time: Duration) -> Duration {
        wall_time.saturating_mul(20).saturating_add(Duration::from_mins(1))
    }

    /// The part of the limits that the init enforces.
    pub(crate) fn resources(&self) -> ResourceLimits {
        ResourceLimits {
            cpu_ns: nanoseconds(self.cpu_time),
            wall_ns: nanoseconds(self.wall_time),
            waiting_ns: nanoseconds(self.max_waiting),
            memory_bytes: self.memory_bytes,
            processes: self.processes,
            file_bytes: self.file_bytes,
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
