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
        let first = usize::try_from(std::process::id()).unwrap_or(0);
        let order = shared_order(&allowed, &cpus, first);
        let shared = order.iter().cycle().map(|number| Cpu { number: *number, claim: None });
        cpus.extend(shared.take(slots - cpus.len()));
        Self(cpus)
    }

    /// Whether there is a CPU for each slot, so that no two slots share one.
    pub(crate) fn are_distinct(&self) -> bool {
        self.0.len() <= allowed().len()
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

/// The order in which slots share CPUs: first those that no slot of this judge has, from the one at `first`.
fn shared_order(allowed: &[usize], claimed: &[Cpu], first: usize) -> Vec<usize> {
    let first = first % allowed.len().max(1);
    let mut order: Vec<_> = allowed.iter().cycle().skip(first).take(allowed.len()).copied().collect();
    order.sort_by_key(|number| claimed.iter().any(|cpu| cpu.number == *number));
    order
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
    fn slots_share_the_cpus_of_their_own_judge_last() {
        let claimed = [0, 5].map(|number| Cpu { number, claim: None });
        assert_eq!(shared_order(&[0, 1, 4, 5], &claimed, 0), [1, 4, 0, 5]);
        assert_eq!(shared_order(&[0, 1, 4, 5], &claimed, 6), [4, 1, 5, 0]);
        assert!(shared_order(&[], &claimed, 1).is_empty());
    }

    #[test]
    fn slots_are_distinct_up_to_the_number_of_cpus() {
        let claims = |slots| CpuClaims((0..slots).map(|number| Cpu { number, claim: None }).collect());
        assert!(claims(allowed().len()).are_distinct() && !claims(allowed().len() + 1).are_distinct());
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
