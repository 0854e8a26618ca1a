//! How many calls are in flight at one Convex, and who goes first.
//!
//! Whoever calls takes a slot first, so that a burst, or a Convex that has come back, meets a bounded number of
//! calls. Those who come again have only half of the slots between them: what Convex refuses for ever, or answers
//! slowly each time, cannot keep others from their first try.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long somebody who comes again waits in hand for a slot, before it is better to come back later.
const WAIT_AGAIN: Duration = Duration::from_millis(250);

/// The slots at one Convex. Clones share them.
#[derive(Clone, Debug)]
pub struct InFlight {
    all: Arc<Semaphore>,
    again: Arc<Semaphore>,
}

/// A slot, free again once it is dropped. A wait between two calls must not hold one.
#[derive(Debug)]
pub struct Slot {
    _one: OwnedSemaphorePermit,
    _again: Option<OwnedSemaphorePermit>,
}

impl InFlight {
    /// So many at once, at least one.
    #[must_use]
    pub fn new(max: usize) -> Self {
        let max = max.max(1);
        Self { all: Arc::new(Semaphore::new(max)), again: Arc::new(Semaphore::new((max / 2).max(1))) }
    }

    /// A slot for a first try, in the order of asking.
    pub(crate) async fn first(&self) -> Slot {
        Slot { _one: acquire(&self.all).await, _again: None }
    }

    /// A slot for somebody who comes again; none where all of theirs are taken for a while.
    pub(crate) async fn again(&self) -> Option<Slot> {
        let again = tokio::time::timeout(WAIT_AGAIN, acquire(&self.again)).await.ok()?;
        Some(Slot { _one: acquire(&self.all).await, _again: Some(again) })
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(semaphore).acquire_owned().await.expect("it is never closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_come_again_leave_room_for_first_tries() {
        let in_flight = InFlight::new(4);
        let again = [in_flight.again().await, in_flight.again().await];
        assert!(again.iter().all(Option::is_some));
        assert!(in_flight.again().await.is_none());
        let first = [in_flight.first().await, in_flight.first().await];
        let waiting = tokio::time::timeout(Duration::from_millis(20), in_flight.first()).await;
        assert!(waiting.is_err(), "four are in flight");
        drop(again);
        assert!(in_flight.again().await.is_some());
        drop(first);
    }

    #[tokio::test]
    async fn one_slot_serves_both() {
        let in_flight = InFlight::new(0);
        drop(in_flight.again().await.unwrap());
        drop(in_flight.first().await);
    }
}
