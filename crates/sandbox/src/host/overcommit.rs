//! What the slots may use together, compared with what the machine has.

use std::fs;

use crate::host::cgroup::Cgroups;
use crate::host::check::HostCheck;
use crate::host::cpus;
use crate::host::slot_builder::SlotBuilder;
use crate::protocol::limits::RunLimits;

const MIB: u64 = 1 << 20;

/// Logs a warning for each resource of which the slots may use more than the machine has, and if waiting for a CPU
/// cannot be measured.
pub(crate) fn warn(builder: &SlotBuilder) {
    let slots = builder.config.slots;
    for HostCheck { detail, impact, remedy, .. } in
        [cpus(slots), waiting_time()].into_iter().filter(|it| !it.ok)
    {
        tracing::warn!("{detail}: {impact}. Remedy: {remedy}");
    }
    let shared = builder.cpus.shared();
    if shared > 0 && slots <= cpus::allowed().len() {
        tracing::warn!(
            slots = shared,
            "other judges on this machine use the CPUs of some slots: verdicts stay the same, but take longer"
        );
    }
    let available = builder.cgroups.as_ref().map_or(u64::MAX, Cgroups::memory_limit).min(machine_memory());
    let languages = builder.config.languages.entries();
    let granted = languages.iter().map(|language| language.runtime_memory_bytes()).max().unwrap_or(0);
    let needed = memory_of(slots, granted);
    if needed > available {
        tracing::warn!(
            slots,
            needed_mib = needed / MIB,
            available_mib = available / MIB,
            "the default memory limits of all slots exceed the memory of this machine: programs that use it at the \
             same time are killed. Set JUDGE_SLOTS lower"
        );
    }
}

/// Whether each slot can have a separate CPU.
pub(crate) fn cpus(slots: usize) -> HostCheck {
    let cpus = cpus::allowed().len();
    HostCheck {
        name: "CPUs",
        ok: slots <= cpus,
        detail: format!("{slots} slots for {cpus} CPUs"),
        impact: "runs wait for each other: verdicts stay the same, but take longer",
        remedy: "set JUDGE_SLOTS to at most the number of CPUs",
    }
}

/// Whether the kernel counts how long threads wait for a CPU.
pub(crate) fn waiting_time() -> HostCheck {
    let own = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    // Without the option there is no such file, or one of zeroes.
    let ok = own.split_ascii_whitespace().any(|number| number != "0");
    HostCheck {
        name: "waiting time",
        ok,
        detail: format!("/proc/<pid>/schedstat is {}available", if ok { "" } else { "not " }),
        impact: "time in which a program waits for a CPU counts as its wall time, so that a busy machine can change \
                 verdicts",
        remedy: "boot a kernel with CONFIG_SCHED_INFO",
    }
}

/// The memory that this many slots may use with the default limit, in bytes. `granted` is what a language's runtime gets
/// in addition.
fn memory_of(slots: usize, granted: u64) -> u64 {
    let each = RunLimits::default().memory_bytes.saturating_add(granted);
    each.saturating_mul(u64::try_from(slots).unwrap_or(u64::MAX))
}

/// The memory of the machine, in bytes.
fn machine_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.map_or(u64::MAX, |kib| kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overcommitted_cpus_are_found() {
        let cpus = cpus::allowed().len();
        assert!(super::cpus(cpus).ok);
        assert!(!super::cpus(cpus + 1).ok);
    }

    #[test]
    fn slots_need_their_limits_and_what_runtimes_are_granted() {
        assert_eq!(memory_of(4, 160 * MIB), 4 * 416 * MIB);
        assert_eq!(memory_of(usize::MAX, u64::MAX), u64::MAX);
        assert!(machine_memory() > 64 * MIB && machine_memory() < u64::MAX);
    }

    #[test]
    fn kernel_counts_waiting_time() {
        assert!(waiting_time().ok);
    }
}
