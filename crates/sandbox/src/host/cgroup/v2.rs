//! cgroup v2: one hierarchy.
//!
//! Its out-of-memory kills take one process, not the group (`memory.oom.group` stays 0): not every judge may exempt
//! the init from a group kill, and the init ends the rest of the run anyway.

use std::fs;
use std::path::{Path, PathBuf};

use super::{GroupFile, Hierarchy, mounts, writable, write};
use crate::host::error::{SlotError, StartError};
use crate::protocol::wire::{CgroupVersion, MeterFile};

const CONTROLLERS: [&str; 2] = ["memory", "pids"];
/// Where the judge itself goes where its own group must be emptied to get children with controllers.
const JUDGE: &str = "judge";

/// The kernel's names. The peak can be reset from Linux 6.12 on; before that the largest process counts where a run did
/// not set a new one, and before 5.19 always.
pub(super) const METER: &[GroupFile] = &[
    file(MeterFile::MemoryLimit, "memory.max", false, true, false),
    file(MeterFile::MemoryPeak, "memory.peak", true, true, true),
    file(MeterFile::MemoryNow, "memory.current", true, false, false),
    file(MeterFile::MemoryEvents, "memory.events", true, false, false),
    file(MeterFile::CpuUsage, "cpu.stat", true, false, false),
    file(MeterFile::ProcessLimit, "pids.max", false, true, false),
];

const fn file(kind: MeterFile, name: &'static str, read: bool, write: bool, optional: bool) -> GroupFile {
    GroupFile { kind, name, read, write, optional }
}

/// The judge's own group, if it may be used. Changes nothing.
pub(super) fn look() -> Result<PathBuf, StartError> {
    let base = own_group().filter(|base| missing(base, "cgroup.controllers").is_empty() && writable(base));
    base.ok_or_else(|| StartError::Cgroup {
        missing: CONTROLLERS.join(", "),
        remedy: "give the judge a cgroup v2 of its own with these controllers (systemd: Delegate=yes; containers: a \
                 private, writable cgroup namespace)",
    })
}

/// The judge's own group, with the controllers handed down to its children.
pub(super) fn find() -> Result<Hierarchy, StartError> {
    let base = look()?;
    let handed = hand_down(&base).or_else(|_| {
        // A group with processes cannot hand down controllers: step aside into a child first.
        let aside = base.join(JUDGE);
        fs::create_dir_all(&aside).and_then(|()| fs::write(aside.join("cgroup.procs"), "0")).ok();
        hand_down(&base)
    });
    match handed {
        Ok(()) => Ok(Hierarchy { version: CgroupVersion::V2, bases: vec![base] }),
        Err(_) => Err(StartError::Cgroup {
            missing: missing(&base, "cgroup.subtree_control").join(", "),
            remedy: "the judge must be alone in its cgroup, and may write it",
        }),
    }
}

/// Hands the controllers down from the top group to the slots'.
pub(super) fn delegate(top: &Path) -> Result<(), SlotError> {
    hand_down(top)
}

/// Settings of a slot's group that hold for its life.
pub(super) fn prepare(group: &Path) -> Result<(), SlotError> {
    // Absent where the kernel has no swap accounting; then there is no swap to speak of.
    if group.join("memory.swap.max").exists() {
        write(&group.join("memory.swap.max"), "0")?;
    }
    Ok(())
}

fn own_group() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let (mount, _) = mounts("cgroup2").into_iter().next()?;
    // A judge that stepped aside before is still in the same base.
    let own = own.strip_suffix(JUDGE).unwrap_or(own).trim_end_matches('/');
    Some(mount.join(own))
}

fn hand_down(group: &Path) -> Result<(), SlotError> {
    if missing(group, "cgroup.subtree_control").is_empty() {
        return Ok(());
    }
    write(&group.join("cgroup.subtree_control"), "+memory +pids")
}

fn missing(group: &Path, file: &str) -> Vec<&'static str> {
    let present = fs::read_to_string(group.join(file)).unwrap_or_default();
    CONTROLLERS.into_iter().filter(|name| !present.split_whitespace().any(|have| have == *name)).collect()
}
