//! The file system interface of both cgroup versions.

use std::fs;
use std::path::{Path, PathBuf};

use crate::host::error::SlotError;
use crate::protocol::wire::{CgroupFile, CgroupVersion};

/// Where groups are made, and which interface they have.
#[derive(Debug)]
pub(super) struct Hierarchy {
    pub(super) version: CgroupVersion,
    /// One directory for each hierarchy; each contains the judge's top group.
    pub(super) bases: Vec<PathBuf>,
}

/// How the init uses a cgroup file.
pub(super) struct FileUse {
    pub(super) file: CgroupFile,
    pub(super) name: &'static str,
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) optional: bool,
}

pub(super) const fn file_use(
    file: CgroupFile,
    name: &'static str,
    read: bool,
    write: bool,
    optional: bool,
) -> FileUse {
    FileUse { file, name, read, write, optional }
}

/// By how much the CPU weight of a slot is lower than that of a service, which is the default.
const WEIGHT_DIVISOR: usize = 4;

/// Sets the weight of a top group with this many slots, if the group has the controller `cpu`. Returns whether it has.
///
/// A group's weight is divided among the CPUs that its processes use, so the weight of a slot is multiplied by the number
/// of slots.
pub(super) fn set_cpu_weight(directories: &[PathBuf], version: CgroupVersion, slots: usize) -> bool {
    // The default and the largest weight.
    let (name, default, largest) = match version {
        CgroupVersion::V1 => ("cpu.shares", 1024, 262_144),
        CgroupVersion::V2 => ("cpu.weight", 100, 10_000),
    };
    let weight = (slots * default / WEIGHT_DIVISOR).clamp(1, largest);
    let mut files = directories.iter().map(|directory| directory.join(name));
    files.find(|file| file.exists()).is_some_and(|file| write(&file, &weight.to_string()).is_ok())
}

/// Whether this process may create groups in this directory.
pub(super) fn is_writable(directory: &Path) -> bool {
    rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).is_ok()
}

pub(super) fn create(directory: &Path) -> Result<(), SlotError> {
    fs::create_dir(directory).map_err(failed("create", directory))
}

pub(super) fn write(path: &Path, value: &str) -> Result<(), SlotError> {
    fs::write(path, value).map_err(failed("write", path))
}

pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> SlotError {
    let path = path.to_owned();
    move |source| SlotError::Cgroup { action, path, source }
}

/// The mounts of this type: mount point and options of the file system.
pub(super) fn mounts(kind: &str) -> Vec<(PathBuf, Vec<String>)> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().filter_map(|line| parse_mount(line, kind)).collect()
}

/// Parses one line of `/proc/self/mountinfo` (proc(5)). Returns `None` if the mount is of another type.
fn parse_mount(line: &str, kind: &str) -> Option<(PathBuf, Vec<String>)> {
    let (mount, system) = line.split_once(" - ")?;
    let mut system = system.split(' ');
    if system.next()? != kind {
        return None;
    }
    let options = system.nth(1)?.split(',').map(str::to_owned).collect();
    Some((PathBuf::from(mount.split(' ').nth(4)?), options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_is_parsed_with_its_options() {
        let line = "34 24 0:30 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory";
        let (path, options) = parse_mount(line, "cgroup").unwrap();
        assert_eq!(path, PathBuf::from("/sys/fs/cgroup/memory"));
        assert_eq!(options, ["rw", "memory"]);
        assert!(parse_mount(line, "cgroup2").is_none());
    }
}
