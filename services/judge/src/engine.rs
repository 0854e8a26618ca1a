//! The engines that compile and run programs, and which of them takes a submission.

use async_trait::async_trait;
use gavel_domain::LanguageId;
use gavel_domain::engine::{EngineFault, Job, Observer, Progress};
use gavel_domain::heartbeat::{DependencyStatus, ServedLanguage};
use tokio::sync::watch;

mod judge0;
mod route;
mod sandbox;

pub use judge0::Judge0Engine;
pub use route::{EngineChoice, EngineName, Engines, Routes};
pub use sandbox::SandboxEngine;

/// Compiles a program once and runs it on the tests of a question.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Runs a job and passes each execution to the observer, in order. An engine may run tests ahead of that.
    ///
    /// # Errors
    /// Returns an error if the engine cannot finish the job. What the observer has seen remains valid.
    async fn execute(&self, job: &Job<'_>, observer: &mut Observer<'_>) -> Result<Progress, EngineFault>;

    /// Is false while the engine cannot take any job. `None` if it always can.
    fn gate(&self) -> Option<watch::Receiver<bool>> {
        None
    }

    /// The languages that the engine serves now.
    fn languages(&self) -> Vec<ServedLanguage> {
        Vec::new()
    }

    /// Whether the engine serves a language now, or cannot tell.
    fn serves(&self, language: LanguageId) -> bool {
        self.languages().iter().any(|served| served.id == language)
    }

    /// The status of the external services that the engine calls.
    fn dependencies(&self) -> Vec<DependencyStatus> {
        Vec::new()
    }

    /// The name and version of the toolchain for a language. `None` if it is not known.
    fn toolchain(&self, _language: LanguageId) -> Option<String> {
        None
    }

    /// Whether many deliveries of a submission in this language mean that it crashes judges. If not, the judge gives
    /// the submission up by its age.
    fn counts_deliveries(&self, _language: LanguageId) -> bool {
        true
    }
}
