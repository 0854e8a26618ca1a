//! The slots of a sandbox and what they share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::host::cache::ProgramCache;
use crate::host::error::SandboxError;
use crate::host::slot::Slot;
use crate::host::slot_builder::SlotBuilder;
use crate::host::tier::Tier;
use crate::host::toolchain::Toolchains;

/// The slots of a sandbox and what they share.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) builder: Arc<SlotBuilder>,
    /// Counts the free permits, so that a workspace can wait for one.
    available: Arc<Semaphore>,
    free: Mutex<Vec<SlotPermit>>,
    closed: AtomicBool,
    pub(crate) toolchains: Toolchains,
    /// Whether programs have a lower CPU weight than services. The checks of the toolchains do not: a judge that starts on a
    /// busy machine would take long.
    pub(super) is_weight_low: bool,
    pub(super) tier: Tier,
    /// Programs that were compiled before.
    pub(crate) programs: ProgramCache,
}

/// Permission to use the slot with this index; there is one for each slot.
#[derive(Debug)]
pub(crate) struct SlotPermit {
    pub(crate) slot_index: usize,
    /// `None` while the slot must be built again.
    pub(crate) slot: Option<Slot>,
}

impl Pool {
    /// A pool that serves no language yet. `permits` are handed out from the end.
    pub(super) fn new(
        builder: Arc<SlotBuilder>,
        permits: Vec<SlotPermit>,
        tier: Tier,
        programs: ProgramCache,
    ) -> Self {
        Self {
            builder,
            available: Arc::new(Semaphore::new(permits.len())),
            free: Mutex::new(permits),
            closed: AtomicBool::new(false),
            toolchains: Toolchains::default(),
            is_weight_low: false,
            tier,
            programs,
        }
    }

    /// Waits for a free slot.
    ///
    /// # Errors
    /// Returns [`SandboxError::Closed`] after [`Self::close`].
    pub(super) async fn acquire(&self) -> Result<(SlotPermit, OwnedSemaphorePermit), SandboxError> {
        let available =
            Arc::clone(&self.available).acquire_owned().await.map_err(|_| SandboxError::Closed)?;
        let mut free = self.lock_free();
        let permit = free.pop().ok_or(SandboxError::Closed)?;
        self.weigh_busy_slots(&free);
        drop(free);
        Ok((permit, available))
    }

    /// Takes a permit back, for the next workspace.
    pub(crate) fn release(&self, permit: SlotPermit) {
        if !self.closed.load(Ordering::Acquire) {
            let mut free = self.lock_free();
            free.push(permit);
            self.weigh_busy_slots(&free);
        }
    }

    /// Stops handing out permits and drops the free slots.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.available.close();
        self.lock_free().clear();
    }

    /// Sets the CPU weight for the slots that are not free. Call it with the lock, so that the last weight is the right one.
    fn weigh_busy_slots(&self, free: &[SlotPermit]) {
        if let Some(cgroups) = self.builder.cgroups.as_ref().filter(|_| self.is_weight_low) {
            cgroups.set_busy_slots(self.builder.config.slots.saturating_sub(free.len()));
        }
    }

    fn lock_free(&self) -> MutexGuard<'_, Vec<SlotPermit>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
