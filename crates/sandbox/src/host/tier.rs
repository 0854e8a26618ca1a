//! Which means of isolation are in use, and which of them this process may use.

use std::fmt;
use std::fs;
use std::io;

use crate::host::cgroup::Cgroups;
use crate::host::config::{MAX_SLOTS, SandboxConfig, TierChoice};
use crate::host::error::StartError;
use crate::protocol::ids::Ids;
use crate::protocol::wire::CgroupVersion;
use crate::spawn::{self, ChildStack};

/// The means of isolation in use, to be announced at start. There is no tier without PID, mount, network, IPC, UTS
/// and cgroup namespaces, the minimal root and the system call filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The cgroup interface that limits memory, processes and CPU time; without one they are sampled.
    pub cgroups: Option<CgroupVersion>,
    /// Whose ids the slots have.
    pub ids: Ids,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cgroups = match self.cgroups {
            Some(CgroupVersion::V1) => "cgroup v1 (memory, pids, cpuacct)",
            Some(CgroupVersion::V2) => "cgroup v2 (memory, pids)",
            None => "no cgroup (memory and CPU time are sampled)",
        };
        let ids = match self.ids {
            Ids::Two => "a user namespace a slot with ids of its own",
            Ids::One => "a user namespace a slot with the judge's own id",
            Ids::Host => "no user namespace",
        };
        write!(f, "{cgroups}, {ids}, namespaces (PID, mount, network, IPC, UTS, cgroup), seccomp")
    }
}

/// Capabilities by number (`linux/capability.h`): those that slots with ids of their own take.
const FOR_IDS: [(u32, &str); 3] = [(7, "CAP_SETUID"), (6, "CAP_SETGID"), (0, "CAP_CHOWN")];
/// Those that a slot without a user namespace takes.
const FOR_HOST: [(u32, &str); 7] = [
    (21, "CAP_SYS_ADMIN"),
    (8, "CAP_SETPCAP"),
    (7, "CAP_SETUID"),
    (6, "CAP_SETGID"),
    (5, "CAP_KILL"),
    (1, "CAP_DAC_OVERRIDE"),
    (0, "CAP_CHOWN"),
];

/// The tier that is asked for, with its cgroups. Blocks.
pub(crate) fn settle(config: &SandboxConfig) -> Result<(Tier, Option<Cgroups>), StartError> {
    let ids = ids(config)?;
    let cgroups = Cgroups::open(config.tier)?;
    Ok((Tier { cgroups: cgroups.as_ref().map(Cgroups::version), ids }, cgroups))
}

/// Whose ids slots can have.
pub(crate) fn ids(config: &SandboxConfig) -> Result<Ids, StartError> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if config.tier == TierChoice::NoUserNamespace {
        return match missing_capability(&status, &FOR_HOST) {
            Some(capability) => Err(StartError::NotPrivileged { capability }),
            None => Ok(Ids::Host),
        };
    }
    make_user_namespace().map_err(StartError::UserNamespace)?;
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let last = config.first_uid.saturating_add(u32::try_from(2 * MAX_SLOTS).unwrap_or(u32::MAX));
    let own_ids = missing_capability(&status, &FOR_IDS).is_none() && covers(&map, config.first_uid, last);
    Ok(if own_ids { Ids::Two } else { Ids::One })
}

/// Whether a process may be started with all the namespaces of a slot.
#[expect(unsafe_code, reason = "clone has no safe form")]
pub(crate) fn make_user_namespace() -> io::Result<()> {
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

/// Whether an id map (`user_namespaces(7)`) knows all of these ids by one of its lines.
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
    fn what_is_missing_is_named() {
        assert_eq!(missing_capability("Name:\tx\nCapEff:\t000001ffffffffff\n", &FOR_HOST), None);
        assert_eq!(missing_capability("CapEff:\t00000000a80425fb\n", &FOR_HOST), Some("CAP_SYS_ADMIN"));
        assert_eq!(missing_capability("CapEff:\t00000000a80425fb\n", &FOR_IDS), None);
        assert_eq!(missing_capability("", &FOR_IDS), Some("CAP_SETUID"));
    }

    #[test]
    fn ids_that_a_container_does_not_have_are_not_used() {
        assert!(covers("         0          0 4294967295\n", 60_000, 61_024));
        assert!(covers("0 1000 1\n1 100000 65536\n", 60_000, 61_024));
        assert!(!covers("0 1000 1\n", 60_000, 61_024));
        assert!(!covers("0 100000 60500\n", 60_000, 61_024));
    }
}
