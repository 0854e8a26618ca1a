//! The user and group ids of one slot's processes, as the slot and as the host see them.

use std::fs;
use std::io;

use crate::host::config::MAX_SLOTS;
use crate::protocol::ids::Ids;

/// The ids of one slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotIds {
    ids: Ids,
    /// The host's ids of the init and of its programs.
    init: u32,
    programs: u32,
}

impl SlotIds {
    /// The ids of a seat, out of the range that starts at `first`.
    pub(crate) fn of(ids: Ids, first: u32, seat: usize) -> Self {
        let at = |offset: usize| first.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX));
        Self { ids, init: at(MAX_SLOTS.saturating_add(seat)), programs: at(seat) }
    }

    /// The host's id of the slot's programs, where it is not the judge's own.
    pub(crate) fn programs_outside(self) -> Option<u32> {
        (self.ids != Ids::One).then_some(self.programs)
    }

    /// The programs' id as they see it.
    pub(crate) fn programs_inside(self) -> u32 {
        if self.ids == Ids::One { 0 } else { self.programs }
    }

    /// Whether the slot has a user namespace.
    pub(crate) fn has_namespace(self) -> bool {
        self.ids != Ids::Host
    }

    /// Tells the kernel the ids of a new user namespace, by the process that was started in it
    /// (`user_namespaces(7)`).
    pub(crate) fn map(self, pid: i32) -> io::Result<()> {
        let write = |file: &str, text: &str| fs::write(format!("/proc/{pid}/{file}"), text);
        match self.ids {
            Ids::Host => Ok(()),
            Ids::Two => {
                let map = format!("0 {} 1\n{programs} {programs} 1\n", self.init, programs = self.programs);
                write("uid_map", &map)?;
                write("gid_map", &map)
            }
            Ids::One => {
                // Without privilege a group can be mapped only where none can be dropped.
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
    fn no_two_slots_share_an_id_and_no_program_has_its_inits() {
        let mut seen = std::collections::HashSet::new();
        for seat in 0..MAX_SLOTS {
            let ids = SlotIds::of(Ids::Two, 60_000, seat);
            assert!(seen.insert(ids.init) && seen.insert(ids.programs), "{ids:?}");
        }
    }
}
