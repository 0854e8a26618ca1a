//! Without a cgroup: what all processes of the slot use, looked at every few milliseconds.
//!
//! It is the lesser tier, and taken only by name. A run can pass its memory limit by what it takes within one step,
//! and what nobody's address space holds (a pipe's content, an unmapped memory file) is not seen. The CPU time of
//! children that their parent discards unreaped is lost when they end; wall time still bounds it. The largest
//! resident set of each process comes from the kernel, so that a hog is known as one however it ends.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{Dir, Mode, OFlags, openat};
use rustix::io::{Errno, read};

use super::Reading;
use crate::init::reap::Ended;
use crate::init::tidy;
use crate::protocol::ids::Ids;
use crate::protocol::wire::Caps;

/// The time between two looks.
pub(super) const STEP: Duration = Duration::from_millis(5);
/// What the smallest program uses, as far as can be told.
const LEAST_BYTES: u64 = 256 << 10;

/// The slot's processes and files.
pub(in crate::init) struct Sampled {
    proc: OwnedFd,
    boxed: OwnedFd,
    limit_bytes: u64,
    /// What the empty box takes.
    empty_bytes: u64,
    peak_bytes: u64,
    /// The most CPU time seen, in nanoseconds: a sum over processes that come and go may fall.
    cpu_ns: u64,
}

impl Sampled {
    pub(super) fn new(proc: impl AsFd, boxed: impl AsFd) -> Result<Self, Errno> {
        let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            proc: openat(proc, ".", directory, Mode::empty())?,
            empty_bytes: tidy::held_bytes(&boxed)?,
            boxed: boxed.as_fd().try_clone_to_owned().map_err(|_| Errno::MFILE)?,
            limit_bytes: 0,
            peak_bytes: 0,
            cpu_ns: 0,
        })
    }

    pub(super) fn limit(&mut self, memory_bytes: u64) {
        (self.limit_bytes, self.peak_bytes, self.cpu_ns) = (memory_bytes, 0, 0);
    }

    pub(super) fn look(&mut self, ended: &Ended) -> Result<(u64, bool), Errno> {
        let files = tidy::held_bytes(&self.boxed)?.saturating_sub(self.empty_bytes);
        let (mut cpu_ns, mut bytes) = (ended.cpu_ns, files);
        let pids = self.pids()?;
        for pid in &pids {
            cpu_ns = cpu_ns.saturating_add(cpu_time_ns(*pid).unwrap_or(0));
            bytes = bytes.saturating_add(self.memory(*pid, "status", ["RssAnon:", "RssShmem:"]).unwrap_or(0));
        }
        // Pages that processes share were counted for each; to split them takes the kernel longer.
        if bytes > self.limit_bytes && pids.len() > 1 {
            bytes = pids.iter().fold(files, |sum, pid| {
                let shared_out = self.memory(*pid, "smaps_rollup", ["Pss_Anon:", "Pss_Shmem:"]);
                sum.saturating_add(shared_out.unwrap_or(0))
            });
        }
        self.peak_bytes = self.peak_bytes.max(bytes);
        self.cpu_ns = self.cpu_ns.max(cpu_ns);
        Ok((self.cpu_ns, bytes > self.limit_bytes))
    }

    pub(super) fn finish(&self, ended: &Ended, largest_bytes: u64) -> Reading {
        Reading {
            cpu_ns: self.cpu_ns.max(ended.cpu_ns),
            memory_bytes: self.peak_bytes.max(LEAST_BYTES),
            out_of_memory: self.peak_bytes.max(largest_bytes) > self.limit_bytes,
        }
    }

    /// Every process of the slot but the init.
    fn pids(&self) -> Result<Vec<i32>, Errno> {
        let entries = Dir::read_from(&self.proc)?;
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str().ok()?.parse().ok());
        Ok(numbers.filter(|pid| *pid != 1).collect())
    }

    /// The sum of two lines of a process's file, in bytes; `None` where it is gone or does not tell.
    fn memory(&self, pid: i32, file: &str, names: [&str; 2]) -> Option<u64> {
        let file =
            openat(&self.proc, format!("{pid}/{file}"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let mut buffer = [0_u8; 4096];
        let length = read(file.ok()?, &mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]);
        Some(names.iter().map(|name| kib(&text, name)).sum::<u64>().saturating_mul(1024))
    }
}

/// Limits of each process: the processes of its user, and, as a backstop where we look too late, the memory that it
/// can write: twice the limit, so that what it then used tells that it was too much, and the stacks of its threads,
/// which it maps but does not fill.
pub(super) fn process_limits(caps: &Caps, ids: Ids) -> Vec<(libc::__rlimit_resource_t, u64)> {
    // Where the init is the same user, it is one of them.
    let processes = u64::from(caps.processes).saturating_add(u64::from(ids == Ids::One));
    let stacks = caps.stack_bytes.saturating_mul(processes);
    let data = caps.memory_bytes.saturating_mul(2).saturating_add(stacks);
    vec![(libc::RLIMIT_NPROC, processes), (libc::RLIMIT_DATA, data)]
}

/// The number behind a name in lines such as `RssAnon:    12 kB`; 0 without one.
fn kib(text: &str, name: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(name));
    rest.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// CPU time of all threads of a process, ended ones too, in nanoseconds. `None` where it is gone.
#[expect(unsafe_code, reason = "another process's clock has no safe form")]
fn cpu_time_ns(pid: i32) -> Option<u64> {
    /// `CPUCLOCK_SCHED` of the whole process (`linux/posix-timers.h`).
    const SCHED: i32 = 2;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours and outlives the call.
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
    fn a_line_is_found_and_read() {
        let text = "Name:\tx\nRssAnon:\t     120 kB\nRssShmem:\t       8 kB\n";
        assert_eq!((kib(text, "RssAnon:"), kib(text, "RssShmem:"), kib(text, "RssFile:")), (120, 8, 0));
    }

    #[test]
    fn a_process_has_a_clock_of_its_own() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(cpu_time_ns(own).unwrap() > 0);
        // One more than any process can have (`PID_MAX_LIMIT`).
        assert_eq!(cpu_time_ns(1 << 22), None);
    }
}
