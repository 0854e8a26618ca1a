//! Reaping inits and removing their cgroups as soon as the inits exit, whether the judge or something else has killed
//! them. It cannot be done at once: a killed process takes some milliseconds to exit, and a cgroup can be removed only
//! when it is empty.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use crate::host::cgroup::SlotGroup;

/// How long to wait for killed processes to exit, which takes milliseconds.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);
/// The time between two attempts to remove a cgroup.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// The init of a slot and its cgroup.
#[derive(Debug)]
pub(crate) struct Init {
    pub(crate) pidfd: OwnedFd,
    group: Option<SlotGroup>,
    /// Whether it was killed or has exited.
    is_ended: AtomicBool,
}

/// The inits that have not been reaped, and those whose cgroup has not been removed.
#[derive(Debug, Default)]
pub(crate) struct Inits(Mutex<Vec<Arc<Init>>>);

impl Inits {
    /// Adds an init that has been started.
    pub(crate) fn add(&self, pidfd: OwnedFd, group: Option<SlotGroup>) -> Arc<Init> {
        let init = Arc::new(Init { pidfd, group, is_ended: AtomicBool::new(false) });
        self.lock().push(Arc::clone(&init));
        init
    }

    /// Reaps the inits that have exited and removes their cgroups. Returns whether nothing is left of those that were
    /// killed or have exited.
    pub(crate) fn reap(&self) -> bool {
        let mut inits = self.lock();
        inits.retain(|init| !init.is_gone());
        !inits.iter().any(|init| init.is_ended.load(Ordering::Relaxed))
    }

    /// Repeats [`Self::reap`] until nothing is left of the killed inits; returns `false` after [`EXIT_TIMEOUT`]. Blocks.
    pub(crate) fn reap_all(&self) -> bool {
        let deadline = Instant::now() + EXIT_TIMEOUT;
        while !self.reap() {
            if Instant::now() >= deadline {
                return false;
            }
            self.wait_for_exit();
        }
        true
    }

    /// Waits until a killed init has exited. For a cgroup that is not empty yet there is no such event.
    fn wait_for_exit(&self) {
        let inits = self.lock();
        let killed = inits.iter().find(|init| init.is_ended.load(Ordering::Relaxed)).cloned();
        drop(inits);
        let timeout = Timespec::try_from(RETRY_INTERVAL).ok();
        let mut polled: Vec<_> = killed.iter().map(|init| PollFd::new(&init.pidfd, PollFlags::IN)).collect();
        if poll(&mut polled, timeout.as_ref()).is_ok_and(|ready| ready > 0) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Init>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Init {
    /// Kills the init, and with it every process of its slot.
    pub(crate) fn kill(&self) {
        self.is_ended.store(true, Ordering::Relaxed);
        // The init may have exited already.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Whether the init is running.
    pub(crate) fn is_alive(&self) -> bool {
        let mut polled = [PollFd::new(&self.pidfd, PollFlags::IN)];
        matches!(poll(&mut polled, Some(&Timespec::default())), Ok(0))
    }

    /// Reaps the init and removes its cgroup. Returns whether both are gone.
    fn is_gone(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        // An error means that there is no such child: it has been reaped before.
        if matches!(waitid(WaitId::PidFd(self.pidfd.as_fd()), options), Ok(None)) {
            return false;
        }
        self.is_ended.store(true, Ordering::Relaxed);
        self.group.as_ref().is_none_or(SlotGroup::remove)
    }
}
