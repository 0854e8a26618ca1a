//! The sandbox: its slots, and what this machine can serve.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gavel_domain::LanguageId;
use tokio::sync::Semaphore;

use crate::cgroup::Cgroups;
use crate::config::{MAX_SLOTS, SandboxConfig};
use crate::error::{Fault, SlotError, StartError};
use crate::language::{Language, ServedLanguage};
use crate::slot::{Factory, Slot};
use crate::tier::{self, Tier};
use crate::workspace::Workspace;

/// The execution engine of one judge. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sandbox(Arc<Pool>);

/// The slots and what they share.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) factory: Arc<Factory>,
    permits: Arc<Semaphore>,
    seats: Mutex<Vec<Seat>>,
    closed: AtomicBool,
    languages: Vec<ServedLanguage>,
    table: Vec<Arc<Language>>,
    tier: Tier,
}

/// A place for a slot; empty while its slot is being replaced.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) index: usize,
    pub(crate) slot: Option<Slot>,
}

impl Sandbox {
    /// Probes the machine, builds every slot, and asks the toolchains for their versions inside them.
    ///
    /// # Errors
    /// [`StartError`] where a layer of isolation cannot be had; it names what is missing and what to do.
    /// Nothing is served with less.
    pub async fn start(config: SandboxConfig) -> Result<Self, StartError> {
        if config.slots == 0 || config.slots > MAX_SLOTS {
            return Err(StartError::Slots);
        }
        tier::check_privileges()?;
        let (slots, choice) = (config.slots, config.tier);
        let opened = tokio::task::spawn_blocking(move || Cgroups::open(choice)).await;
        let cgroups = opened.map_err(|error| SlotError::NoAnswer(error.to_string()))??;
        let tier = Tier { cgroups: cgroups.version() };
        let table: Vec<_> = Language::table().into_iter().map(Arc::new).collect();
        let etc = table.iter().flat_map(|language| language.etc.iter().cloned());
        let factory = Arc::new(Factory::new(config, cgroups, etc)?);
        let mut seats = Vec::new();
        for index in 0..slots {
            seats.push(Seat { index, slot: Some(Slot::build(&factory, index).await?) });
        }
        // Handed out from the end, so that a single run at a time keeps using the first slot.
        seats.reverse();
        let mut pool = Pool {
            factory,
            permits: Arc::new(Semaphore::new(slots)),
            seats: Mutex::new(seats),
            closed: AtomicBool::new(false),
            languages: Vec::new(),
            table: Vec::new(),
            tier,
        };
        for language in table {
            // Each probe is a run of its own in a pool that serves nothing yet.
            let probing = Self(Arc::new(pool));
            let version = match probing.workspace().await {
                Ok(mut workspace) => workspace.version(&language).await,
                Err(fault) => Err(fault),
            };
            pool = Arc::into_inner(probing.0).expect("the probing workspace is gone again");
            if let Some(version) = version.map_err(StartError::Versions)? {
                pool.serve(language, &version);
            }
        }
        Ok(Self(Arc::new(pool)))
    }

    /// The languages whose toolchains work on this machine.
    #[must_use]
    pub fn languages(&self) -> &[ServedLanguage] {
        &self.0.languages
    }

    /// The means of isolation in use.
    #[must_use]
    pub fn tier(&self) -> &Tier {
        &self.0.tier
    }

    /// Waits for a free slot.
    ///
    /// # Errors
    /// [`Fault::Closed`] after [`Self::shutdown`].
    pub async fn workspace(&self) -> Result<Workspace, Fault> {
        let permit = Arc::clone(&self.0.permits).acquire_owned().await.map_err(|_| Fault::Closed)?;
        let seat = self.0.lock_seats().pop().ok_or(Fault::Closed)?;
        Ok(Workspace::new(Arc::clone(&self.0), seat, permit))
    }

    /// Ends every slot and waits until nothing of them is left. Runs under way in workspaces that still exist
    /// end with those.
    pub async fn shutdown(self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.permits.close();
        self.0.lock_seats().clear();
        let factory = Arc::clone(&self.0.factory);
        let swept = tokio::task::spawn_blocking(move || factory.sweep_all()).await;
        if !swept.unwrap_or(false) {
            tracing::warn!("some sandbox processes or cgroups are still there after the shutdown");
        }
    }
}

impl Pool {
    /// Takes a seat back; the next workspace may follow.
    pub(crate) fn give_back(&self, seat: Seat) {
        if self.closed.load(Ordering::Acquire) {
            drop(seat);
            self.factory.sweep();
            return;
        }
        self.lock_seats().push(seat);
    }

    /// The entry of a language that is served.
    pub(crate) fn language(&self, id: LanguageId) -> Option<&Arc<Language>> {
        self.table.iter().find(|language| language.ids.contains(&id.0))
    }

    fn serve(&mut self, language: Arc<Language>, version: &str) {
        for id in &language.ids {
            let (id, name) = (LanguageId(*id), language.name.clone());
            self.languages.push(ServedLanguage { id, name, version: version.to_owned() });
        }
        self.table.push(language);
    }

    fn lock_seats(&self) -> std::sync::MutexGuard<'_, Vec<Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
