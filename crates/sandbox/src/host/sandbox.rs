//! The sandbox: its slots, and what this machine can serve.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gavel_domain::{LanguageId, catalogue};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::host::cache::Programs;
use crate::host::config::{MAX_SLOTS, SandboxConfig};
use crate::host::error::{SandboxError, SlotError, StartError};
use crate::host::slot::{Factory, Slot};
use crate::host::tier::{self, Tier};
use crate::host::workspace::{Toolchain, Workspace};
use crate::language::{InstalledLanguage, Language, UnservedLanguage, VersionRule, is_older};

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
    languages: Vec<InstalledLanguage>,
    unserved: Vec<UnservedLanguage>,
    table: Vec<Arc<Language>>,
    tier: Tier,
    /// What was compiled before.
    pub(crate) programs: Programs,
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
        // Probes are runs in a pool that serves nothing yet.
        let probing = Self::start_without_languages(config).await?;
        let toolchains = probing.probe().await.map_err(StartError::Versions)?;
        let mut pool = Arc::into_inner(probing.0).expect("the probing workspaces are gone again");
        for (language, toolchain) in toolchains {
            pool.take_in(&language, &toolchain);
        }
        Ok(Self(Arc::new(pool)))
    }

    /// The slots, which serve nothing yet.
    pub(crate) async fn start_without_languages(config: SandboxConfig) -> Result<Self, StartError> {
        if config.slots == 0 || config.slots > MAX_SLOTS {
            return Err(StartError::Slots);
        }
        let (slots, settling) = (config.slots, config.clone());
        let settled = tokio::task::spawn_blocking(move || tier::settle(&settling)).await;
        let (tier, cgroups) = settled.map_err(|error| SlotError::NoAnswer(error.to_string()))??;
        let programs = Programs::new(config.compile_cache_bytes);
        let factory = Arc::new(Factory::new(config, cgroups, tier.ids)?);
        let mut seats = Vec::new();
        for index in 0..slots {
            seats.push(Seat { index, slot: Some(Slot::build(&factory, index).await?) });
        }
        // Handed out from the end, so that a single run at a time keeps using the first slot.
        seats.reverse();
        let pool = Pool {
            factory,
            permits: Arc::new(Semaphore::new(slots)),
            seats: Mutex::new(seats),
            closed: AtomicBool::new(false),
            languages: Vec::new(),
            unserved: Vec::new(),
            table: Vec::new(),
            tier,
            programs,
        };
        Ok(Self(Arc::new(pool)))
    }

    /// Asks each language's toolchain for its version, as many at a time as there are slots.
    async fn probe(&self) -> Result<Vec<(Arc<Language>, Toolchain)>, SandboxError> {
        let entries = self.0.factory.config.languages.entries();
        let mut asked = JoinSet::new();
        for (index, language) in entries.iter().enumerate() {
            let (sandbox, language) = (self.clone(), Arc::clone(language));
            asked.spawn(async move {
                let toolchain = sandbox.workspace().await?.toolchain(&language).await?;
                Ok::<_, SandboxError>((index, language, toolchain))
            });
        }
        let mut answers = Vec::new();
        while let Some(answered) = asked.join_next().await {
            answers.push(answered.map_err(|error| SandboxError::Lost(error.to_string()))??);
        }
        answers.sort_by_key(|(index, ..)| *index);
        Ok(answers.into_iter().map(|(_, language, toolchain)| (language, toolchain)).collect())
    }

    /// The languages whose toolchains work on this machine.
    #[must_use]
    pub fn languages(&self) -> &[InstalledLanguage] {
        &self.0.languages
    }

    /// The languages of the table that cannot be served on this machine.
    #[must_use]
    pub fn unserved(&self) -> &[UnservedLanguage] {
        &self.0.unserved
    }

    /// The means of isolation in use.
    #[must_use]
    pub fn tier(&self) -> &Tier {
        &self.0.tier
    }

    /// Waits for a free slot.
    ///
    /// # Errors
    /// [`SandboxError::Closed`] after [`Self::shutdown`].
    pub async fn workspace(&self) -> Result<Workspace, SandboxError> {
        let permit = Arc::clone(&self.0.permits).acquire_owned().await.map_err(|_| SandboxError::Closed)?;
        let seat = self.0.lock_seats().pop().ok_or(SandboxError::Closed)?;
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

    /// What the toolchain of a language that is served says of its version.
    pub(crate) fn version(&self, id: LanguageId) -> &str {
        self.languages.iter().find(|served| served.id == id).map_or("", |served| &served.version)
    }

    /// The entry of a language that is served.
    pub(crate) fn language(&self, language: LanguageId) -> Result<&Arc<Language>, SandboxError> {
        let served = self.table.iter().find(|entry| entry.ids.contains(&language.0));
        served.ok_or_else(|| {
            let known = self.unserved.iter().find(|unserved| unserved.ids.contains(&language));
            let reason =
                known.map_or("add it to the file that SANDBOX_LANGUAGES names", |known| &known.reason);
            SandboxError::NotServed { language, reason: reason.to_owned() }
        })
    }

    /// Serves the ids that this toolchain may serve, and keeps why not the others.
    fn take_in(&mut self, language: &Arc<Language>, toolchain: &Toolchain) {
        let output = match toolchain {
            Toolchain::Works(output) => output,
            Toolchain::Missing => return self.leave_out(language, &language.ids, language.missing()),
            Toolchain::Broken(said) => {
                let reason = format!("{} does not work in the sandbox: {said}", language.version.join(" "));
                return self.leave_out(language, &language.ids, reason);
            }
        };
        let line = output.lines().next().unwrap_or_default().trim();
        let version = catalogue::version_in(output).unwrap_or(line);
        let rule = self.factory.config.versions;
        let too_old = |id: &u32| {
            let wanted = catalogue::version(LanguageId(*id)).filter(|_| rule == VersionRule::AtLeast);
            wanted.filter(|wanted| is_older(version, wanted))
        };
        let mut served = Language::clone(language);
        served.ids.retain(|id| too_old(id).is_none());
        for id in &language.ids {
            if let Some(wanted) = too_old(id) {
                let reason = format!(
                    "it stands for version {wanted}, there is {version}, and LANGUAGE_VERSIONS=at-least refuses that"
                );
                self.leave_out(language, &[*id], reason);
            }
        }
        self.languages.extend(served.ids.iter().map(|id| InstalledLanguage {
            id: LanguageId(*id),
            name: language.name.clone(),
            version: version.to_owned(),
        }));
        self.table.push(Arc::new(served));
    }

    fn leave_out(&mut self, language: &Language, ids: &[u32], reason: String) {
        let ids = ids.iter().copied().map(LanguageId).collect();
        self.unserved.push(UnservedLanguage { ids, name: language.name.clone(), reason });
    }

    fn lock_seats(&self) -> std::sync::MutexGuard<'_, Vec<Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
