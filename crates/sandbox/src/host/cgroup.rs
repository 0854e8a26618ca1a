//! The judge's cgroups: one group at the top, below it one group a slot.
//!
//! The top group is locked for as long as the judge lives, so that a later start can tell a dead judge's
//! groups from those of a neighbour, whatever PID namespace it lives in. A process is moved into a group only
//! when a slot is built: on v1 a move can wait 11 ms inside the kernel.

mod v1;
mod v2;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::host::config::TierChoice;
use crate::host::error::{SlotError, StartError};
use crate::protocol::wire::{CgroupVersion, MeterFile};

/// How the names of our top groups begin.
const PREFIX: &str = "gavel-";
/// How long to wait for a dead judge's processes to leave its groups.
const PATIENCE: Duration = Duration::from_secs(2);

/// Counts the top groups of this process.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Where groups are made, and how their files are called.
#[derive(Debug)]
pub(crate) struct Hierarchy {
    version: CgroupVersion,
    /// One directory a hierarchy, each holding our top group.
    bases: Vec<PathBuf>,
}

/// This judge's top group; removed on drop.
#[derive(Debug)]
pub(crate) struct Cgroups {
    hierarchy: Hierarchy,
    name: String,
    _lock: File,
}

/// One slot's group.
#[derive(Debug)]
pub(crate) struct SlotGroup {
    version: CgroupVersion,
    directories: Vec<PathBuf>,
}

impl Cgroups {
    /// Finds the controllers, removes what dead judges left, and makes this judge's top group; `None` where the
    /// choice is to do without. Blocks.
    pub(crate) fn open(choice: TierChoice) -> Result<Option<Self>, StartError> {
        let hierarchy = match choice {
            TierChoice::NoCgroup => return Ok(None),
            TierChoice::CgroupV1 => v1::find()?,
            TierChoice::CgroupV2 => v2::find()?,
            TierChoice::Auto | TierChoice::NoUserNamespace => v2::find().or_else(|_| v1::find())?,
        };
        // One start at a time on this machine, or one would take another's new group for a leftover.
        let starting = locked(&hierarchy.bases[0], FlockOperation::LockExclusive)?;
        hierarchy.remove_leftovers();
        let name = format!("{PREFIX}{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let directories: Vec<_> = hierarchy.bases.iter().map(|base| base.join(&name)).collect();
        for directory in &directories {
            make(directory)?;
        }
        let lock = locked(&directories[0], FlockOperation::LockShared)?;
        drop(starting);
        if hierarchy.version == CgroupVersion::V2 {
            v2::delegate(&directories[0])?;
        }
        Ok(Some(Self { hierarchy, name, _lock: lock }))
    }

    pub(crate) fn version(&self) -> CgroupVersion {
        self.hierarchy.version
    }

    /// Makes a slot's group.
    pub(crate) fn slot(&self, name: &str) -> Result<SlotGroup, SlotError> {
        let version = self.hierarchy.version;
        let bases = &self.hierarchy.bases;
        let directories = bases.iter().map(|base| base.join(&self.name).join(name)).collect();
        let group = SlotGroup { version, directories };
        for directory in &group.directories {
            make(directory)?;
        }
        if version == CgroupVersion::V2 {
            v2::prepare(&group.directories[0])?;
        }
        Ok(group)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for base in &self.hierarchy.bases {
            remove_group(&base.join(&self.name));
        }
    }
}

impl Hierarchy {
    /// Removes the groups of judges that live no more.
    fn remove_leftovers(&self) {
        for name in self.groups() {
            // Without a group in the first hierarchy nobody can hold the lock.
            let lock = File::open(self.bases[0].join(&name));
            let held = |lock: &File| flock(lock, FlockOperation::NonBlockingLockExclusive).is_err();
            if lock.as_ref().is_ok_and(held) {
                continue;
            }
            for base in &self.bases {
                remove_group(&base.join(&name));
            }
            tracing::info!(group = %name.to_string_lossy(), "removed the cgroups of a judge that is gone");
        }
    }

    /// The names of all judges' top groups.
    fn groups(&self) -> BTreeSet<OsString> {
        let entries = self.bases.iter().filter_map(|base| fs::read_dir(base).ok()).flatten().flatten();
        let names = entries.map(|entry| entry.file_name());
        names.filter(|name| name.to_string_lossy().starts_with(PREFIX)).collect()
    }
}

impl SlotGroup {
    /// Moves a process into the group.
    pub(crate) fn enter(&self, pid: i32) -> Result<(), SlotError> {
        self.directories
            .iter()
            .try_for_each(|directory| write(&directory.join("cgroup.procs"), &pid.to_string()))
    }

    /// Opens the files that the init works with.
    pub(crate) fn meter(&self) -> Result<(Vec<MeterFile>, Vec<OwnedFd>), SlotError> {
        let files = match self.version {
            CgroupVersion::V1 => v1::METER,
            CgroupVersion::V2 => v2::METER,
        };
        let (mut kinds, mut fds) = (Vec::new(), Vec::new());
        for file in files {
            let found =
                self.directories.iter().map(|directory| directory.join(file.name)).find(|p| p.exists());
            let path = found.unwrap_or_else(|| self.directories[0].join(file.name));
            match fs::OpenOptions::new().read(file.read).write(file.write).open(&path) {
                Ok(opened) => {
                    kinds.push(file.kind);
                    fds.push(opened.into());
                }
                Err(_) if file.optional => {}
                Err(source) => return Err(failed("open", &path)(source)),
            }
        }
        Ok((kinds, fds))
    }

    /// Removes the group where no process is in it any more. Whether it is gone.
    pub(crate) fn remove(&self) -> bool {
        self.directories.iter().filter(|directory| !gone(directory)).count() == 0
    }
}

/// Whether v2 can be used, and where. Changes nothing.
pub(crate) fn look_v2() -> Result<String, StartError> {
    v2::look().map(|base| format!("memory and pids at {}", base.display()))
}

/// Whether v1 can be used, and where. Changes nothing.
pub(crate) fn look_v1() -> Result<String, StartError> {
    let hierarchy = v1::find()?;
    let places: Vec<_> = hierarchy.bases.iter().map(|base| base.display().to_string()).collect();
    Ok(format!("memory, pids and cpuacct at {}", places.join(", ")))
}

/// Whether this process may make groups here.
fn writable(directory: &Path) -> bool {
    rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).is_ok()
}

/// A cgroup file that the init works with.
struct GroupFile {
    kind: MeterFile,
    name: &'static str,
    read: bool,
    write: bool,
    optional: bool,
}

/// Removes a top group with its slots, ending what still lives there.
fn remove_group(top: &Path) {
    let deadline = Instant::now() + PATIENCE;
    let children: Vec<_> = fs::read_dir(top)
        .map(|entries| entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
        .unwrap_or_default();
    for directory in children.iter().map(PathBuf::as_path).chain([top]) {
        while !gone(directory) && Instant::now() < deadline {
            end_processes(directory);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn end_processes(directory: &Path) {
    let processes = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    for pid in processes.lines().filter_map(|line| rustix::process::Pid::from_raw(line.parse().ok()?)) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

fn gone(directory: &Path) -> bool {
    match fs::remove_dir(directory) {
        Ok(()) => true,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Opens and locks a directory, waiting for whoever holds the lock.
fn locked(directory: &Path, how: FlockOperation) -> Result<File, SlotError> {
    let lock = File::open(directory).map_err(failed("open", directory))?;
    flock(&lock, how).map_err(|errno| failed("lock", directory)(errno.into()))?;
    Ok(lock)
}

fn make(directory: &Path) -> Result<(), SlotError> {
    fs::create_dir(directory).map_err(failed("make", directory))
}

fn write(path: &Path, value: &str) -> Result<(), SlotError> {
    fs::write(path, value).map_err(failed("write", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> SlotError {
    let path = path.to_owned();
    move |source| SlotError::Cgroup { action, path, source }
}

/// Mounts of this type: mount point and the options of the file system.
fn mounts(kind: &str) -> Vec<(PathBuf, Vec<String>)> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().filter_map(|line| parse_mount(line, kind)).collect()
}

/// One line of `/proc/self/mountinfo` (proc(5)).
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
    fn a_mount_is_read_with_its_options() {
        let line = "34 24 0:30 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory";
        let (path, options) = parse_mount(line, "cgroup").unwrap();
        assert_eq!(path, PathBuf::from("/sys/fs/cgroup/memory"));
        assert_eq!(options, ["rw", "memory"]);
        assert!(parse_mount(line, "cgroup2").is_none());
    }
}
