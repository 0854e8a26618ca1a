//! Measuring with the slot's cgroup. Its files are read and written by descriptor: the init has no path to them.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::{Errno, pread, pwrite};

use super::reading::Reading;
use crate::init::run_clock::own_cpu_time;
use crate::protocol::wire::{CgroupFile, CgroupVersion};

/// The lowest memory limit that is set, in bytes: starting a program takes this much before there is a program that
/// the kernel could kill.
const MIN_LIMIT_BYTES: u64 = 4 << 20;
/// The kernel charges memory in batches of 64 pages: usage within one batch may read as 0.
const BATCH_BYTES: u64 = 256 << 10;
/// The memory that the init may need for the cleanup after a run that used all its memory, in bytes.
const CLEANUP_BYTES: u64 = 64 << 20;
/// With this much memory left, in bytes, the limit is not raised for the cleanup.
const MIN_FREE_BYTES: u64 = 4 << 20;
/// The memory that may be left after the cleanup, in bytes: the kernel's own, for files that the programs have looked at.
const MAX_LEFT_BYTES: u64 = 4 << 20;
/// How long to wait for memory that the kernel frees after the processes have ended, and how often to check.
const FREEING_TIME: Duration = Duration::from_millis(50);
const FREEING_CHECK_INTERVAL: Duration = Duration::from_millis(1);
/// The longest time between two checks. They are needed since the kernel kills only one process when memory runs out,
/// and others may wait for that process, and since waiting for a CPU is seen only while it lasts.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// The cgroup's files and the limits that are set.
pub(in crate::init) struct CgroupMeter {
    version: CgroupVersion,
    files: Vec<(CgroupFile, OwnedFd)>,
    /// The memory that the slot itself uses, in bytes; added to every limit, so that it does not count as the
    /// program's.
    resident_bytes: u64,
    /// The limits that are set; 0 if not known.
    set_memory: u64,
    set_processes: u32,
    /// The memory limit of the run itself, in bytes.
    run_limit_bytes: u64,
    /// The readings at the start of the run.
    baseline: Baseline,
}

/// Readings at the start of a run, to subtract at its end.
#[derive(Clone, Copy, Default)]
struct Baseline {
    cpu_ns: u64,
    /// CPU time of the init itself, which is in the same group.
    own_cpu: Duration,
    memory_bytes: u64,
    /// The peak of all runs so far, or `None` if the peak has been reset.
    former_peak: Option<u64>,
    kills: u64,
}

impl CgroupMeter {
    pub(super) fn new(
        version: CgroupVersion,
        kinds: &[CgroupFile],
        fds: Vec<OwnedFd>,
    ) -> Result<Self, Errno> {
        let files: Vec<_> = kinds.iter().copied().zip(fds).collect();
        let needed = [
            CgroupFile::MemoryLimit,
            CgroupFile::MemoryStat,
            CgroupFile::MemoryEvents,
            CgroupFile::CpuUsage,
            CgroupFile::ProcessLimit,
        ];
        if !needed.iter().all(|kind| files.iter().any(|(have, _)| have == kind)) {
            return Err(Errno::BADF);
        }
        let mut meter = Self {
            version,
            files,
            resident_bytes: 0,
            set_memory: 0,
            set_processes: 0,
            run_limit_bytes: 0,
            baseline: Baseline::default(),
        };
        meter.resident_bytes = meter.number(CgroupFile::MemoryCurrent)?;
        // Reads every file once, so that an unknown format is an error before the first run.
        meter.start()?;
        meter.reclaimable_bytes()?;
        Ok(meter)
    }

    /// Sets the limits of the next run. `file_bytes` is the memory of the files that the slot holds for the run.
    pub(super) fn set_limits(
        &mut self,
        memory_bytes: u64,
        file_bytes: u64,
        processes: u32,
    ) -> Result<(), Errno> {
        let memory =
            memory_bytes.max(MIN_LIMIT_BYTES).saturating_add(file_bytes).saturating_add(self.resident_bytes);
        self.run_limit_bytes = memory_bytes;
        if memory != self.set_memory {
            self.set_memory = 0;
            self.set_memory_limit(memory)?;
            self.set_memory = memory;
        }
        if processes != self.set_processes {
            // One more, for the init.
            self.write(CgroupFile::ProcessLimit, &processes.saturating_add(1).to_string())?;
            self.set_processes = processes;
        }
        Ok(())
    }

    /// Raises the memory limit for the cleanup, until the next run sets it again, unless there is enough memory left.
    ///
    /// Files and System V objects stay charged to the group after their program has ended. Since there is no other process
    /// left that the kernel could kill, the init must not reach the limit while it removes them.
    pub(super) fn make_room_for_cleanup(&mut self) -> Result<(), Errno> {
        if self.number(CgroupFile::MemoryCurrent)?.saturating_add(MIN_FREE_BYTES) <= self.set_memory {
            return Ok(());
        }
        let memory = self.set_memory.saturating_add(CLEANUP_BYTES);
        self.set_memory = 0;
        self.set_memory_limit(memory)
    }

    /// Whether the memory of the last run is free, apart from `file_bytes` of files that the slot still holds. Waits a little:
    /// the kernel frees some of it later, for example files in the buffers of sockets.
    pub(super) fn is_memory_free(&self, file_bytes: u64) -> Result<bool, Errno> {
        let allowed = self.resident_bytes.saturating_add(file_bytes).saturating_add(MAX_LEFT_BYTES);
        let deadline = Instant::now() + FREEING_TIME;
        loop {
            let used = self.number(CgroupFile::MemoryCurrent)?;
            if used <= allowed || used.saturating_sub(self.reclaimable_bytes()?) <= allowed {
                return Ok(true);
            }
            if Instant::now() > deadline {
                return Ok(false);
            }
            std::thread::sleep(FREEING_CHECK_INTERVAL);
        }
    }

    /// The memory in use that the kernel frees by itself when a limit is reached.
    fn reclaimable_bytes(&self) -> Result<u64, Errno> {
        self.read(CgroupFile::MemoryStat, |text| {
            let (cache, slab) = match self.version {
                CgroupVersion::V1 => (field(text, "cache")?, 0),
                CgroupVersion::V2 => (field(text, "file")?, field(text, "slab_reclaimable")?),
            };
            // The cache includes files in memory, which stay.
            Some(cache.saturating_sub(field(text, "shmem")?).saturating_add(slab))
        })
    }

    /// The limit of memory and swap together may never be below that of memory alone. So the order of the two writes
    /// depends on whether the limit rises or falls: the first write fails if it is the wrong one.
    fn set_memory_limit(&self, bytes: u64) -> Result<(), Errno> {
        let text = bytes.to_string();
        let first = self.write(CgroupFile::MemoryLimit, &text);
        if self.file(CgroupFile::MemorySwapLimit).is_none() || first == Err(Errno::BUSY) {
            return first;
        }
        self.write(CgroupFile::MemorySwapLimit, &text)?;
        if first.is_err() { self.write(CgroupFile::MemoryLimit, &text) } else { Ok(()) }
    }

    /// Resets the peak and takes the readings that are subtracted at the end.
    pub(super) fn start(&mut self) -> Result<(), Errno> {
        let resettable = self.write(CgroupFile::MemoryPeak, "0").is_ok();
        let from = if resettable { CgroupFile::MemoryPeak } else { CgroupFile::MemoryCurrent };
        let former_peak =
            if resettable { None } else { Some(self.number(CgroupFile::MemoryPeak).unwrap_or(u64::MAX)) };
        let memory_bytes = self.number(from)?;
        let (own_cpu, cpu_ns) = (own_cpu_time(), self.total_cpu_ns()?);
        self.baseline = Baseline { cpu_ns, own_cpu, memory_bytes, former_peak, kills: self.kills()? };
        Ok(())
    }

    /// Checks a run in progress. Returns its CPU time in nanoseconds, and whether the kernel has killed a process of it
    /// because memory ran out.
    pub(super) fn check(&self) -> Result<(u64, bool), Errno> {
        Ok((self.cpu_ns()?, self.has_killed()?))
    }

    /// CPU time of the slot since the start, without that of the init, in nanoseconds.
    fn cpu_ns(&self) -> Result<u64, Errno> {
        let total_ns = self.total_cpu_ns()?.saturating_sub(self.baseline.cpu_ns);
        let own = own_cpu_time().saturating_sub(self.baseline.own_cpu);
        Ok(total_ns.saturating_sub(u64::try_from(own.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Reads what was used since the start.
    pub(super) fn finish(&self) -> Result<Reading, Errno> {
        // If the peak of this run alone is not known, the caller uses the largest process instead.
        let peak = self.number(CgroupFile::MemoryPeak).unwrap_or(0);
        let peak = if self.baseline.former_peak.is_some_and(|former| peak <= former) { 0 } else { peak };
        let memory_bytes = peak.saturating_sub(self.baseline.memory_bytes).max(BATCH_BYTES);
        // A limit that is too small to be set as it is.
        let exceeded = self.run_limit_bytes < MIN_LIMIT_BYTES && memory_bytes > self.run_limit_bytes;
        let out_of_memory = exceeded || self.has_killed()?;
        Ok(Reading { cpu_ns: self.cpu_ns()?, memory_bytes, out_of_memory })
    }

    fn total_cpu_ns(&self) -> Result<u64, Errno> {
        match self.version {
            CgroupVersion::V1 => self.number(CgroupFile::CpuUsage),
            CgroupVersion::V2 => Ok(self.field(CgroupFile::CpuUsage, "usage_usec")?.saturating_mul(1000)),
        }
    }

    fn has_killed(&self) -> Result<bool, Errno> {
        Ok(self.kills()? > self.baseline.kills)
    }

    fn kills(&self) -> Result<u64, Errno> {
        self.field(CgroupFile::MemoryEvents, "oom_kill")
    }

    fn file(&self, kind: CgroupFile) -> Option<&OwnedFd> {
        self.files.iter().find(|(have, _)| *have == kind).map(|(_, fd)| fd)
    }

    fn write(&self, kind: CgroupFile, text: &str) -> Result<(), Errno> {
        let file = self.file(kind).ok_or(Errno::NOENT)?;
        pwrite(file, text.as_bytes(), 0).map(|_| ())
    }

    fn number(&self, kind: CgroupFile) -> Result<u64, Errno> {
        self.read(kind, |text| text.trim().parse().ok())
    }

    fn field(&self, kind: CgroupFile, name: &str) -> Result<u64, Errno> {
        self.read(kind, |text| field(text, name))
    }

    fn read(&self, kind: CgroupFile, parse: impl Fn(&str) -> Option<u64>) -> Result<u64, Errno> {
        let mut buffer = [0_u8; 8192];
        let length = pread(self.file(kind).ok_or(Errno::NOENT)?, &mut buffer, 0)?;
        std::str::from_utf8(&buffer[..length]).ok().and_then(parse).ok_or(Errno::INVAL)
    }
}

/// The number after `name`, in lines of a name, a space and a number.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_is_found_by_its_whole_name() {
        let events = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(field(events, "oom_kill"), Some(3));
        assert_eq!(field(events, "oom"), None);
        assert_eq!(field("usage_usec 12\nuser_usec 5\n", "usage_usec"), Some(12));
    }
}
