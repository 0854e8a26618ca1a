//! What all requests share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gavel_bus::Bus;
use gavel_inspect::{Inspector, Rejudger};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::Config;
use crate::guard::Guard;
use crate::overview::Overview;
use crate::table::Table;

/// The most event streams at a time.
const MAX_LIVE: usize = 64;
/// The most readings of the stored history at a time.
const MAX_SCANS: usize = 2;

/// What all requests share.
pub(crate) struct State {
    pub(crate) bus: Bus,
    pub(crate) inspector: Inspector,
    pub(crate) rejudger: Rejudger,
    pub(crate) guard: Guard,
    pub(crate) operator: String,
    table: Mutex<Table>,
    /// Counts the changes of the table.
    pub(crate) changes: watch::Sender<u64>,
    pub(crate) overview: watch::Sender<Arc<Overview>>,
    /// Notified when a reader comes, so that the tasks need not wait for their next turn.
    pub(crate) reader_came: Notify,
    pub(crate) live: Arc<Semaphore>,
    pub(crate) scans: Semaphore,
    /// Cancelled when the console stops.
    pub(crate) stopping: CancellationToken,
}

impl State {
    pub(crate) fn new(config: &Config, bus: Bus) -> Self {
        let operator = format!("{} via console", config.operator);
        Self {
            inspector: Inspector::of(&bus),
            rejudger: Rejudger::new(bus.clone(), operator.clone(), config.settle_time),
            guard: Guard::new(config),
            operator,
            table: Mutex::default(),
            changes: watch::Sender::new(0),
            overview: watch::Sender::new(Arc::default()),
            reader_came: Notify::new(),
            live: Arc::new(Semaphore::new(MAX_LIVE)),
            scans: Semaphore::new(MAX_SCANS),
            stopping: CancellationToken::new(),
            bus,
        }
    }

    /// The submissions that the console holds. The lock is held for a moment only.
    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether someone watches now.
    pub(crate) fn has_readers(&self) -> bool {
        self.live.available_permits() < MAX_LIVE
    }
}
