//! Which means of isolation are in use, and whether this process may use them.

use std::fmt;

use crate::error::StartError;
use crate::wire::CgroupVersion;

/// The means of isolation in use, to be announced at start. There is no tier without all of namespaces,
/// cgroups and the system call filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The cgroup interface that limits memory, processes and CPU time.
    pub cgroups: CgroupVersion,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cgroups = match self.cgroups {
            CgroupVersion::V1 => "cgroup v1 (memory, pids, cpuacct)",
            CgroupVersion::V2 => "cgroup v2 (memory, pids, cpu)",
        };
        write!(f, "root with namespaces (PID, mount, network, IPC, UTS, cgroup), {cgroups}, seccomp")
    }
}

/// Capabilities that building a slot takes, by number (`linux/capability.h`).
const NEEDED: [(u32, &str); 8] = [
    (21, "CAP_SYS_ADMIN"),
    (27, "CAP_MKNOD"),
    (8, "CAP_SETPCAP"),
    (7, "CAP_SETUID"),
    (6, "CAP_SETGID"),
    (5, "CAP_KILL"),
    (1, "CAP_DAC_OVERRIDE"),
    (0, "CAP_CHOWN"),
];

/// Refuses to start without the privileges that isolation takes, and names what is missing.
pub(crate) fn check_privileges() -> Result<(), StartError> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    match missing_capability(&status) {
        Some(capability) => Err(StartError::NotPrivileged { capability }),
        None => Ok(()),
    }
}

fn missing_capability(status: &str) -> Option<&'static str> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let held = line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
    NEEDED.iter().find(|(number, _)| held & (1 << number) == 0).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(missing_capability("Name:\tx\nCapEff:\t000001ffffffffff\n"), None);
        assert_eq!(missing_capability("CapEff:\t00000000a80425fb\n"), Some("CAP_SYS_ADMIN"));
        assert_eq!(missing_capability(""), Some("CAP_SYS_ADMIN"));
    }
}
