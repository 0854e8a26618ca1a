//! What runs programs, as the judge sees it.

use std::ops::ControlFlow;
use std::time::Duration;

use async_trait::async_trait;
use gavel_bus::Cause;
use gavel_domain::heartbeat::{DependencyStatus, ServedLanguage};
use gavel_domain::{Execution, LanguageId, Question};
use gavel_runtime::health::Check;
use tokio::sync::watch;

mod judge0;
mod route;
mod sandbox;

pub use judge0::Judge0Engine;
pub use route::{EngineChoice, EngineName, Engines, Routes};
pub use sandbox::SandboxEngine;

/// A program and what it is to be run against.
pub struct Job<'a> {
    /// The language.
    pub language: LanguageId,
    /// The program; `\r\n` is `\n` already.
    pub source: &'a str,
    /// Its limits and test cases.
    pub question: &'a Question,
}

/// How far a job came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The tests ran, up to where the observer ended it.
    Ran,
    /// The program did not compile; this is what the compiler wrote.
    CompileError(Vec<u8>),
}

/// A fault: ours, never the program's.
#[derive(Clone, Debug)]
pub enum EngineFault {
    /// It will be the same each time, on every judge; the text says why in one clause.
    Final(String),
    /// Another try may end differently.
    Passing(Cause),
    /// The engine cannot be used now, which says nothing about the submission: it is as good as not tried.
    Unavailable {
        /// When it may be worth another try.
        after: Duration,
        /// What is wrong.
        cause: Cause,
    },
}

impl EngineFault {
    /// The words of [`EngineFault::kind`].
    const KINDS: [&str; 3] = ["final", "passing", "unavailable"];

    /// The word for figures.
    fn kind(&self) -> &'static str {
        match self {
            Self::Final(_) => "final",
            Self::Passing(_) => "passing",
            Self::Unavailable { .. } => "unavailable",
        }
    }
}

/// Takes the execution of each test in the order of judging, and says whether to go on.
pub type Observer<'a> = dyn FnMut(Execution) -> ControlFlow<()> + Send + 'a;

/// Something that compiles a program once and runs its tests.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Runs a job, showing the observer each execution. An engine may run ahead of what it shows.
    ///
    /// # Errors
    /// [`EngineFault`]; what was shown before stands.
    async fn execute(&self, job: &Job<'_>, observer: &mut Observer<'_>) -> Result<Progress, EngineFault>;

    /// Shows false while nothing can be worked on at all.
    fn gate(&self) -> Option<watch::Receiver<bool>> {
        None
    }

    /// What `/readyz` asks.
    fn checks(&self) -> Vec<Check> {
        Vec::new()
    }

    /// The languages that it serves at this moment.
    fn languages(&self) -> Vec<ServedLanguage> {
        Vec::new()
    }

    /// What it calls outside of the line, as it sees it at this moment.
    fn dependencies(&self) -> Vec<DependencyStatus> {
        Vec::new()
    }

    /// What compiles and runs this language, with its version; nothing where that is not known.
    fn toolchain(&self, _language: LanguageId) -> Option<String> {
        None
    }

    /// Whether many deliveries of a submission in this language tell that it takes judges down. Where they do not, it
    /// is given up by its age.
    fn counts_deliveries(&self, _language: LanguageId) -> bool {
        true
    }
}
