//! Whether the scheduler gives each session a share of the CPU (`sched(7)`, autogroup).

use std::fs;

use crate::host::cgroup;

/// Whether each session has a separate share. That is so if the kernel has autogroups, they are enabled, and the judge is in
/// no cgroup with the controller `cpu`: its groups replace them.
pub(crate) fn is_effective() -> bool {
    let enabled = fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled");
    enabled.is_ok_and(|enabled| enabled.trim() != "0") && !cgroup::is_in_cpu_group()
}
