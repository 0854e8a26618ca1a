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
