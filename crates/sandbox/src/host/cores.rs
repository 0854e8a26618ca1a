//! Which processor each slot stays on: one each, and none that another judge of this machine has taken.
//!
//! A processor is claimed by a name in the abstract namespace of Unix sockets, which goes when its process does. Judges
//! in containers do not see each other's claims; give such containers processors of their own.

use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with};
use rustix::thread::{CpuSet, sched_getaffinity};

/// The processors of a judge's slots.
#[derive(Debug)]
pub(crate) struct Cores(Vec<Core>);

#[derive(Debug)]
struct Core {
    number: usize,
    /// Held for as long as the judge lives; without one the processor is shared.
    claim: Option<OwnedFd>,
}

impl Cores {
    /// Claims a processor for each of so many slots. Where there are not enough, those left over share.
    pub(crate) fn claim(slots: usize) -> Self {
        let allowed: Vec<usize> = sched_getaffinity(None)
            .map(|set| (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
            .unwrap_or_default();
        let claimed = allowed.iter().filter_map(|core| claim(*core));
        let mut cores: Vec<_> = claimed.take(slots).collect();
        // Not all judges' leftovers on the same one.
        let first = usize::try_from(std::process::id()).unwrap_or(0) % allowed.len().max(1);
        let shared = allowed.iter().cycle().skip(first).map(|core| Core { number: *core, claim: None });
        cores.extend(shared.take(slots - cores.len()));
        if let Some(shared) = cores.iter().filter(|core| core.claim.is_none()).count().checked_sub(1) {
            tracing::info!(
                slots = shared + 1,
                "some slots share a processor: times of their runs repeat less well"
            );
        }
        Self(cores)
    }

    /// The processor of this seat.
    pub(crate) fn of(&self, seat: usize) -> Option<usize> {
        self.0.get(seat).map(|core| core.number)
    }
}

/// The claim to a processor; `None` where another has it.
fn claim(number: usize) -> Option<Core> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
    let name = SocketAddrUnix::new_abstract_name(format!("gavel-sandbox-core-{number}").as_bytes()).ok()?;
    bind(&socket, &name).ok().map(|()| Core { number, claim: Some(socket) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seat_has_one_and_none_is_claimed_twice() {
        let many = Cores::claim(1000);
        assert!((0..1000).all(|seat| many.of(seat).is_some()));
        let mut claimed: Vec<_> =
            many.0.iter().filter(|core| core.claim.is_some()).map(|core| core.number).collect();
        let before = claimed.len();
        claimed.dedup();
        assert_eq!(claimed.len(), before);
        // All are taken: the next shares, wherever the tests beside this one have theirs.
        assert!(Cores::claim(1).0[0].claim.is_none());
    }
}
