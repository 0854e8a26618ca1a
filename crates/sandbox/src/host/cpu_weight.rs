//! The CPU weight of the judge's group, in which its programs have a lower one than the judge.

use std::path::PathBuf;

use crate::host::cgroup;
use crate::host::check::HostCheck;

/// Warns if the group of a judge that has started has the weight of a service.
pub(crate) fn warn() {
    let HostCheck { ok, detail, impact, remedy, .. } = check();
    if !ok {
        tracing::warn!("CPU weight {detail}: {impact}. Remedy: {remedy}");
    }
}

/// Checks the weight of the group of this process.
pub(crate) fn check() -> HostCheck {
    check_weight(cgroup::own_cpu_weight())
}

/// Checks a weight. `own` is `None` if the group has no weight.
fn check_weight(own: Option<(u32, PathBuf)>) -> HostCheck {
    const DEFAULT_WEIGHT: u32 = 100;
    HostCheck {
        name: "CPU weight",
        ok: own.as_ref().is_none_or(|(weight, _)| *weight < DEFAULT_WEIGHT),
        detail: own.map_or_else(
            || "this process is in no cgroup v2 with a weight".to_owned(),
            |(weight, group)| format!("{weight} for {}, the group of this process", group.display()),
        ),
        impact: "programs can delay services in other systemd units or containers",
        remedy: "set CPUWeight=25 in the judge's unit, or cpu_shares: 256 for its container",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_with_the_weight_of_a_service_is_found() {
        let group = PathBuf::from("/sys/fs/cgroup/system.slice/gavel-judge.service");
        for (weight, ok) in [(25, true), (99, true), (100, false), (1000, false)] {
            let check = check_weight(Some((weight, group.clone())));
            assert_eq!(check.ok, ok, "{check}");
            assert!(check.detail.contains("gavel-judge.service"), "{check}");
        }
        assert!(check_weight(None).ok);
    }
}
