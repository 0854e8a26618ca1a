//! Assigning CPUs to slots: as long as there are enough, each slot has a CPU that no other slot has and that no other
//! judge on this machine has claimed.
//!
//! Judges in containers do not see each other's claims; assign separate CPUs to such containers.

use std::os::fd::OwnedFd;

use rustix::thread::{CpuSet, sched_getaffinity};

use crate::host::claim::claim;

/// The CPUs of a judge's slots.
#[derive(Debug)]
pub(crate) struct CpuClaims(Vec<Cpu>);

#[derive(Debug)]
struct Cpu {
    number: usize,
    /// Held for as long as the judge lives. `None` if the CPU is shared.
    claim: Option<OwnedFd>,
}

impl CpuClaims {
    /// Claims a CPU for each slot. If there are fewer CPUs than slots, the remaining slots share.
    pub(crate) fn new(slots: usize) -> Self {
        let allowed = allowed();
        let claim = |number: &usize| {
            let claim = claim(&format!("core-{number}")).ok()??;
            Some(Cpu { number: *number, claim: Some(claim) })
        };
        let mut cpus: Vec<_> = allowed.iter().filter_map(claim).take(slots).collect();
        // Each judge starts at another CPU, so that not all of them share the same one.
        let first = usize::try_from(std::process::id()).unwrap_or(0) % allowed.len().max(1);
        let shared = allowed.iter().cycle().skip(first).map(|cpu| Cpu { number: *cpu, claim: None });
        cpus.extend(shared.take(slots - cpus.len()));
        Self(cpus)
    }

    /// How many slots share a CPU.
    pub(crate) fn shared(&self) -> usize {
        self.0.iter().filter(|cpu| cpu.claim.is_none()).count()
    }

    /// The CPU of this slot: another one if this process may not use that of the slot any more.
    pub(crate) fn cpu_of(&self, slot_index: usize) -> Option<usize> {
        let number = self.0.get(slot_index)?.number;
        let allowed = allowed();
        if allowed.contains(&number) {
            return Some(number);
        }
        allowed.get(slot_index % allowed.len().max(1)).copied()
    }
}

/// The CPUs that this process may use.
pub(crate) fn allowed() -> Vec<usize> {
    sched_getaffinity(None)
        .map(|set| (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_cpu_and_no_cpu_is_claimed_twice() {
        let many = CpuClaims::new(1000);
        assert!((0..1000).all(|slot_index| many.cpu_of(slot_index).is_some()));
        let mut claimed: Vec<_> =
            many.0.iter().filter(|cpu| cpu.claim.is_some()).map(|cpu| cpu.number).collect();
        let before = claimed.len();
        claimed.dedup();
        assert_eq!(claimed.len(), before);
        // All are claimed, here or by tests that run at the same time: the next slot shares.
        assert!(CpuClaims::new(1).0[0].claim.is_none());
    }

    #[test]
    fn slot_leaves_a_cpu_that_the_judge_may_not_use_any_more() {
        let allowed = allowed();
        let gone = CpuSet::MAX_CPU;
        let claims = CpuClaims([allowed[0], gone].map(|number| Cpu { number, claim: None }).into());
        assert_eq!(claims.cpu_of(0), Some(allowed[0]));
        assert!(claims.cpu_of(1).is_some_and(|cpu| allowed.contains(&cpu)));
    }
}
