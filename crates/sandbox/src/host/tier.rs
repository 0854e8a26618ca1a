//! Selecting the means of isolation, depending on the configuration and on the privileges of this process.

use std::fmt;
use std::fs;
use std::io;

use rustix::process::geteuid;

use crate::host::cgroup::Cgroups;
use crate::host::config::{MAX_SLOTS, SandboxConfig, TierChoice};
use crate::host::error::{MIN_KERNEL, StartError};
use crate::protocol::ids::IdMapping;
use crate::protocol::wire::CgroupVersion;
use crate::spawn::{self, ChildStack};

/// The means of isolation in use, for the log at start. Every tier has PID, mount, network, IPC, UTS and cgroup
/// namespaces, the minimal root and the system call filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The cgroup interface that limits memory and processes and accounts CPU time. If `None`, memory and CPU time
    /// are sampled.
    pub cgroups: Option<CgroupVersion>,
    /// Which user and group ids the slots have.
    pub id_mapping: IdMapping,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cgroups = match self.cgroups {
            Some(CgroupVersion::V1) => "cgroup v1 (memory, pids, cpuacct)",
            Some(CgroupVersion::V2) => "cgroup v2 (memory, pids)",
            None => "no cgroup (memory and CPU time are sampled)",
        };
        let ids = match self.id_mapping {
            IdMapping::Separate => "a user namespace for each slot with separate ids",
            IdMapping::JudgeOnly => "a user namespace for each slot with the judge's own id",
            IdMapping::Unmapped => "no user namespace",
        };
        write!(f, "{cgroups}, {ids}, namespaces (PID, mount, network, IPC, UTS, cgroup), seccomp")
    }
}

/// The capabilities, by number (`linux/capability.h`), that the judge needs for slots with separate ids.
const SEPARATE_ID_CAPABILITIES: [(u32, &str); 3] = [(7, "CAP_SETUID"), (6, "CAP_SETGID"), (0, "CAP_CHOWN")];
/// The capabilities that the judge needs for slots without a user namespace.
const NO_USER_NAMESPACE_CAPABILITIES: [(u32, &str); 7] = [
    (21, "CAP_SYS_ADMIN"),
    (8, "CAP_SETPCAP"),
    (7, "CAP_SETUID"),
    (6, "CAP_SETGID"),
    (5, "CAP_KILL"),
    (1, "CAP_DAC_OVERRIDE"),
    (0, "CAP_CHOWN"),
];

/// Selects the configured tier and opens its cgroups. Blocks.
pub(crate) fn select(config: &SandboxConfig) -> Result<(Tier, Option<Cgroups>), StartError> {
    check_kernel()?;
    let id_mapping = id_mapping(config)?;
    let cgroups = Cgroups::open(config.tier)?;
    Ok((Tier { cgroups: cgroups.as_ref().map(Cgroups::version), id_mapping }, cgroups))
}

/// Checks that the kernel is recent enough.
pub(crate) fn check_kernel() -> Result<(), StartError> {
    let release = kernel_release();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < MIN_KERNEL { Err(StartError::Kernel { release }) } else { Ok(()) }
}

/// The release of the kernel, as `uname -r` shows it.
pub(crate) fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Selects the ids that slots can have.
pub(crate) fn id_mapping(config: &SandboxConfig) -> Result<IdMapping, StartError> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if config.tier == TierChoice::NoUserNamespace {
        return match missing_capability(&status, &NO_USER_NAMESPACE_CAPABILITIES) {
            Some(capability) => Err(StartError::NotPrivileged { capability }),
            None => Ok(IdMapping::Unmapped),
        };
    }
    try_user_namespace().map_err(StartError::UserNamespace)?;
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    match missing_for_separate_ids(&status, &map, config.first_uid) {
        None => Ok(IdMapping::Separate),
        // Programs would have root's id, and a judge that is root is expected to give them others.
        Some(missing) if geteuid().is_root() => Err(StartError::RootWithoutIds { missing }),
        Some(_) => Ok(IdMapping::JudgeOnly),
    }
}

/// What slots with separate ids need and this process lacks.
fn missing_for_separate_ids(status: &str, uid_map: &str, first: u32) -> Option<String> {
    let end = first.saturating_add(u32::try_from(2 * MAX_SLOTS).unwrap_or(u32::MAX));
    let capability = missing_capability(status, &SEPARATE_ID_CAPABILITIES);
    capability.map(str::to_owned).or_else(|| {
        (!covers(uid_map, first, end)).then(|| format!("the user ids {first} to {} (see uid_map)", end - 1))
    })
}

/// Starts and ends a process with all namespaces of a slot. Returns an error if this process may not.
#[expect(unsafe_code, reason = "clone has no safe form")]
pub(crate) fn try_user_namespace() -> io::Result<()> {
    let flags = libc::CLONE_NEWUSER | spawn::NAMESPACES;
    // SAFETY: the child does nothing; it exits at once.
    let (pid, _) = unsafe { spawn::vfork(&mut ChildStack::new(), flags, &mut || ()) }?;
    // SAFETY: waits for the child that has just exited; a null status is allowed.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    Ok(())
}

fn missing_capability(status: &str, needed: &[(u32, &'static str)]) -> Option<&'static str> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let held = line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
    needed.iter().find(|(number, _)| held & (1 << number) == 0).map(|(_, name)| *name)
}

/// Whether one line of an id map (`user_namespaces(7)`) contains all ids from `first` to `last`.
fn covers(map: &str, first: u32, last: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u64>().unwrap_or(0));
        let (start, _, length) = (numbers.next(), numbers.next(), numbers.next());
        start.zip(length).is_some_and(|(start, length)| {
            start <= u64::from(first) && u64::from(last) <= start.saturating_add(length)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_missing_capability_is_named() {
        assert_eq!(
            missing_capability("Name:\tx\nCapEff:\t000001ffffffffff\n", &NO_USER_NAMESPACE_CAPABILITIES),
            None
        );
        assert_eq!(
            missing_capability("CapEff:\t00000000a80425fb\n", &NO_USER_NAMESPACE_CAPABILITIES),
            Some("CAP_SYS_ADMIN")
        );
        assert_eq!(missing_capability("CapEff:\t00000000a80425fb\n", &SEPARATE_ID_CAPABILITIES), None);
        assert_eq!(missing_capability("", &SEPARATE_ID_CAPABILITIES), Some("CAP_SETUID"));
    }

    #[test]
    fn separate_ids_name_what_they_need() {
        let (all, every_id) = ("CapEff:\t000001ffffffffff\n", "0 0 4294967295\n");
        assert_eq!(missing_for_separate_ids(all, every_id, 60_000), None);
        let without_setuid = "CapEff:\t000001ffffffff7f\n";
        let missing = missing_for_separate_ids(without_setuid, every_id, 60_000);
        assert_eq!(missing.as_deref(), Some("CAP_SETUID"));
        let missing = missing_for_separate_ids(all, "0 1000 1\n", 60_000).unwrap();
        assert!(missing.contains("60000 to 61023"), "{missing}");
    }

    #[test]
    fn ids_outside_a_containers_map_are_not_covered() {
        assert!(covers("         0          0 4294967295\n", 60_000, 61_024));
        assert!(covers("0 1000 1\n1 100000 65536\n", 60_000, 61_024));
        assert!(!covers("0 1000 1\n", 60_000, 61_024));
        assert!(!covers("0 100000 60500\n", 60_000, 61_024));
    }
}
