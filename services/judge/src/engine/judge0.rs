//! Judge0 as an engine: the adapter between the judge's words and the client's.

use async_trait::async_trait;
use gavel_bus::Cause;
use gavel_domain::LanguageId;
use gavel_domain::heartbeat::{DependencyStatus, ServedLanguage};
use gavel_judge0::{Fault, InvalidConfig, Judge0, Pace, State};
use gavel_runtime::health::{Check, check};
use tokio::sync::watch;

use super::{Engine, EngineFault, EngineName, Job, Observer, Progress};
use crate::Config;

/// Judge0 as an engine.
pub struct Judge0Engine {
    judge0: Judge0,
    max_output_bytes: u64,
}

impl Judge0Engine {
    /// Begins to watch Judge0, which need not be there yet. Needs a runtime.
    ///
    /// # Errors
    /// Where its configuration can never work.
    pub fn start(config: &Config) -> Result<Self, InvalidConfig> {
        let judge0 = Judge0::start(&config.judge0, Pace::default())?;
        Ok(Self { judge0, max_output_bytes: config.max_output_bytes })
    }

    /// Whether Judge0 is there, as it changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.judge0.breaker().watch()
    }
}

#[async_trait]
impl Engine for Judge0Engine {
    async fn execute(&self, job: &Job<'_>, observer: &mut Observer<'_>) -> Result<Progress, EngineFault> {
        let job = gavel_judge0::Job {
            language: job.language,
            source: job.source,
            question: job.question,
            max_output_bytes: self.max_output_bytes,
        };
        match self.judge0.run(&job, observer).await? {
            gavel_judge0::Progress::Ran => Ok(Progress::Ran),
            gavel_judge0::Progress::CompileError(output) => Ok(Progress::CompileError(output)),
        }
    }

    fn languages(&self) -> Vec<ServedLanguage> {
        let offered = |(id, name)| {
            let engine = EngineName::Judge0.to_string();
            ServedLanguage { id, name, version: String::new(), engine }
        };
        self.judge0.languages().into_iter().map(offered).collect()
    }

    fn dependencies(&self) -> Vec<DependencyStatus> {
        let (state, since_ms) = (self.judge0.breaker().state(), self.judge0.breaker().since_ms());
        vec![DependencyStatus {
            name: "Judge0".to_owned(),
            problem: state.problem(),
            since_ms: Some(since_ms),
        }]
    }

    fn gate(&self) -> Option<watch::Receiver<bool>> {
        Some(self.judge0.breaker().works())
    }

    fn checks(&self) -> Vec<Check> {
        let state = self.state();
        let ask = move || {
            let problem = state.borrow().problem();
            async move { problem.map_or(Ok(()), Err) }
        };
        vec![check(ask)]
    }

    /// A program that runs elsewhere cannot take the judge down with it, and a Judge0 that is away says nothing about
    /// a submission.
    fn counts_deliveries(&self, _: LanguageId) -> bool {
        false
    }
}

impl From<Fault> for EngineFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Final(reason) => Self::Final(reason),
            Fault::Unavailable { after, cause } => Self::Unavailable { after, cause: Cause::new(&cause) },
        }
    }
}
