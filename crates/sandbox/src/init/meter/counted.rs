//! The slot's cgroup files, read and written by descriptor: the init has no path to them.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::{Errno, pread, pwrite};

use super::Reading;
use crate::protocol::wire::{CgroupVersion, MeterFile};

/// Starting a program takes this much, in bytes, before there is a program to be killed for it.
const LEAST_BYTES: u64 = 4 << 20;
/// The kernel charges in batches of 64 pages: what fits into one may read as nothing.
const BATCH_BYTES: u64 = 256 << 10;
/// What the init may need to clear up after a run that used all its memory, in bytes.
const CLEARING_BYTES: u64 = 64 << 20;
/// The time between two looks: the kernel ends one process for want of memory, and others may wait for it in vain.
pub(super) const STEP: Duration = Duration::from_millis(250);

/// The descriptors, and what the slot itself uses.
pub(in crate::init) struct Counted {
    version: CgroupVersion,
    files: Vec<(MeterFile, OwnedFd)>,
    /// What the slot itself holds, in bytes, added to every limit so that it is not counted as the program's.
    resident_bytes: u64,
    set_memory: u64,
    set_processes: u32,
    /// The run's own limit, in bytes.
    wanted_bytes: u64,
    /// Readings at its start.
    start: Start,
}

/// Readings at the start of a run, to subtract at its end.
#[derive(Clone, Copy, Default)]
struct Start {
    cpu_ns: u64,
    memory_bytes: u64,
    /// The peak of all runs so far, where it cannot be reset.
    former_peak: Option<u64>,
    kills: u64,
}

impl Counted {
    pub(super) fn new(version: CgroupVersion, kinds: &[MeterFile], fds: Vec<OwnedFd>) -> Result<Self, Errno> {
        let files: Vec<_> = kinds.iter().copied().zip(fds).collect();
        let needed =
            [MeterFile::MemoryLimit, MeterFile::MemoryEvents, MeterFile::CpuUsage, MeterFile::ProcessLimit];
        if !needed.iter().all(|kind| files.iter().any(|(have, _)| have == kind)) {
            return Err(Errno::BADF);
        }
        let mut meter = Self {
            version,
            files,
            resident_bytes: 0,
            set_memory: 0,
            set_processes: 0,
            wanted_bytes: 0,
            start: Start::default(),
        };
        meter.resident_bytes = meter.number(MeterFile::MemoryNow)?;
        // Every file is read once here, so that a file of an unknown form shows before the first run.
        meter.start()?;
        Ok(meter)
    }

    /// Sets the limits of the next run; `held_bytes` is what the slot holds for it in files.
    pub(super) fn limit(&mut self, memory_bytes: u64, held_bytes: u64, processes: u32) -> Result<(), Errno> {
        let memory =
            memory_bytes.max(LEAST_BYTES).saturating_add(held_bytes).saturating_add(self.resident_bytes);
        self.wanted_bytes = memory_bytes;
        if memory != self.set_memory {
            self.set_memory = 0;
            self.set_memory_limit(memory)?;
            self.set_memory = memory;
        }
        if processes != self.set_processes {
            // One more, which is the init.
            self.write(MeterFile::ProcessLimit, &processes.saturating_add(1).to_string())?;
            self.set_processes = processes;
        }
        Ok(())
    }

    /// Lifts the memory limit far enough to clear up, until the next run sets it again.
    pub(super) fn make_room(&mut self) -> Result<(), Errno> {
        let memory = self.set_memory.saturating_add(CLEARING_BYTES);
        self.set_memory = 0;
        self.set_memory_limit(memory)
    }

    /// The limit of memory with swap may never be below that of memory alone, so the order depends.
    fn set_memory_limit(&self, bytes: u64) -> Result<(), Errno> {
        let text = bytes.to_string();
        let first = self.write(MeterFile::MemoryLimit, &text);
        if self.file(MeterFile::MemorySwapLimit).is_none() {
            return first;
        }
        self.write(MeterFile::MemorySwapLimit, &text)?;
        if first.is_err() { self.write(MeterFile::MemoryLimit, &text) } else { Ok(()) }
    }

    /// Resets the peak and takes the readings to subtract.
    pub(super) fn start(&mut self) -> Result<(), Errno> {
        let resettable = self.write(MeterFile::MemoryPeak, "0").is_ok();
        let from = if resettable { MeterFile::MemoryPeak } else { MeterFile::MemoryNow };
        let former_peak =
            if resettable { None } else { Some(self.number(MeterFile::MemoryPeak).unwrap_or(u64::MAX)) };
        let cpu_ns = self.total_cpu_ns()?;
        self.start = Start { cpu_ns, memory_bytes: self.number(from)?, former_peak, kills: self.kills()? };
        Ok(())
    }

    /// Looks at a run that is under way: its CPU time in nanoseconds, and whether the kernel has ended some of it for
    /// want of memory.
    pub(super) fn look(&self) -> Result<(u64, bool), Errno> {
        Ok((self.cpu_ns()?, self.has_killed()?))
    }

    /// CPU time of the slot since the start, in nanoseconds.
    fn cpu_ns(&self) -> Result<u64, Errno> {
        Ok(self.total_cpu_ns()?.saturating_sub(self.start.cpu_ns))
    }

    /// Reads what was used since the start.
    pub(super) fn finish(&self) -> Result<Reading, Errno> {
        // Without a peak of this run's own the caller's other source, the largest process, must do.
        let peak = self.number(MeterFile::MemoryPeak).unwrap_or(0);
        let peak = if self.start.former_peak.is_some_and(|former| peak <= former) { 0 } else { peak };
        let memory_bytes = peak.saturating_sub(self.start.memory_bytes).max(BATCH_BYTES);
        // A limit too small to be set as it is.
        let passed = self.wanted_bytes < LEAST_BYTES && memory_bytes > self.wanted_bytes;
        let out_of_memory = passed || self.has_killed()?;
        Ok(Reading { cpu_ns: self.cpu_ns()?, memory_bytes, out_of_memory })
    }

    fn total_cpu_ns(&self) -> Result<u64, Errno> {
        match self.version {
            CgroupVersion::V1 => self.number(MeterFile::CpuUsage),
            CgroupVersion::V2 => Ok(self.field(MeterFile::CpuUsage, "usage_usec")?.saturating_mul(1000)),
        }
    }

    fn has_killed(&self) -> Result<bool, Errno> {
        Ok(self.kills()? > self.start.kills)
    }

    fn kills(&self) -> Result<u64, Errno> {
        self.field(MeterFile::MemoryEvents, "oom_kill")
    }

    fn file(&self, kind: MeterFile) -> Option<&OwnedFd> {
        self.files.iter().find(|(have, _)| *have == kind).map(|(_, fd)| fd)
    }

    fn write(&self, kind: MeterFile, text: &str) -> Result<(), Errno> {
        let file = self.file(kind).ok_or(Errno::NOENT)?;
        pwrite(file, text.as_bytes(), 0).map(|_| ())
    }

    fn number(&self, kind: MeterFile) -> Result<u64, Errno> {
        self.read(kind, |text| text.trim().parse().ok())
    }

    fn field(&self, kind: MeterFile, name: &str) -> Result<u64, Errno> {
        self.read(kind, |text| field(text, name))
    }

    fn read(&self, kind: MeterFile, parse: impl Fn(&str) -> Option<u64>) -> Result<u64, Errno> {
        let mut buffer = [0_u8; 1024];
        let length = pread(self.file(kind).ok_or(Errno::NOENT)?, &mut buffer, 0)?;
        std::str::from_utf8(&buffer[..length]).ok().and_then(parse).ok_or(Errno::INVAL)
    }
}

/// The number behind `name` in lines of a name, a space and a number.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let events = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(field(events, "oom_kill"), Some(3));
        assert_eq!(field(events, "oom"), None);
        assert_eq!(field("usage_usec 12\nuser_usec 5\n", "usage_usec"), Some(12));
    }
}
