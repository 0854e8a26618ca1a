//! The Judge0 engine of the judge.

use async_trait::async_trait;
use gavel_domain::LanguageId;
use gavel_domain::engine::{EngineFault, Job, Observer, Progress};
use gavel_domain::heartbeat::{DependencyStatus, ServedLanguage};
use gavel_judge0::{BreakerState, InvalidJudge0Config, Judge0, Tuning};
use gavel_sandbox::Languages;
use tokio::sync::watch;

use super::{Engine, EngineName};
use crate::Config;

/// Judge0 as an engine.
pub struct Judge0Engine {
    judge0: Judge0,
    /// The sandbox's table: programs get the same memory from both engines.
    languages: Languages,
}

impl Judge0Engine {
    /// Starts the engine. Judge0 itself may be unreachable at this time. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// Returns an error if the configuration is invalid.
    pub fn start(config: &Config) -> Result<Self, InvalidJudge0Config> {
        let judge0 = Judge0::start(&config.judge0, Tuning::default())?;
        Ok(Self { judge0, languages: config.languages.clone() })
    }

    /// The state of the circuit breaker, with its changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<BreakerState> {
        self.judge0.breaker().watch()
    }
}

#[async_trait]
impl Engine for Judge0Engine {
    async fn execute(&self, job: &Job<'_>, observer: &mut Observer<'_>) -> Result<Progress, EngineFault> {
        self.judge0.run(job, self.languages.runtime_memory_bytes(job.language), observer).await
    }

    fn languages(&self) -> Vec<ServedLanguage> {
        let served = |(id, name)| {
            let engine = EngineName::Judge0.to_string();
            ServedLanguage { id, name, version: String::new(), engine }
        };
        self.judge0.languages().into_iter().map(served).collect()
    }

    /// An unreachable Judge0 has not said what it serves.
    fn serves(&self, language: LanguageId) -> bool {
        let languages = self.judge0.languages();
        languages.is_empty() || languages.iter().any(|(id, _)| *id == language)
    }

    fn dependencies(&self) -> Vec<DependencyStatus> {
        let breaker = self.judge0.breaker();
        vec![DependencyStatus {
            name: "Judge0".to_owned(),
            problem: breaker.state().problem(),
            since_ms: Some(breaker.since_ms()),
        }]
    }

    fn gate(&self) -> Option<watch::Receiver<bool>> {
        Some(self.judge0.breaker().is_closed())
    }

    /// A program that runs on Judge0 cannot crash the judge, and an unreachable Judge0 says nothing about a
    /// submission.
    fn counts_deliveries(&self, _: LanguageId) -> bool {
        false
    }
}
