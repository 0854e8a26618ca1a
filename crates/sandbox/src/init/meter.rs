//! Limiting and measuring what a run uses: by the slot's cgroup, or by sampling if there is none.

mod cgroup;
mod reading;
mod sampling;

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;

use super::reap::ExitedChildren;
use crate::protocol::ids::IdMapping;
use crate::protocol::limits::ResourceLimits;
use crate::protocol::wire::SlotSetup;
use cgroup::CgroupMeter;
pub(super) use reading::Reading;
use sampling::SamplingMeter;

/// Limits and measures the runs of a slot.
pub(super) enum Meter {
    /// The kernel enforces the limits on the cgroup.
    Cgroup(CgroupMeter),
    /// The init enforces the limits, by a check every few milliseconds.
    Sampling(SamplingMeter),
}

impl Meter {
    /// Uses the descriptors of the cgroup's files, or samples `proc` and the box.
    pub(super) fn new(
        setup: &SlotSetup,
        fds: Vec<OwnedFd>,
        proc: impl AsFd,
        box_dir: impl AsFd,
    ) -> Result<Self, Errno> {
        match setup.cgroup {
            Some(version) => CgroupMeter::new(version, &setup.cgroup_files, fds).map(Self::Cgroup),
            None => SamplingMeter::new(proc, box_dir).map(Self::Sampling),
        }
    }

    /// Sets the limits of the next run. `file_bytes` is the memory of the files that the slot holds for the run.
    pub(super) fn set_limits(&mut self, limits: &ResourceLimits, file_bytes: u64) -> Result<(), Errno> {
        match self {
            Self::Cgroup(meter) => meter.set_limits(limits.memory_bytes, file_bytes, limits.processes),
            Self::Sampling(meter) => {
                meter.start(limits);
                Ok(())
            }
        }
    }

    /// Lets the init use as much memory as it needs for the cleanup.
    pub(super) fn make_room_for_cleanup(&mut self) -> Result<(), Errno> {
        match self {
            Self::Cgroup(meter) => meter.make_room_for_cleanup(),
            Self::Sampling(_) => Ok(()),
        }
    }

    /// Whether the memory of the last run is free again, apart from `file_bytes` of files that the slot still holds.
    pub(super) fn is_memory_free(&self, file_bytes: u64) -> Result<bool, Errno> {
        match self {
            Self::Cgroup(meter) => meter.is_memory_free(file_bytes),
            Self::Sampling(_) => Ok(true),
        }
    }

    /// Starts measuring a run: resets the values of the last one.
    pub(super) fn start(&mut self) -> Result<(), Errno> {
        match self {
            Self::Cgroup(meter) => meter.start(),
            Self::Sampling(_) => Ok(()),
        }
    }

    /// The longest time between two checks of a run.
    pub(super) fn max_check_interval(&self) -> Duration {
        match self {
            Self::Cgroup(_) => cgroup::CHECK_INTERVAL,
            Self::Sampling(_) => sampling::CHECK_INTERVAL,
        }
    }

    /// Whether no process can hide CPU time, so that time without CPU time is certain to be time off the CPU.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::Cgroup(_))
    }

    /// Checks a run in progress. Returns its CPU time in nanoseconds, and whether it must end because of its memory.
    pub(super) fn check(&mut self, exited: &ExitedChildren) -> Result<(u64, bool), Errno> {
        match self {
            Self::Cgroup(meter) => meter.check(),
            Self::Sampling(meter) => meter.check(exited),
        }
    }

    /// What the run used, after all its processes are gone. `largest_bytes` is the largest resident set of one of its
    /// processes.
    pub(super) fn finish(&self, exited: &ExitedChildren, largest_bytes: u64) -> Result<Reading, Errno> {
        let reading = match self {
            Self::Cgroup(meter) => meter.finish()?,
            Self::Sampling(meter) => meter.finish(exited, largest_bytes)?,
        };
        Ok(Reading { memory_bytes: reading.memory_bytes.max(largest_bytes), ..reading })
    }

    /// The limits to set on each process if no cgroup limits them together.
    pub(super) fn process_limits(
        &self,
        limits: &ResourceLimits,
        mapping: IdMapping,
    ) -> Vec<(libc::__rlimit_resource_t, u64)> {
        match self {
            Self::Cgroup(_) => Vec::new(),
            Self::Sampling(_) => sampling::process_limits(limits, mapping),
        }
    }
}
