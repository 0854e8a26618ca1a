//! The user and group ids of one slot's processes, as the slot and as the host see them.

use std::fs;
use std::io;

use crate::host::config::MAX_SLOTS;
use crate::protocol::ids::IdMapping;

/// The ids of one slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotIds {
    mapping: IdMapping,
    /// The ids of the init and of its programs on the host.
    init: u32,
    programs: u32,
}

impl SlotIds {
    /// The ids of the slot with this index, from the range that starts at `first`.
    pub(crate) fn new(mapping: IdMapping, first: u32, slot_index: usize) -> Self {
        let at = |offset: usize| first.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX));
        Self { mapping, init: at(MAX_SLOTS.saturating_add(slot_index)), programs: at(slot_index) }
    }

    /// The host's id of the slot's programs, or `None` if it is the judge's own.
    pub(crate) fn programs_outside(self) -> Option<u32> {
        (self.mapping != IdMapping::JudgeOnly).then_some(self.programs)
    }

    /// The programs' id as they see it.
    pub(crate) fn programs_inside(self) -> u32 {
        if self.mapping == IdMapping::JudgeOnly { 0 } else { self.programs }
    }

    /// Whether the slot has a user namespace.
    pub(crate) fn has_user_namespace(self) -> bool {
        self.mapping != IdMapping::Unmapped
    }

    /// Writes the id maps of a new user namespace (`user_namespaces(7)`); `pid` is the process that was started in
    /// it.
    pub(crate) fn map(self, pid: i32) -> io::Result<()> {
        let write = |file: &str, text: &str| fs::write(format!("/proc/{pid}/{file}"), text);
        match self.mapping {
            IdMapping::Unmapped => Ok(()),
            IdMapping::Separate => {
                let map = format!("0 {} 1\n{programs} {programs} 1\n", self.init, programs = self.programs);
                write("uid_map", &map)?;
                write("gid_map", &map)
            }
            IdMapping::JudgeOnly => {
                // Without privilege the kernel lets a process map its group only if groups cannot be dropped.
                write("setgroups", "deny")?;
                write("uid_map", &format!("0 {} 1\n", rustix::process::geteuid().as_raw()))?;
                write("gid_map", &format!("0 {} 1\n", rustix::process::getegid().as_raw()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_share_no_id_and_programs_never_have_the_id_of_an_init() {
        let mut seen = std::collections::HashSet::new();
        for slot_index in 0..MAX_SLOTS {
            let ids = SlotIds::new(IdMapping::Separate, 60_000, slot_index);
            assert!(seen.insert(ids.init) && seen.insert(ids.programs), "{ids:?}");
        }
    }
}
