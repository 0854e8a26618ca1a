//! cgroup v2: one hierarchy.
//!
//! Its out-of-memory kills take one process, not the whole group (`memory.oom.group` stays 0): not every judge may
//! exempt the init from a group kill, and the init ends the rest of the run anyway.

use std::fs;
use std::path::{Path, PathBuf};

use super::files::{FileUse, Hierarchy, file_use, is_writable, mounts, write};
use crate::host::error::{SlotError, StartError};
use crate::protocol::wire::{CgroupFile, CgroupVersion};

const CONTROLLERS: [&str; 2] = ["memory", "pids"];
/// The child group that the judge moves to if its own group must have no processes, so that its children can have
/// controllers.
const JUDGE_GROUP: &str = "judge";

/// The kernel's names. The peak can be reset from Linux 6.12 on. Before that the memory of the largest process counts
/// if a run did not reach a new peak, and before 5.19 it always counts.
pub(super) const FILES: &[FileUse] = &[
    file_use(CgroupFile::MemoryLimit, "memory.max", false, true, false),
    file_use(CgroupFile::MemoryPeak, "memory.peak", true, true, true),
    file_use(CgroupFile::MemoryCurrent, "memory.current", true, false, false),
    file_use(CgroupFile::MemoryStat, "memory.stat", true, false, false),
    file_use(CgroupFile::MemoryEvents, "memory.events", true, false, false),
    file_use(CgroupFile::CpuUsage, "cpu.stat", true, false, false),
    file_use(CgroupFile::ProcessLimit, "pids.max", false, true, false),
];

/// The judge's own group, if the sandbox can use it. Changes nothing.
pub(super) fn usable_group() -> Result<PathBuf, StartError> {
    let base = own_group().filter(|base| missing(base, "cgroup.controllers").is_empty() && is_writable(base));
    base.ok_or_else(|| StartError::Cgroup {
        missing: CONTROLLERS.join(", "),
        remedy: "give the judge its own cgroup v2 with these controllers (systemd: Delegate=yes; containers: a \
                 private, writable cgroup namespace)",
    })
}

/// The judge's own group, with the controllers enabled for its children.
pub(super) fn find() -> Result<Hierarchy, StartError> {
    let base = usable_group()?;
    let enabled = enable_controllers(&base).or_else(|_| {
        // A group with processes cannot enable controllers for its children: move the judge to a child first.
        let child = base.join(JUDGE_GROUP);
        fs::create_dir_all(&child).and_then(|()| fs::write(child.join("cgroup.procs"), "0")).ok();
        enable_controllers(&base)
    });
    match enabled {
        Ok(()) => Ok(Hierarchy { version: CgroupVersion::V2, bases: vec![base] }),
        Err(_) => Err(StartError::Cgroup {
            missing: missing(&base, "cgroup.subtree_control").join(", "),
            remedy: "the judge must be alone in its cgroup and have write access to it",
        }),
    }
}

/// Enables the controllers for the children of a group, and the controller `cpu` if it is available: without it the init
/// lowers its own priority.
pub(super) fn enable_controllers(group: &Path) -> Result<(), SlotError> {
    let file = group.join("cgroup.subtree_control");
    if !missing(group, "cgroup.subtree_control").is_empty() {
        write(&file, "+memory +pids")?;
    }
    let _ = write(&file, "+cpu");
    Ok(())
}

/// Prevents a slot's group from swapping.
pub(super) fn disable_swap(group: &Path) -> Result<(), SlotError> {
    // Absent if the kernel has no swap accounting.
    if group.join("memory.swap.max").exists() {
        write(&group.join("memory.swap.max"), "0")?;
    }
    Ok(())
}

/// The CPU weight of the judge's own group and the group, or `None` if it is the root or its parent has not enabled the
/// controller `cpu`.
pub(crate) fn own_cpu_weight() -> Option<(u32, PathBuf)> {
    let base = own_group()?;
    let weight = fs::read_to_string(base.join("cpu.weight")).ok()?.trim().parse().ok()?;
    Some((weight, base))
}

fn own_group() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let (mount, _) = mounts("cgroup2").into_iter().next()?;
    // A judge that has moved to the child group keeps the same base.
    let own = own.strip_suffix(JUDGE_GROUP).unwrap_or(own).trim_end_matches('/');
    Some(mount.join(own))
}

/// The controllers that a group's file does not list.
fn missing(group: &Path, file: &str) -> Vec<&'static str> {
    let present = fs::read_to_string(group.join(file)).unwrap_or_default();
    CONTROLLERS.into_iter().filter(|name| !present.split_whitespace().any(|have| have == *name)).collect()
}
