//! What programs inherit from the init: it must be the same for each run.
//!
//! A program may have the init's user id, and the kernel then lets it change these of another process. The filter
//! refuses each call that does; this check is the second line of defence, for a call that it misses. Ids,
//! capabilities, signal handlers and directories are not here: only a process itself can change them.
#![expect(unsafe_code, reason = "several of these values have no safe form")]

use std::os::fd::{AsFd, OwnedFd};
use std::{mem, ptr};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, pread};
use rustix::process::umask;

/// The number of resources that have limits (`RLIM_NLIMITS`).
pub(super) const RESOURCES: usize = 16;
/// The umask of the init and of programs: the judge's own may hide the root's directories from programs.
pub(super) const UMASK: Mode = Mode::from_raw_mode(0o022);
/// `IOPRIO_WHO_PROCESS` (`linux/ioprio.h`).
const ONE_PROCESS: i32 = 1;
/// The argument of `personality` that only reads.
const READ_PERSONALITY: u64 = 0xffff_ffff;

/// What the init had before the first run.
pub(super) struct Inherited {
    oom_score: OwnedFd,
    at_start: Values,
}

#[derive(PartialEq)]
struct Values {
    limits: [(u64, u64); RESOURCES],
    /// The policy, its flags, the nice value and the priority.
    scheduling: (u32, u64, i32, u32),
    cpus: [u64; 16],
    io_priority: i64,
    umask: Mode,
    personality: i64,
    timer_slack: i64,
    blocked_signals: u64,
    oom_score: [u8; 8],
}

impl Inherited {
    /// Sets the umask and reads the values. `proc` is the slot's `/proc`.
    pub(super) fn new(proc: impl AsFd) -> Result<Self, Errno> {
        umask(UMASK);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let oom_score = openat(proc, "self/oom_score_adj", flags, Mode::empty())?;
        let at_start = Values::read(&oom_score)?;
        Ok(Self { oom_score, at_start })
    }

    /// The highest value that a program's limit on this resource can have.
    pub(super) fn hard_limit(&self, resource: usize) -> u64 {
        self.at_start.limits[resource].1
    }

    /// Whether every value is as before the first run. The judge changes the CPUs itself for a run with a spare one.
    pub(super) fn is_unchanged(&self, has_spare_cpu: bool) -> bool {
        Values::read(&self.oom_score).is_ok_and(|mut values| {
            if has_spare_cpu {
                values.cpus = self.at_start.cpus;
            }
            values == self.at_start
        })
    }
}

impl Values {
    fn read(oom_score_file: &OwnedFd) -> Result<Self, Errno> {
        let mut limits = [(0, 0); RESOURCES];
        for (resource, (current, max)) in (0..).zip(&mut limits) {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: the structure is on this stack and outlives the call.
            checked(unsafe { libc::getrlimit(resource, &raw mut limit) }.into())?;
            (*current, *max) = (limit.rlim_cur, limit.rlim_max);
        }
        let (mut cpus, mut blocked_signals) = ([0_u64; 16], 0_u64);
        // SAFETY: the kernel writes at most the given number of bytes to the variables, which outlive the calls, and
        // all zeroes are a valid `sched_attr`; the other calls take numbers only.
        let (scheduling, io_priority, personality, timer_slack) = unsafe {
            let mut attributes: libc::sched_attr = mem::zeroed();
            let size = size_of::<libc::sched_attr>();
            checked(libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0))?;
            checked(libc::syscall(libc::SYS_sched_getaffinity, 0, size_of_val(&cpus), cpus.as_mut_ptr()))?;
            let (none, blocked) = (ptr::null::<u64>(), &raw mut blocked_signals);
            checked(libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_BLOCK,
                none,
                blocked,
                size_of::<u64>(),
            ))?;
            let libc::sched_attr { sched_policy, sched_flags, sched_nice, sched_priority, .. } = attributes;
            (
                (sched_policy, sched_flags, sched_nice, sched_priority),
                checked(libc::syscall(libc::SYS_ioprio_get, ONE_PROCESS, 0))?,
                checked(libc::syscall(libc::SYS_personality, READ_PERSONALITY))?,
                checked(libc::syscall(libc::SYS_prctl, libc::PR_GET_TIMERSLACK, 0, 0, 0, 0))?,
            )
        };
        let mut oom_score = [0; 8];
        pread(oom_score_file, &mut oom_score, 0)?;
        let umask = umask(UMASK);
        Ok(Self {
            limits,
            scheduling,
            cpus,
            io_priority,
            umask,
            personality,
            timer_slack,
            blocked_signals,
            oom_score,
        })
    }
}

/// The result of a system call, or its error.
fn checked(result: i64) -> Result<i64, Errno> {
    if result >= 0 {
        return Ok(result);
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_value_is_noticed() {
        let inherited = Inherited::new(std::fs::File::open("/proc").unwrap()).unwrap();
        assert!(inherited.is_unchanged(false));
        let set_timer_slack = |nanoseconds: i64| {
            // SAFETY: takes numbers only.
            checked(unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0) })
        };
        set_timer_slack(inherited.at_start.timer_slack + 1).unwrap();
        assert!(!inherited.is_unchanged(false));
        set_timer_slack(inherited.at_start.timer_slack).unwrap();
        assert!(inherited.is_unchanged(false));
    }
}
