//! The ids and capabilities of the init, and dropping what running programs does not need.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, nice, set_dumpable_behavior};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, CpuSet, Gid, Uid, UnshareFlags, capabilities,
    remove_capability_from_bounding_set, sched_setaffinity, set_capabilities, set_capabilities_secure_bits,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::step::{StepContext, StepError};
use crate::protocol::ids::IdMapping;

/// The capabilities that the init keeps: to own, remove and kill what programs leave, and to become their user.
const INIT_CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::IPC_OWNER);
/// The capabilities that the init keeps for sampling: also to read how much memory another user's process uses.
const SAMPLING_CAPABILITIES: CapabilitySet = INIT_CAPABILITIES.union(CapabilitySet::SYS_PTRACE);
/// The user id 0 grants no capabilities any more, neither to this process nor to any process that it starts.
const SECURE_BITS: CapabilitiesSecureBits = CapabilitiesSecureBits::NO_ROOT
    .union(CapabilitiesSecureBits::NO_ROOT_LOCKED)
    .union(CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE)
    .union(CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED);
/// How much lower the priority of programs is if no cgroup gives them a lower weight: it makes about a quarter of the
/// weight of a service.
pub(super) const NICE: i32 = 6;

/// Lowers the priority of this process and of every process that it starts.
pub(super) fn lower_priority() -> Result<(), StepError> {
    nice(NICE).map(|_| ()).step(|| "lower its priority".to_owned())
}

/// Becomes user and group 0 of the user namespace and leaves the judge's supplementary groups. Without privilege a
/// process cannot leave its groups; then nothing that is visible in the slot belongs to them.
pub(super) fn set_ids(mapping: IdMapping) -> Result<(), StepError> {
    if mapping != IdMapping::JudgeOnly {
        set_thread_groups(&[]).step(|| "leave the supplementary groups".to_owned())?;
    }
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).step(|| "set its group id".to_owned())?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).step(|| "set its user id".to_owned())
}

/// Pins this process and every process that it starts to one CPU. The filter prevents programs from leaving it.
pub(super) fn pin_to_cpu(cpu: Option<usize>) -> Result<(), StepError> {
    let Some(cpu) = cpu else { return Ok(()) };
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).step(|| format!("pin itself to CPU {cpu}"))
}

/// Enters a cgroup namespace, so that `/proc/self/cgroup` does not show the slot's path on the host.
#[expect(unsafe_code, reason = "unshare is unsafe only for flags that are not used here")]
pub(super) fn enter_cgroup_namespace() -> Result<(), StepError> {
    // SAFETY: a new cgroup namespace changes nothing that this process's memory or descriptors rely on.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWCGROUP) }
        .step(|| "enter a cgroup namespace".to_owned())
}

/// Permanently drops every capability that running programs does not need, and prevents gaining any.
pub(super) fn drop_capabilities(sampling: bool) -> Result<(), StepError> {
    let wanted = if sampling { SAMPLING_CAPABILITIES } else { INIT_CAPABILITIES };
    set_capabilities_secure_bits(SECURE_BITS).step(|| "forbid capabilities by user id".to_owned())?;
    for bit in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if wanted.contains(capability) {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            // Past the last capability that this kernel knows.
            Err(Errno::INVAL) => break,
            dropped => dropped.step(|| format!("drop the capability {bit}"))?,
        }
    }
    let held = capabilities(None).step(|| "read its capabilities".to_owned())?.permitted;
    let kept = wanted & held;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).step(|| "drop capabilities".to_owned())?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).step(|| "protect its own memory".to_owned())?;
    set_no_new_privs(true).step(|| "forbid new privileges".to_owned())
}
