//! Counting the free slots, and asking borrowers to give one back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// Counts the free slots, and those that workspaces wait for while all are taken.
#[derive(Debug)]
pub(crate) struct SlotCount {
    free: Arc<Semaphore>,
    needs: Mutex<Needs>,
    need_added: Notify,
}

/// The workspaces that wait for a slot.
#[derive(Debug, Default)]
struct Needs {
    waiting: usize,
    /// How many slots borrowers have agreed to give back to them: at most one for each.
    agreed: usize,
}

/// The need of a workspace that waits. Dropping it ends the wait.
struct Need<'a>(&'a SlotCount);

impl SlotCount {
    pub(crate) fn new(free: usize) -> Self {
        let free = Arc::new(Semaphore::new(free));
        Self { free, needs: Mutex::default(), need_added: Notify::new() }
    }

    /// Waits until a slot is free, and asks for one if none is. Returns `None` after [`Self::close`].
    pub(crate) async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        match Arc::clone(&self.free).try_acquire_owned() {
            Err(TryAcquireError::NoPermits) => {
                let _need = Need::add(self);
                Arc::clone(&self.free).acquire_owned().await.ok()
            }
            acquired => acquired.ok(),
        }
    }

    /// Takes a slot that is free now. Returns `None` if every slot is taken, or if those that become free are waited for.
    pub(crate) fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// Waits until a workspace waits for a slot that no borrower has agreed to give back. The caller agrees to it, and must
    /// then give back one.
    pub(crate) async fn is_needed(&self) {
        loop {
            // Before the look at the needs, so that one that is added after it is not missed.
            let need_added = self.need_added.notified();
            if self.lock_needs().agree() {
                return;
            }
            need_added.await;
        }
    }

    /// Refuses slots from now on.
    pub(crate) fn close(&self) {
        self.free.close();
    }

    fn lock_needs(&self) -> MutexGuard<'_, Needs> {
        self.needs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Needs {
    /// Agrees to give back a slot. Returns whether one is needed.
    fn agree(&mut self) -> bool {
        let is_needed = self.agreed < self.waiting;
        self.agreed += usize::from(is_needed);
        is_needed
    }
}

impl<'a> Need<'a> {
    fn add(count: &'a SlotCount) -> Self {
        count.lock_needs().waiting += 1;
        count.need_added.notify_waiters();
        Self(count)
    }
}

impl Drop for Need<'_> {
    fn drop(&mut self) {
        let mut needs = self.0.lock_needs();
        needs.waiting -= 1;
        // If the slot came from elsewhere, one may be given back too many, but never one too few.
        needs.agreed = needs.agreed.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn need_is_withdrawn_when_the_wait_is_over() {
        let slots = SlotCount::new(1);
        let held = slots.acquire().await.unwrap();
        let waits = slots.acquire();
        let gives = async {
            slots.is_needed().await;
            drop(held);
        };
        let (next, ()) = tokio::join!(waits, gives);
        assert!(next.is_some() && slots.try_acquire().is_none());
        // A wait that is given up needs no slot, and neither does one that ended without a borrower.
        assert!(tokio::time::timeout(Duration::from_secs(1), slots.acquire()).await.is_err());
        let frees = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(next);
        };
        let _ = tokio::join!(slots.acquire(), frees);
        assert!(tokio::time::timeout(Duration::from_secs(1), slots.is_needed()).await.is_err());
    }

    #[tokio::test]
    async fn need_of_one_outlasts_the_wait_of_another() {
        let slots = SlotCount::new(2);
        let (one, two) = (slots.acquire().await.unwrap(), slots.acquire().await.unwrap());
        let mut first = Box::pin(slots.acquire());
        let mut second = Box::pin(slots.acquire());
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        slots.is_needed().await;
        drop(one);
        let first = first.now_or_never().flatten();
        assert!(first.is_some() && second.as_mut().now_or_never().is_none());
        assert!(slots.is_needed().now_or_never().is_some());
        // The second is waited for, but not needed from another borrower.
        assert!(slots.is_needed().now_or_never().is_none());
        drop(two);
        assert!(second.now_or_never().flatten().is_some());
    }
}
