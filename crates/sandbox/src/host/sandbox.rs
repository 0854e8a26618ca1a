//! The execution engine of one judge.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::host::cache::ProgramCache;
use crate::host::config::{MAX_SLOTS, SandboxConfig};
use crate::host::cpu_weight;
use crate::host::error::{SandboxError, SlotError, StartError};
use crate::host::open_files;
use crate::host::overcommit;
use crate::host::pool::{Pool, SlotPermit};
use crate::host::slot::Slot;
use crate::host::slot_builder::SlotBuilder;
use crate::host::tier::{self, Tier};
use crate::host::toolchain::ToolchainCheck;
use crate::host::workspace::Workspace;
use crate::language::{InstalledLanguage, Language, UnservedLanguage};

/// The execution engine of one judge. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sandbox(Arc<Pool>);

impl Sandbox {
    /// Checks what the machine offers, builds every slot, and asks the toolchains for their versions inside them.
    ///
    /// # Errors
    /// Returns a [`StartError`] if a layer of isolation is not available; it names what is missing and the remedy.
    /// The sandbox never starts with less isolation than configured.
    pub async fn start(config: SandboxConfig) -> Result<Self, StartError> {
        let rule = config.versions;
        // The toolchains are checked by runs in a pool that serves no language yet.
        let sandbox = Self::start_without_languages(config).await?;
        let checks = sandbox.check_toolchains().await.map_err(StartError::Versions)?;
        let mut pool = Arc::into_inner(sandbox.0).expect("the workspaces of the checks have been dropped");
        for (language, check) in checks {
            pool.toolchains.add(&language, &check, rule);
        }
        pool.is_weight_low = true;
        overcommit::warn(&pool.builder);
        cpu_weight::warn();
        Ok(Self(Arc::new(pool)))
    }

    /// Builds every slot; no language is served yet.
    pub(crate) async fn start_without_languages(config: SandboxConfig) -> Result<Self, StartError> {
        if config.slots == 0 || config.slots > MAX_SLOTS {
            return Err(StartError::Slots);
        }
        open_files::raise_limit();
        let (slots, selected) = (config.slots, config.clone());
        let selected = tokio::task::spawn_blocking(move || tier::select(&selected)).await;
        let (tier, cgroups) = selected.map_err(|error| SlotError::NoAnswer(error.to_string()))??;
        let programs = ProgramCache::new(config.compile_cache_bytes);
        let builder = Arc::new(SlotBuilder::new(config, cgroups, tier.id_mapping)?);
        let mut permits = Vec::new();
        for slot_index in 0..slots {
            let slot = Some(Slot::build(&builder, slot_index).await?);
            permits.push(SlotPermit { slot_index, slot });
        }
        // Handed out from the end, so that runs one at a time keep using the first slot.
        permits.reverse();
        Ok(Self(Arc::new(Pool::new(builder, permits, tier, programs))))
    }

    /// Asks each language's toolchain for its version, as many at a time as there are slots.
    async fn check_toolchains(&self) -> Result<Vec<(Arc<Language>, ToolchainCheck)>, SandboxError> {
        let entries = self.0.builder.config.languages.entries();
        let mut tasks = JoinSet::new();
        for (index, language) in entries.iter().enumerate() {
            let (sandbox, language) = (self.clone(), Arc::clone(language));
            tasks.spawn(async move {
                let check = sandbox.workspace().await?.check_toolchain(&language).await?;
                Ok::<_, SandboxError>((index, language, check))
            });
        }
        let mut checks = Vec::new();
        while let Some(checked) = tasks.join_next().await {
            checks.push(checked.map_err(|error| SandboxError::Lost(error.to_string()))??);
        }
        checks.sort_by_key(|(index, ..)| *index);
        Ok(checks.into_iter().map(|(_, language, check)| (language, check)).collect())
    }

    /// The languages whose toolchains work on this machine.
    #[must_use]
    pub fn languages(&self) -> &[InstalledLanguage] {
        &self.0.toolchains.installed
    }

    /// The languages of the table that are not served on this machine.
    #[must_use]
    pub fn unserved(&self) -> &[UnservedLanguage] {
        &self.0.toolchains.unserved
    }

    /// The means of isolation in use.
    #[must_use]
    pub fn tier(&self) -> &Tier {
        &self.0.tier
    }

    /// Waits for a free slot.
    ///
    /// # Errors
    /// Returns [`SandboxError::Closed`] after [`Self::shutdown`].
    pub async fn workspace(&self) -> Result<Workspace, SandboxError> {
        let (permit, available) = self.0.acquire().await?;
        Ok(Workspace::new(Arc::clone(&self.0), permit, available))
    }

    /// Ends every free slot and waits until its processes and cgroups are gone. A slot that a workspace still uses
    /// ends with that workspace.
    pub async fn shutdown(self) {
        self.0.close();
        let builder = Arc::clone(&self.0.builder);
        let cleaned = tokio::task::spawn_blocking(move || builder.inits.reap_all()).await;
        if !cleaned.unwrap_or(false) {
            tracing::warn!("some sandbox processes or cgroups still exist after the shutdown");
        }
    }
}
