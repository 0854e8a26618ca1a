//! Measuring without a cgroup: by sampling, every few milliseconds, what all processes of the slot use.
//!
//! This is the lesser tier, used only if it is named. A run can exceed its memory limit by what it allocates between
//! two samples, and memory that is in no address space (the content of a pipe, an unmapped memory file) is not seen.
//! The CPU time of children that their parent discards without reaping is lost when they exit, and looks as if the run
//! had waited for its CPU; the limit on waiting bounds it. The largest resident set of each process comes from the
//! kernel, so that a process that used too much memory is found however it ends.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, read};

use super::reading::Reading;
use crate::init::reap::ExitedChildren;
use crate::init::{cleanup, processes};
use crate::protocol::ids::IdMapping;
use crate::protocol::limits::ResourceLimits;

/// The longest time between two samples.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_millis(5);
/// The memory of the smallest program, in bytes, as far as sampling can measure it.
const MIN_USED_BYTES: u64 = 256 << 10;

/// Samples the slot's processes and files.
pub(in crate::init) struct SamplingMeter {
    proc: OwnedFd,
    box_dir: OwnedFd,
    /// The length of a tick of the kernel's clock.
    tick_ns: u64,
    limit_bytes: u64,
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
            peak_bytes: 0,
            cpu_ns: 0,
        })
    }

    /// Sets the memory limit of the next run and resets the values of the last one.
    pub(super) fn start(&mut self, memory_bytes: u64) {
        (self.limit_bytes, self.peak_bytes, self.cpu_ns) = (memory_bytes, 0, 0);
    }

    pub(super) fn check(&mut self, exited: &ExitedChildren) -> Result<(u64, bool), Errno> {
        let files = cleanup::used_bytes(&self.box_dir)?.saturating_sub(self.empty_box_bytes);
        let pids = processes::pids(&self.proc)?;
        // Before the clocks are read: a child that is reaped meanwhile must not count twice.
        let reaped = pids.iter().filter_map(|pid| processes::reaped_cpu_ticks(&self.proc, *pid));
        let mut cpu_ns = reaped.fold(exited.cpu_ns, |sum, ticks| sum.saturating_add(ticks * self.tick_ns));
        let mut bytes = files;
        for pid in &pids {
            cpu_ns = cpu_ns.saturating_add(cpu_time_ns(*pid).unwrap_or(0));
            bytes = bytes.saturating_add(self.memory(*pid, "status", ["RssAnon:", "RssShmem:"]).unwrap_or(0));
        }
        // Pages that processes share were counted once for each process. Splitting them takes the kernel longer.
        if bytes > self.limit_bytes && pids.len() > 1 {
            bytes = pids.iter().fold(files, |sum, pid| {
                let share = self.memory(*pid, "smaps_rollup", ["Pss_Anon:", "Pss_Shmem:"]);
                sum.saturating_add(share.unwrap_or(0))
            });
        }
        self.peak_bytes = self.peak_bytes.max(bytes);
        self.cpu_ns = self.cpu_ns.max(cpu_ns);
        Ok((self.cpu_ns, bytes > self.limit_bytes))
    }

    pub(super) fn finish(&self, exited: &ExitedChildren, largest_bytes: u64) -> Reading {
        Reading {
            cpu_ns: self.cpu_ns.max(exited.cpu_ns),
            memory_bytes: self.peak_bytes.max(MIN_USED_BYTES),
            out_of_memory: self.peak_bytes.max(largest_bytes) > self.limit_bytes,
        }
    }

    /// The sum of two lines of a process's file, in bytes, or `None` if the file cannot be read.
    fn memory(&self, pid: i32, file: &str, names: [&str; 2]) -> Option<u64> {
        let file =
            openat(&self.proc, format!("{pid}/{file}"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let mut buffer = [0_u8; 4096];
        let length = read(file.ok()?, &mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]);
        Some(names.iter().map(|name| kib(&text, name)).sum::<u64>().saturating_mul(1024))
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
    fn cpu_time_of_a_missing_process_is_none() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(cpu_time_ns(own).unwrap() > 0);
        // One more than any process can have (`PID_MAX_LIMIT`).
        assert_eq!(cpu_time_ns(1 << 22), None);
    }
}
