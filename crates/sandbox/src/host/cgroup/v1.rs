//! cgroup v1: a hierarchy for each controller.

use super::{GroupFile, Hierarchy, mounts, writable};
use crate::host::error::StartError;
use crate::protocol::wire::{CgroupVersion, MeterFile};

const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpuacct"];

/// The kernel's names (`Documentation/admin-guide/cgroup-v1`).
pub(super) const METER: &[GroupFile] = &[
    file(MeterFile::MemoryLimit, "memory.limit_in_bytes", false, true, false),
    file(MeterFile::MemorySwapLimit, "memory.memsw.limit_in_bytes", false, true, true),
    file(MeterFile::MemoryPeak, "memory.max_usage_in_bytes", true, true, false),
    file(MeterFile::MemoryNow, "memory.usage_in_bytes", true, false, false),
    file(MeterFile::MemoryEvents, "memory.oom_control", true, false, false),
    file(MeterFile::CpuUsage, "cpuacct.usage", true, false, false),
    file(MeterFile::ProcessLimit, "pids.max", false, true, false),
];

const fn file(kind: MeterFile, name: &'static str, read: bool, write: bool, optional: bool) -> GroupFile {
    GroupFile { kind, name, read, write, optional }
}

/// The hierarchies of the controllers that the sandbox needs.
pub(super) fn find() -> Result<Hierarchy, StartError> {
    let mounts = mounts("cgroup");
    let mut bases = Vec::new();
    let mut missing = Vec::new();
    for controller in CONTROLLERS {
        match mounts.iter().find(|(_, options)| options.iter().any(|option| option == controller)) {
            // Controllers may share a hierarchy, as cpu and cpuacct often do.
            Some((path, _)) if bases.contains(path) => {}
            Some((path, _)) if !writable(path) => missing.push(controller),
            Some((path, _)) => bases.push(path.clone()),
            None => missing.push(controller),
        }
    }
    if missing.is_empty() {
        return Ok(Hierarchy { version: CgroupVersion::V1, bases });
    }
    Err(StartError::Cgroup {
        missing: missing.join(", "),
        remedy: "mount them (cgroup v1) under /sys/fs/cgroup where the judge may write, or boot with cgroup v2 and \
                 give the judge a delegated, writable cgroup",
    })
}
