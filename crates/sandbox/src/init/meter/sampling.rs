//! Measuring without a cgroup: by sampling, every few milliseconds, what all processes of the slot use.
//!
//! This is the lesser tier, used only if it is named. A run can exceed its memory limit by what it allocates between
//! two samples. Memory that is in no page table is seen only if it belongs to a file of the box or to a System V object:
//! memory files are refused, and the content of pipes and sockets and shared memory that was unmapped page by page are
//! not counted.
//! The CPU time of children that their parent discards without reaping is lost when they exit, and looks as if the run
//! had waited for its CPU; the limit on waiting bounds it. The largest resident set of each process comes from the
//! kernel, so that a process that used too much memory is found however it ends.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, read};

use super::reading::Reading;
use crate::init::reap::ExitedChildren;
use crate::init::{cleanup, ipc, processes};
use crate::protocol::ids::IdMapping;
use crate::protocol::limits::ResourceLimits;

/// The longest time between two samples.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_millis(5);
/// The memory of the smallest program, in bytes, as far as sampling can measure it.
const MIN_USED_BYTES: u64 = 256 << 10;

/// What a process, or all of them, have in memory, in bytes.
#[derive(Clone, Copy, Default)]
struct Memory {
    /// Private pages.
    anonymous: u64,
    /// Pages of files in memory, System V segments and shared maps.
    shared: u64,
}

impl Memory {
    fn plus(self, other: Self) -> Self {
        Self {
            anonymous: self.anonymous.saturating_add(other.anonymous),
            shared: self.shared.saturating_add(other.shared),
        }
    }

    /// All of it, with objects and System V segments of these sizes. Which part of the shared pages belongs to segments
    /// is not known: the larger of both counts.
    fn total(self, objects: u64, segments: u64) -> u64 {
        objects.saturating_add(self.anonymous).saturating_add(self.shared.max(segments))
    }
}

/// Samples the slot's processes and files.
pub(in crate::init) struct SamplingMeter {
    proc: OwnedFd,
    box_dir: OwnedFd,
    /// The length of a tick of the kernel's clock.
    tick_ns: u64,
    limit_bytes: u64,
    /// The limit of the run on processes.
    processes: u32,
    /// The memory that the empty box uses.
    empty_box_bytes: u64,
    peak_bytes: u64,
    /// The most CPU time seen, in nanoseconds: the sum may fall when processes exit.
    cpu_ns: u64,
}

impl SamplingMeter {
    pub(super) fn new(proc: impl AsFd, box_dir: impl AsFd) -> Result<Self, Errno> {
        let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            proc: openat(proc, ".", directory, Mode::empty())?,
            empty_box_bytes: cleanup::used_bytes(&box_dir)?,
            box_dir: box_dir.as_fd().try_clone_to_owned().map_err(|_| Errno::MFILE)?,
            tick_ns: 1_000_000_000 / rustix::param::clock_ticks_per_second(),
            limit_bytes: 0,
            processes: 0,
            peak_bytes: 0,
            cpu_ns: 0,
        })
    }

    /// Sets the limits of the next run and resets the values of the last one.
    pub(super) fn start(&mut self, limits: &ResourceLimits) {
        (self.limit_bytes, self.processes) = (limits.memory_bytes, limits.processes);
        (self.peak_bytes, self.cpu_ns) = (0, 0);
    }

    pub(super) fn check(&mut self, exited: &ExitedChildren) -> Result<(u64, bool), Errno> {
        let (objects, segments) = (self.object_bytes()?, ipc::shared_memory_bytes());
        let pids = processes::pids(&self.proc)?;
        // Before the clocks are read: a child that is reaped meanwhile must not count twice.
        let reaped = pids.iter().filter_map(|pid| processes::reaped_cpu_ticks(&self.proc, *pid));
        let mut cpu_ns = reaped.fold(exited.cpu_ns, |sum, ticks| sum.saturating_add(ticks * self.tick_ns));
        for pid in &pids {
            cpu_ns = cpu_ns.saturating_add(cpu_time_ns(*pid).unwrap_or(0));
        }
        let memory = |file, names| {
            let each = pids.iter().filter_map(|pid| self.memory(*pid, file, names));
            each.fold(Memory::default(), Memory::plus).total(objects, segments)
        };
        let mut bytes = memory("status", ["RssAnon:", "RssShmem:"]);
        // Pages that processes share were counted once for each process. Splitting them takes the kernel longer.
        if bytes > self.limit_bytes && pids.len() > 1 {
            bytes = memory("smaps_rollup", ["Pss_Anon:", "Pss_Shmem:"]);
        }
        self.peak_bytes = self.peak_bytes.max(bytes);
        self.cpu_ns = self.cpu_ns.max(cpu_ns);
        Ok((self.cpu_ns, bytes > self.limit_bytes))
    }

    /// Reads what is left when no process is left: files and System V objects outlive the processes that made them.
    pub(super) fn finish(&self, exited: &ExitedChildren, largest_bytes: u64) -> Result<Reading, Errno> {
        let left = Memory::default().total(self.object_bytes()?, ipc::shared_memory_bytes());
        let peak_bytes = self.peak_bytes.max(left);
        Ok(Reading {
            cpu_ns: self.cpu_ns.max(exited.cpu_ns),
            memory_bytes: peak_bytes.max(MIN_USED_BYTES),
            out_of_memory: peak_bytes.max(largest_bytes) > self.limit_bytes,
        })
    }

    /// The memory of the run's files, semaphores and message queues, in bytes. No page table has any of it.
    fn object_bytes(&self) -> Result<u64, Errno> {
        let files = cleanup::used_bytes(&self.box_dir)?.saturating_sub(self.empty_box_bytes);
        Ok(files.saturating_add(ipc::semaphore_and_queue_bytes(self.processes)))
    }

    /// The private and the shared memory of a process by two lines of one of its files, or `None` if the file cannot be
    /// read.
    fn memory(&self, pid: i32, file: &str, [anonymous, shared]: [&str; 2]) -> Option<Memory> {
        let file =
            openat(&self.proc, format!("{pid}/{file}"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let mut buffer = [0_u8; 4096];
        let length = read(file.ok()?, &mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]);
        let bytes = |name| kib(&text, name).saturating_mul(1024);
        Some(Memory { anonymous: bytes(anonymous), shared: bytes(shared) })
    }
}

/// The limits of each process: the processes of its user, and, in case a sample comes too late, its writable memory.
/// That is twice the limit, so that the usage then shows that it was too much, and the stacks of its threads, which it
/// maps but does not fill.
pub(super) fn process_limits(
    limits: &ResourceLimits,
    mapping: IdMapping,
) -> Vec<(libc::__rlimit_resource_t, u64)> {
    // If the init has the same user id, it counts as one of them.
    let processes = u64::from(limits.processes).saturating_add(u64::from(mapping == IdMapping::JudgeOnly));
    let stacks = limits.stack_bytes().saturating_mul(processes);
    let data = limits.memory_bytes.saturating_mul(2).saturating_add(stacks);
    vec![(libc::RLIMIT_NPROC, processes), (libc::RLIMIT_DATA, data)]
}

/// The number after a name in lines such as `RssAnon:    12 kB`; 0 if there is none.
fn kib(text: &str, name: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(name));
    rest.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// CPU time of all threads of a process, including exited ones, in nanoseconds, or `None` if the process is gone.
#[expect(unsafe_code, reason = "another process's clock has no safe form")]
fn cpu_time_ns(pid: i32) -> Option<u64> {
    /// `CPUCLOCK_SCHED` of the whole process (`linux/posix-timers.h`).
    const SCHED: i32 = 2;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is on this stack and outlives the call.
    let result = unsafe { libc::clock_gettime((!pid << 3) | SCHED, &raw mut time) };
    if result != 0 {
        return None;
    }
    let (seconds, rest) = (u64::try_from(time.tv_sec).ok()?, u64::try_from(time.tv_nsec).ok()?);
    Some(seconds.saturating_mul(1_000_000_000).saturating_add(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kib_reads_the_line_of_its_name() {
        let text = "Name:\tx\nRssAnon:\t     120 kB\nRssShmem:\t       8 kB\n";
        assert_eq!((kib(text, "RssAnon:"), kib(text, "RssShmem:"), kib(text, "RssFile:")), (120, 8, 0));
    }

    #[test]
    fn segments_count_once_whether_they_are_mapped_or_not() {
        let memory = Memory { anonymous: 5, shared: 7 };
        assert_eq!((memory.total(2, 0), memory.total(2, 7), memory.total(2, 30)), (14, 14, 37));
    }

    #[test]
    fn cpu_time_of_a_missing_process_is_none() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(cpu_time_ns(own).unwrap() > 0);
        // One more than any process can have (`PID_MAX_LIMIT`).
        assert_eq!(cpu_time_ns(1 << 22), None);
    }
}
