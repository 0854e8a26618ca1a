//! Reaping the inits of dropped slots and removing their cgroups, which cannot be done at once: a killed process
//! takes some milliseconds to exit, and a cgroup can be removed only when it is empty.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use crate::host::cgroup::SlotGroup;

/// How long to wait for killed processes to exit, which takes milliseconds.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(5);

/// The init of a slot with its cgroup, to be reaped and removed.
#[derive(Debug)]
pub(crate) struct PendingCleanup {
    pub(crate) pidfd: OwnedFd,
    pub(crate) group: Option<SlotGroup>,
}

/// The cleanups that have not finished.
#[derive(Debug, Default)]
pub(crate) struct PendingCleanups(Mutex<Vec<PendingCleanup>>);

impl PendingCleanups {
    /// Kills an init, with it every process of its slot, and queues the cleanup.
    pub(crate) fn kill(&self, cleanup: PendingCleanup) {
        // The init may have exited already.
        let _ = pidfd_send_signal(&cleanup.pidfd, Signal::KILL);
        self.lock().push(cleanup);
    }

    /// Reaps the inits that have exited and removes their cgroups. Returns whether no cleanup is left.
    pub(crate) fn run(&self) -> bool {
        let mut pending = self.lock();
        pending.retain(|cleanup| !cleanup.finish());
        pending.is_empty()
    }

    /// Repeats [`Self::run`] until no cleanup is left; returns `false` after [`CLEANUP_TIMEOUT`]. Blocks.
    pub(crate) fn run_all(&self) -> bool {
        let deadline = Instant::now() + CLEANUP_TIMEOUT;
        while !self.run() {
            if Instant::now() >= deadline {
                return false;
            }
            self.wait_for_exit(Duration::from_millis(5));
        }
        true
    }

    /// Waits until the first init has exited. For a cgroup that is not empty yet there is no such event.
    fn wait_for_exit(&self, at_most: Duration) {
        let pidfd = self.lock().first().and_then(|cleanup| cleanup.pidfd.try_clone().ok());
        let timeout = Timespec::try_from(at_most).ok();
        let mut polled: Vec<_> = pidfd.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        if poll(&mut polled, timeout.as_ref()).is_ok_and(|ready| ready > 0) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<PendingCleanup>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingCleanup {
    /// Reaps the init and removes its cgroup. Returns whether both are gone.
    fn finish(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        // An error means that there is no such child: something else has reaped it.
        let reaped = !matches!(waitid(WaitId::PidFd(self.pidfd.as_fd()), options), Ok(None));
        reaped && self.group.as_ref().is_none_or(SlotGroup::remove)
    }
}
