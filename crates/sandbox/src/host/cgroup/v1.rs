//! cgroup v1: a hierarchy for each controller.

use std::fs;

use super::files::{FileUse, Hierarchy, file_use, is_writable, mounts};
use crate::host::error::StartError;
use crate::protocol::wire::{CgroupFile, CgroupVersion};

const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpuacct"];
/// Gives programs a lower weight than services; without it the init lowers its own priority.
const CPU: &str = "cpu";

/// The kernel's names (`Documentation/admin-guide/cgroup-v1`).
pub(super) const FILES: &[FileUse] = &[
    file_use(CgroupFile::MemoryLimit, "memory.limit_in_bytes", false, true, false),
    file_use(CgroupFile::MemorySwapLimit, "memory.memsw.limit_in_bytes", false, true, true),
    file_use(CgroupFile::MemoryPeak, "memory.max_usage_in_bytes", true, true, false),
    file_use(CgroupFile::MemoryCurrent, "memory.usage_in_bytes", true, false, false),
    file_use(CgroupFile::MemoryStat, "memory.stat", true, false, false),
    file_use(CgroupFile::MemoryEvents, "memory.oom_control", true, false, false),
    file_use(CgroupFile::CpuUsage, "cpuacct.usage", true, false, false),
    file_use(CgroupFile::ProcessLimit, "pids.max", false, true, false),
];

/// The hierarchies of the controllers that the sandbox needs.
pub(super) fn find() -> Result<Hierarchy, StartError> {
    let mounts = mounts("cgroup");
    let mut bases = Vec::new();
    let mut missing = Vec::new();
    for controller in CONTROLLERS.into_iter().chain([CPU]) {
        match mounts.iter().find(|(_, options)| options.iter().any(|option| option == controller)) {
            // Controllers may share a hierarchy, as cpu and cpuacct often do.
            Some((path, _)) if bases.contains(path) => {}
            Some((path, _)) if is_writable(path) => bases.push(path.clone()),
            _ if controller == CPU => {}
            _ => missing.push(controller),
        }
    }
    if missing.is_empty() {
        return Ok(Hierarchy { version: CgroupVersion::V1, bases });
    }
    Err(StartError::Cgroup {
        missing: missing.join(", "),
        remedy: "mount them (cgroup v1) under /sys/fs/cgroup so that the judge may write there, or boot with \
                 cgroup v2 and delegate a writable cgroup to the judge",
    })
}

/// Whether the judge is in another group of the controller `cpu` than the root.
pub(super) fn is_in_cpu_group() -> bool {
    cpu_path(&fs::read_to_string("/proc/self/cgroup").unwrap_or_default()).is_some_and(|path| path != "/")
}

/// The path of the group with the controller `cpu` in the text of `/proc/self/cgroup` (cgroups(7)).
fn cpu_path(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|controller| controller == CPU).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_of_the_controller_cpu_is_found() {
        assert_eq!(cpu_path("3:cpuset:/a\n2:cpu,cpuacct:/docker/7\n0::/b\n"), Some("/docker/7"));
        assert_eq!(cpu_path("3:cpuset:/a\n0::/b\n"), None);
    }
}
