//! The init as the parent of orphans: everything that ends below it ends up here.
#![expect(unsafe_code, reason = "kill of all, wait4 and signalfd have no safe form")]

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::{io, mem, ptr};

use libc::pid_t;

use crate::protocol::wire::End;

/// Orphans reaped in one go, so that a program that makes them without end cannot keep the init from its clock.
const BATCH: usize = 1024;

/// Watches for ended children; readable when there may be one.
pub(super) struct Children(OwnedFd);

/// What ended children of one run told.
pub(super) struct Ended {
    main: pid_t,
    status: Option<i32>,
    /// The largest resident set of one process, in bytes.
    pub(super) largest_bytes: u64,
    /// CPU time of all that was reaped, in nanoseconds.
    pub(super) cpu_ns: u64,
}

impl Ended {
    pub(super) fn new(main: pid_t) -> Self {
        Self { main, status: None, largest_bytes: 0, cpu_ns: 0 }
    }

    /// How the main process ended. It has been reaped by then; one that has not would be beyond our reach.
    pub(super) fn end(&self) -> End {
        match self.status {
            Some(status) if libc::WIFSIGNALED(status) => End::Signaled(libc::WTERMSIG(status)),
            Some(status) => End::Exited(libc::WEXITSTATUS(status)),
            None => End::Signaled(libc::SIGKILL),
        }
    }

    fn note(&mut self, pid: pid_t, status: i32, usage: &libc::rusage) {
        if pid == self.main {
            self.status = Some(status);
        }
        let bytes = u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024);
        self.largest_bytes = self.largest_bytes.max(bytes);
        self.cpu_ns += nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime);
    }
}

impl Children {
    /// Blocks SIGCHLD for this process and takes it by descriptor instead.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: the set lives on this stack for both calls; the descriptor is new and ours.
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

    /// Reaps what has ended. Whether the main process has.
    pub(super) fn reap(&self, ended: &mut Ended) -> bool {
        let mut signal = [0_u8; mem::size_of::<libc::signalfd_siginfo>()];
        let _ = rustix::io::read(&self.0, &mut signal);
        wait(ended.main, libc::WNOHANG, ended);
        for _ in 0..BATCH {
            if !wait(-1, libc::WNOHANG, ended) {
                break;
            }
        }
        ended.status.is_some()
    }

    /// Kills all that lives below the init and waits until it is gone. No process can be born past the kill:
    /// a fork with a deadly signal pending fails. Blocks for as long as a process cannot die; the judge then
    /// loses patience and ends the namespace from outside.
    pub(super) fn end_all(ended: &mut Ended) {
        loop {
            // SAFETY: -1 from the first process of a PID namespace reaches all of it but the caller.
            unsafe { libc::kill(-1, libc::SIGKILL) };
            if !wait(-1, 0, ended) {
                return;
            }
        }
    }
}

/// The largest resident set of this process so far, in bytes.
pub(super) fn own_peak_bytes() -> u64 {
    // SAFETY: the structure is ours and outlives the call; all zeroes are a valid one.
    let usage = unsafe {
        let mut usage: libc::rusage = mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024)
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

/// Waits for one child. Whether there was one.
fn wait(pid: pid_t, flags: i32, ended: &mut Ended) -> bool {
    let mut status = 0;
    // SAFETY: status and usage are ours and outlive the call; an all-zero rusage is a valid one.
    let (got, usage) = unsafe {
        let mut usage: libc::rusage = mem::zeroed();
        (libc::wait4(pid, &raw mut status, flags | libc::__WALL, &raw mut usage), usage)
    };
    if got > 0 {
        ended.note(got, status, &usage);
    }
    got > 0
}
