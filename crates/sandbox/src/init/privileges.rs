//! What the init gives up once its root stands.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, CpuSet, Gid, Uid, UnshareFlags, capabilities,
    remove_capability_from_bounding_set, sched_setaffinity, set_capabilities, set_capabilities_secure_bits,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use crate::protocol::ids::Ids;
use crate::protocol::wire::{Step, StepError};

/// Capabilities that the init keeps: to own, clear and end what programs leave, and to become their user.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::IPC_OWNER);
/// What sampling takes besides: to read how much memory a program uses, though it is somebody else's.
const KEPT_TO_SAMPLE: CapabilitySet = KEPT.union(CapabilitySet::SYS_PTRACE);
/// The user id 0 means nothing any more, to this process and all it starts.
const NO_ROOT: CapabilitiesSecureBits = CapabilitiesSecureBits::NO_ROOT
    .union(CapabilitiesSecureBits::NO_ROOT_LOCKED)
    .union(CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE)
    .union(CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED);
/// Limits that are the same for every run. Core is one byte: no dump is written, and a pattern that pipes dumps
/// to a program is not served either, which it would be at zero.
const FIXED: [(Resource, u64); 6] = [
    (Resource::Nofile, 1024),
    (Resource::Core, 1),
    (Resource::Memlock, 64 * 1024),
    (Resource::Msgqueue, 0),
    (Resource::Rtprio, 0),
    (Resource::Sigpending, 4096),
];

/// Becomes the first user of its own user namespace, and leaves the groups of the judge. Without privilege no group
/// can be left; they then are groups of nothing that is in sight.
pub(super) fn take_ids(ids: Ids) -> Result<(), StepError> {
    if ids != Ids::One {
        set_thread_groups(&[]).step(|| "leave the supplementary groups".to_owned())?;
    }
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).step(|| "take its group id".to_owned())?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).step(|| "take its user id".to_owned())
}

/// Stays on one processor, with all it starts: the filter refuses to leave it.
pub(super) fn pin(core: Option<usize>) -> Result<(), StepError> {
    let Some(core) = core else { return Ok(()) };
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).step(|| format!("stay on processor {core}"))
}

/// Moves into a cgroup namespace, so that `/proc/self/cgroup` does not tell where on the host the slot is.
#[expect(unsafe_code, reason = "unshare is unsafe for the flags that it is not given here")]
pub(super) fn leave_cgroup_sight() -> Result<(), StepError> {
    // SAFETY: a new cgroup namespace changes nothing that this process's memory or descriptors rely on.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWCGROUP) }
        .step(|| "make a cgroup namespace".to_owned())
}

/// Sets the limits that are the same for every run; children inherit them.
pub(super) fn limit_resources() -> Result<(), StepError> {
    for (resource, value) in FIXED {
        let value = getrlimit(resource).maximum.map_or(value, |most| most.min(value));
        setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
            .step(|| format!("set the limit {resource:?}"))?;
    }
    Ok(())
}

/// Drops every capability that running programs does not take, for good, and forbids to gain any.
pub(super) fn drop_capabilities(sampling: bool) -> Result<(), StepError> {
    let wanted = if sampling { KEPT_TO_SAMPLE } else { KEPT };
    set_capabilities_secure_bits(NO_ROOT).step(|| "forbid capabilities by user id".to_owned())?;
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
    set_dumpable_behavior(DumpableBehavior::NotDumpable).step(|| "close its own memory".to_owned())?;
    set_no_new_privs(true).step(|| "forbid new privileges".to_owned())
}
