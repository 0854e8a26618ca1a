//! What a run uses and may use: counted by the kernel in the slot's cgroup, or, where there is none, sampled.

mod counted;
mod sampled;

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;

use super::reap::Ended;
use crate::protocol::ids::Ids;
use crate::protocol::wire::{Caps, Setup};
use counted::Counted;
use sampled::Sampled;

/// The means of measuring.
pub(super) enum Meter {
    /// A cgroup holds the run to its limits.
    Counted(Counted),
    /// Nobody does but us, looking every few milliseconds.
    Sampled(Sampled),
}

/// What a run used.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub(super) cpu_ns: u64,
    pub(super) memory_bytes: u64,
    pub(super) out_of_memory: bool,
}

impl Meter {
    /// With the descriptors of the cgroup's files, or a `/proc` and the box to sample.
    pub(super) fn new(
        setup: &Setup,
        fds: Vec<OwnedFd>,
        proc: impl AsFd,
        boxed: impl AsFd,
    ) -> Result<Self, Errno> {
        match setup.cgroup {
            Some(version) => Counted::new(version, &setup.meter, fds).map(Self::Counted),
            None => Sampled::new(proc, boxed).map(Self::Sampled),
        }
    }

    /// Sets the limits of the next run; `held_bytes` is what the slot holds for it in files.
    pub(super) fn limit(&mut self, caps: &Caps, held_bytes: u64) -> Result<(), Errno> {
        match self {
            Self::Counted(counted) => counted.limit(caps.memory_bytes, held_bytes, caps.processes),
            Self::Sampled(sampled) => {
                sampled.limit(caps.memory_bytes);
                Ok(())
            }
        }
    }

    /// Lifts the memory limit far enough to clear up, until the next run sets it again.
    pub(super) fn make_room(&mut self) -> Result<(), Errno> {
        match self {
            Self::Counted(counted) => counted.make_room(),
            Self::Sampled(_) => Ok(()),
        }
    }

    /// Forgets the last run.
    pub(super) fn start(&mut self) -> Result<(), Errno> {
        match self {
            Self::Counted(counted) => counted.start(),
            Self::Sampled(_) => Ok(()),
        }
    }

    /// The longest that a run may go on unwatched.
    pub(super) fn longest_step(&self) -> Duration {
        match self {
            Self::Counted(_) => counted::STEP,
            Self::Sampled(_) => sampled::STEP,
        }
    }

    /// Looks at a run that is under way: its CPU time in nanoseconds, and whether it must end for its memory.
    pub(super) fn look(&mut self, ended: &Ended) -> Result<(u64, bool), Errno> {
        match self {
            Self::Counted(counted) => counted.look(),
            Self::Sampled(sampled) => sampled.look(ended),
        }
    }

    /// What the run used, when nothing of it lives any more. `largest_bytes` is the largest resident set of one
    /// of its processes.
    pub(super) fn finish(&self, ended: &Ended, largest_bytes: u64) -> Result<Reading, Errno> {
        let reading = match self {
            Self::Counted(counted) => counted.finish()?,
            Self::Sampled(sampled) => sampled.finish(ended, largest_bytes),
        };
        Ok(Reading { memory_bytes: reading.memory_bytes.max(largest_bytes), ..reading })
    }

    /// What the kernel's limits for one process must stand in for, where no cgroup limits all.
    pub(super) fn process_limits(&self, caps: &Caps, ids: Ids) -> Vec<(libc::__rlimit_resource_t, u64)> {
        match self {
            Self::Counted(_) => Vec::new(),
            Self::Sampled(_) => sampled::process_limits(caps, ids),
        }
    }
}
