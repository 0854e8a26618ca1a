//! Reaping: as process 1 the init is the parent of every orphaned process of the slot.
#![expect(unsafe_code, reason = "kill of all, wait4 and signalfd have no safe form")]

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::{io, mem, ptr};

use libc::pid_t;

use crate::protocol::wire::ProcessExit;

/// Children reaped at a time, so that a program that creates orphans without end cannot keep the init from checking
/// the time.
const REAP_BATCH: usize = 1024;

/// A descriptor that is readable when a child may have exited.
pub(super) struct Children(OwnedFd);

/// What is known from the exited children of one run.
pub(super) struct ExitedChildren {
    main: pid_t,
    status: Option<i32>,
    /// The largest resident set of one process, in bytes.
    pub(super) largest_bytes: u64,
    /// CPU time of all reaped processes, in nanoseconds.
    pub(super) cpu_ns: u64,
}

impl ExitedChildren {
    pub(super) fn new(main: pid_t) -> Self {
        Self { main, status: None, largest_bytes: 0, cpu_ns: 0 }
    }

    /// How the main process ended. Call it after the main process has been reaped; without its status the result is
    /// SIGKILL.
    pub(super) fn main_exit(&self) -> ProcessExit {
        match self.status {
            Some(status) if libc::WIFSIGNALED(status) => ProcessExit::Signaled(libc::WTERMSIG(status)),
            Some(status) => ProcessExit::Exited(libc::WEXITSTATUS(status)),
            None => ProcessExit::Signaled(libc::SIGKILL),
        }
    }

    fn record(&mut self, pid: pid_t, status: i32, usage: &libc::rusage) {
        if pid == self.main {
            self.status = Some(status);
        }
        let bytes = u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024);
        self.largest_bytes = self.largest_bytes.max(bytes);
        self.cpu_ns += nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime);
    }
}

impl Children {
    /// Blocks SIGCHLD for this process and receives it by a descriptor instead.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: the set lives on this stack for both calls; the descriptor is new and has no other owner.
        unsafe {
            let mut set: libc::sigset_t = mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGCHLD);
            if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(Self(OwnedFd::from_raw_fd(fd))) }
        }
    }

    /// Reaps the children that have exited. Returns whether the main process has exited.
    pub(super) fn reap(&self, ended: &mut ExitedChildren) -> bool {
        let mut signal = [0_u8; mem::size_of::<libc::signalfd_siginfo>()];
        let _ = rustix::io::read(&self.0, &mut signal);
        wait(ended.main, libc::WNOHANG, ended);
        for _ in 0..REAP_BATCH {
            if !wait(-1, libc::WNOHANG, ended) {
                break;
            }
        }
        ended.status.is_some()
    }

    /// Kills every process below the init and waits until all are gone. No process can be created after the kill: a
    /// fork fails if a fatal signal is pending. Blocks while a process cannot be killed; after a timeout the judge
    /// then ends the namespace from outside.
    pub(super) fn kill_all(ended: &mut ExitedChildren) {
        loop {
            // SAFETY: -1 from the first process of a PID namespace reaches all of it but the caller.
            unsafe { libc::kill(-1, libc::SIGKILL) };
            if !wait(-1, 0, ended) {
                return;
            }
        }
    }
}

impl AsFd for Children {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn nanoseconds(time: libc::timeval) -> u64 {
    let (seconds, micros) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_usec));
    seconds
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
        .saturating_add(micros.unwrap_or(0).saturating_mul(1000))
}

/// Waits for one child. Returns whether there was one.
fn wait(pid: pid_t, flags: i32, ended: &mut ExitedChildren) -> bool {
    let mut status = 0;
    // SAFETY: status and usage are on this stack and outlive the call; an all-zero rusage is valid.
    let (got, usage) = unsafe {
        let mut usage: libc::rusage = mem::zeroed();
        (libc::wait4(pid, &raw mut status, flags | libc::__WALL, &raw mut usage), usage)
    };
    if got > 0 {
        ended.record(got, status, &usage);
    }
    got > 0
}
