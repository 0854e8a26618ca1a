//! The slots of a sandbox and what they share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use crate::host::cache::ProgramCache;
use crate::host::error::SandboxError;
use crate::host::slot::Slot;
use crate::host::slot_builder::SlotBuilder;
use crate::host::slot_count::SlotCount;
use crate::host::tier::Tier;
use crate::host::toolchain::Toolchains;
use crate::protocol::ids::IdMapping;

/// A slot that has been free for this long is idle. Under load a slot is free for some milliseconds between two
/// submissions.
const IDLE_AFTER: Duration = Duration::from_millis(20);

/// The slots of a sandbox and what they share.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) builder: Arc<SlotBuilder>,
    /// Counts the free permits, so that a workspace can wait for one.
    count: SlotCount,
    free: Mutex<Vec<FreeSlot>>,
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

/// A permit that no workspace has.
#[derive(Debug)]
struct FreeSlot {
    permit: SlotPermit,
    since: Instant,
}

impl Pool {
    /// A pool that serves no language yet. `permits` are handed out from the end.
    pub(super) fn new(
        builder: Arc<SlotBuilder>,
        permits: Vec<SlotPermit>,
        tier: Tier,
        programs: ProgramCache,
    ) -> Self {
        let since = Instant::now();
        let free: Vec<_> = permits.into_iter().map(|permit| FreeSlot { permit, since }).collect();
        Self {
            builder,
            count: SlotCount::new(free.len()),
            free: Mutex::new(free),
            closed: AtomicBool::new(false),
            toolchains: Toolchains::default(),
            is_weight_low: false,
            tier,
            programs,
        }
    }

    /// Waits for a free slot. If every slot is taken, a borrower gives one back.
    ///
    /// # Errors
    /// Returns [`SandboxError::Closed`] after [`Self::close`].
    pub(super) async fn acquire(&self) -> Result<(SlotPermit, OwnedSemaphorePermit), SandboxError> {
        let available = self.count.acquire().await.ok_or(SandboxError::Closed)?;
        let mut free = self.lock_free();
        let FreeSlot { permit, .. } = free.pop().ok_or(SandboxError::Closed)?;
        self.weigh_busy_slots(&free);
        drop(free);
        Ok((permit, available))
    }

    /// The CPU of an idle slot, if there is one. The slot stays free: a submission that gets it meanwhile shares the CPU.
    /// Returns `None` if slots share their CPUs anyway.
    pub(crate) fn idle_cpu(&self) -> Option<usize> {
        if !self.builder.cpus.are_distinct() {
            return None;
        }
        let free = self.lock_free();
        let idle = free.iter().rfind(|slot| slot.since.elapsed() >= IDLE_AFTER)?;
        self.builder.cpus.cpu_of(idle.permit.slot_index)
    }

    /// Takes a slot that is idle, if there is one and no workspace waits for a slot. Returns `None` if slots share their
    /// CPU or their user id, for which the kernel has separate limits: runs of one program would then limit each other.
    pub(crate) fn borrow_idle(&self) -> Option<(SlotPermit, OwnedSemaphorePermit)> {
        if self.tier.id_mapping == IdMapping::JudgeOnly || !self.builder.cpus.are_distinct() {
            return None;
        }
        let mut free = self.lock_free();
        let idle = free.iter().rposition(|slot| slot.since.elapsed() >= IDLE_AFTER)?;
        // Only now: a workspace that comes while this holds the last permit would ask a borrower for a slot.
        let available = self.count.try_acquire()?;
        let FreeSlot { permit, .. } = free.remove(idle);
        self.weigh_busy_slots(&free);
        drop(free);
        Some((permit, available))
    }

    /// Waits until a workspace needs a slot that a borrower holds. The caller must then give back one slot.
    pub(crate) async fn slot_is_needed(&self) {
        self.count.is_needed().await;
    }

    /// Takes a permit back, for the next workspace.
    pub(crate) fn release(&self, permit: SlotPermit) {
        if !self.closed.load(Ordering::Acquire) {
            let mut free = self.lock_free();
            free.push(FreeSlot { permit, since: Instant::now() });
            self.weigh_busy_slots(&free);
        }
    }

    /// Stops handing out permits and drops the free slots.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.count.close();
        self.lock_free().clear();
    }

    /// Sets the CPU weight for the slots that are not free. Call it with the lock, so that the last weight is the right one.
    fn weigh_busy_slots(&self, free: &[FreeSlot]) {
        if let Some(cgroups) = self.builder.cgroups.as_ref().filter(|_| self.is_weight_low) {
            cgroups.set_busy_slots(self.builder.config.slots.saturating_sub(free.len()));
        }
    }

    fn lock_free(&self) -> MutexGuard<'_, Vec<FreeSlot>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
