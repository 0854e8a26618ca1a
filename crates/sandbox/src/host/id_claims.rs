//! Assigning user and group ids to slots: no other judge on this machine uses the same ones.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::host::claim::claim;
use crate::host::config::MAX_SLOTS;
use crate::host::error::StartError;
use crate::host::slot_ids::SlotIds;
use crate::protocol::ids::IdMapping;

/// The ids of a judge's slots.
#[derive(Debug)]
pub(crate) struct IdClaims(Vec<ClaimedIds>);

#[derive(Debug)]
struct ClaimedIds {
    ids: SlotIds,
    /// Held for as long as the judge lives. `None` if the slot has the judge's own id.
    _claim: Option<OwnedFd>,
}

impl IdClaims {
    /// Claims ids for each slot, from the range that starts at `first_uid`.
    pub(super) fn new(mapping: IdMapping, first_uid: u32, slots: usize) -> Result<Self, StartError> {
        if mapping == IdMapping::JudgeOnly {
            let ids = SlotIds::new(mapping, first_uid, 0);
            return Ok(Self((0..slots).map(|_| ClaimedIds { ids, _claim: None }).collect()));
        }
        let mut claimed = Vec::new();
        for index in 0..MAX_SLOTS {
            if claimed.len() == slots {
                break;
            }
            let ids = SlotIds::new(mapping, first_uid, index);
            let name = format!("uid-{}", ids.programs_inside());
            let claim = claim(&name).map_err(|errno| StartError::IdClaims(Errno::into(errno)))?;
            claimed.extend(claim.map(|claim| ClaimedIds { ids, _claim: Some(claim) }));
        }
        if claimed.len() < slots {
            return Err(StartError::IdsInUse { free: claimed.len(), slots });
        }
        Ok(Self(claimed))
    }

    pub(super) fn of_slot(&self, slot_index: usize) -> SlotIds {
        self.0[slot_index].ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_on_one_machine_share_no_ids() {
        // A range that no sandbox of another test uses.
        let claims = || IdClaims::new(IdMapping::Separate, 3_000_000_000, 300);
        let first = claims().unwrap();
        let error = claims().unwrap_err();
        assert!(matches!(error, StartError::IdsInUse { free: 212, slots: 300 }), "{error}");
        let second = IdClaims::new(IdMapping::Separate, 3_000_000_000, 200).unwrap();
        let all = first.0.iter().chain(&second.0).map(|claimed| claimed.ids.programs_inside());
        assert_eq!(all.collect::<std::collections::HashSet<_>>().len(), 500);
        drop(first);
        assert!(claims().is_ok());
    }
}
