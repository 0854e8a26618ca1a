//! The judge's cgroups: one top group, and below it one group for each slot.
//!
//! The top group is locked for as long as the judge lives, so that a later start can tell the groups of a judge that
//! has exited from those of a running one, even in another PID namespace. A process is moved into a group only when
//! a slot is built: on v1 a move can wait 11 ms inside the kernel.

mod cpu_weight;
mod files;
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
use crate::host::cpus;
use crate::host::error::{SlotError, StartError};
use crate::protocol::wire::{CgroupFile, CgroupVersion};
use cpu_weight::CpuWeight;
use files::{Hierarchy, create, failed, write};
pub(crate) use v2::own_cpu_weight;

/// The prefix of the names of top groups.
const PREFIX: &str = "gavel-";
/// How long to wait until the processes of an exited judge have left its groups.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Counts the top groups of this process.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// This judge's top group; removed on drop.
#[derive(Debug)]
pub(crate) struct Cgroups {
    hierarchy: Hierarchy,
    name: String,
    /// `None` without the controller `cpu`.
    cpu_weight: Option<CpuWeight>,
    _lock: File,
}

/// One slot's group.
#[derive(Debug)]
pub(crate) struct SlotGroup {
    version: CgroupVersion,
    directories: Vec<PathBuf>,
}

impl Cgroups {
    /// Finds the controllers, removes the groups of exited judges, and creates this judge's top group.
    /// Returns `None` if the tier uses no cgroups. Blocks.
    pub(crate) fn open(choice: TierChoice) -> Result<Option<Self>, StartError> {
        let hierarchy = match choice {
            TierChoice::NoCgroup => return Ok(None),
            TierChoice::CgroupV1 => v1::find()?,
            TierChoice::CgroupV2 => v2::find()?,
            TierChoice::Auto | TierChoice::NoUserNamespace => v2::find().or_else(|_| v1::find())?,
        };
        // One start at a time on this machine: another would remove the new group before it is locked.
        let start_lock = lock(&hierarchy.bases[0], FlockOperation::LockExclusive)?;
        remove_abandoned_groups(&hierarchy);
        let name = format!("{PREFIX}{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let directories: Vec<_> = hierarchy.bases.iter().map(|base| base.join(&name)).collect();
        for directory in &directories {
            create(directory)?;
        }
        let group_lock = lock(&directories[0], FlockOperation::LockShared)?;
        drop(start_lock);
        if hierarchy.version == CgroupVersion::V2 {
            v2::enable_controllers(&directories[0])?;
        }
        let cpus = cpus::allowed().len().max(1);
        let cpu_weight = CpuWeight::open(&directories, hierarchy.version, cpus);
        Ok(Some(Self { hierarchy, name, cpu_weight, _lock: group_lock }))
    }

    pub(crate) fn version(&self) -> CgroupVersion {
        self.hierarchy.version
    }

    /// Whether the group gives programs a lower CPU weight than services.
    pub(crate) fn has_cpu_weight(&self) -> bool {
        self.cpu_weight.is_some()
    }

    /// Sets the CPU weight of the group for this many busy slots.
    pub(crate) fn set_busy_slots(&self, busy: usize) {
        if let Some(weight) = &self.cpu_weight {
            // It could be set at the start; without this change programs have the weight of fewer or more slots.
            let _ = weight.set_busy_slots(busy);
        }
    }

    /// The smallest memory limit of the groups above the slots, in bytes; `u64::MAX` if no group has a limit.
    pub(crate) fn memory_limit(&self) -> u64 {
        let groups = self.hierarchy.bases.iter().flat_map(|base| base.ancestors());
        let files =
            groups.flat_map(|group| ["memory.max", "memory.limit_in_bytes"].map(|name| group.join(name)));
        let limits = files.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
        limits.min().unwrap_or(u64::MAX)
    }

    /// Creates a slot's group.
    pub(crate) fn slot(&self, name: &str) -> Result<SlotGroup, SlotError> {
        let version = self.hierarchy.version;
        let bases = &self.hierarchy.bases;
        let directories = bases.iter().map(|base| base.join(&self.name).join(name)).collect();
        let group = SlotGroup { version, directories };
        for directory in &group.directories {
            create(directory)?;
        }
        if version == CgroupVersion::V2 {
            v2::disable_swap(&group.directories[0])?;
        }
        Ok(group)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for base in &self.hierarchy.bases {
            remove_top_group(&base.join(&self.name));
        }
    }
}

impl SlotGroup {
    /// Moves a process into the group.
    pub(crate) fn enter(&self, pid: i32) -> Result<(), SlotError> {
        self.directories
            .iter()
            .try_for_each(|directory| write(&directory.join("cgroup.procs"), &pid.to_string()))
    }

    /// Opens the files that the init uses.
    pub(crate) fn open_files(&self) -> Result<(Vec<CgroupFile>, Vec<OwnedFd>), SlotError> {
        let uses = match self.version {
            CgroupVersion::V1 => v1::FILES,
            CgroupVersion::V2 => v2::FILES,
        };
        let (mut files, mut fds) = (Vec::new(), Vec::new());
        for each in uses {
            let found =
                self.directories.iter().map(|directory| directory.join(each.name)).find(|p| p.exists());
            let path = found.unwrap_or_else(|| self.directories[0].join(each.name));
            match fs::OpenOptions::new().read(each.read).write(each.write).open(&path) {
                Ok(opened) => {
                    files.push(each.file);
                    fds.push(opened.into());
                }
                Err(_) if each.optional => {}
                Err(source) => return Err(failed("open", &path)(source)),
            }
        }
        Ok((files, fds))
    }

    /// Removes the group if no process is in it. Returns whether the group is gone.
    pub(crate) fn remove(&self) -> bool {
        self.directories.iter().filter(|directory| !remove_dir(directory)).count() == 0
    }
}

/// Describes where v2 is usable. Changes nothing.
pub(crate) fn probe_v2() -> Result<String, StartError> {
    v2::usable_group().map(|base| format!("memory and pids at {}", base.display()))
}

/// Describes where v1 is usable. Changes nothing.
pub(crate) fn probe_v1() -> Result<String, StartError> {
    let hierarchy = v1::find()?;
    let bases: Vec<_> = hierarchy.bases.iter().map(|base| base.display().to_string()).collect();
    Ok(format!("memory, pids and cpuacct at {}", bases.join(", ")))
}

/// Whether the judge is in a group with the controller `cpu`, of either version.
pub(crate) fn is_in_cpu_group() -> bool {
    v1::is_in_cpu_group() || own_cpu_weight().is_some()
}

/// Removes the groups of judges that have exited.
fn remove_abandoned_groups(hierarchy: &Hierarchy) {
    for name in top_groups(hierarchy) {
        // If the group does not exist in the first hierarchy, no judge can hold the lock.
        let lock = File::open(hierarchy.bases[0].join(&name));
        let is_held = |lock: &File| flock(lock, FlockOperation::NonBlockingLockExclusive).is_err();
        if lock.as_ref().is_ok_and(is_held) {
            continue;
        }
        for base in &hierarchy.bases {
            remove_top_group(&base.join(&name));
        }
        tracing::info!(group = %name.to_string_lossy(), "removed the cgroups of a judge that has exited");
    }
}

/// The names of all judges' top groups.
fn top_groups(hierarchy: &Hierarchy) -> BTreeSet<OsString> {
    let entries = hierarchy.bases.iter().filter_map(|base| fs::read_dir(base).ok()).flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().starts_with(PREFIX)).collect()
}

/// Removes a top group with the groups of its slots, and kills the processes in them.
fn remove_top_group(top: &Path) {
    let deadline = Instant::now() + REMOVE_TIMEOUT;
    let children: Vec<_> = fs::read_dir(top)
        .map(|entries| entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
        .unwrap_or_default();
    for directory in children.iter().map(PathBuf::as_path).chain([top]) {
        while !remove_dir(directory) && Instant::now() < deadline {
            kill_processes(directory);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn kill_processes(directory: &Path) {
    let processes = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    for pid in processes.lines().filter_map(|line| rustix::process::Pid::from_raw(line.parse().ok()?)) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// Removes a directory. Returns whether it is gone.
fn remove_dir(directory: &Path) -> bool {
    match fs::remove_dir(directory) {
        Ok(()) => true,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Opens and locks a directory; waits if the lock is held.
fn lock(directory: &Path, operation: FlockOperation) -> Result<File, SlotError> {
    let lock = File::open(directory).map_err(failed("open", directory))?;
    flock(&lock, operation).map_err(|errno| failed("lock", directory)(errno.into()))?;
    Ok(lock)
}
