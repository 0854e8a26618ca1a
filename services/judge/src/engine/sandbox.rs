//! The sandbox engine of the judge. Each submission in progress has one workspace of the sandbox, and borrows idle ones for
//! its tests.

use std::borrow::Cow;

use anyhow::Context as _;
use async_trait::async_trait;
use gavel_domain::engine::{EngineFault, Job, Observer, Progress};
use gavel_domain::heartbeat::ServedLanguage;
use gavel_domain::text::normalize_newlines;
use gavel_domain::{LanguageId, TestCase};
use gavel_runtime::Misconfigured;
use gavel_sandbox::{Compilation, InstalledLanguage, RunLimits, Sandbox, SandboxConfig, TestRun, probe};
use gavel_telemetry::trace::step_span;
use tracing::{Instrument as _, debug, error, info};

use super::{Engine, EngineName};
use crate::Config;

/// The sandbox as an engine.
pub struct SandboxEngine {
    sandbox: Sandbox,
}

impl SandboxEngine {
    /// Builds the slots and finds the toolchains.
    ///
    /// # Errors
    /// Returns an error if this machine cannot isolate programs as configured. Programs never run with weaker isolation.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let settings = SandboxConfig {
            slots: config.slots,
            languages: config.languages.clone(),
            versions: config.versions,
            tier: config.sandbox_tier,
            compile_cache_bytes: config.compile_cache_bytes,
            ..SandboxConfig::default()
        };
        let sandbox = match Sandbox::start(settings.clone()).await {
            Ok(sandbox) => sandbox,
            Err(error) => {
                for missing in probe(&settings).await.into_iter().filter(|finding| !finding.ok) {
                    error!("{missing}");
                }
                let action = "cannot start the sandbox";
                return if error.is_permanent() {
                    Err(error).context(Misconfigured(action.to_owned()))
                } else {
                    Err(error).context(action)
                };
            }
        };
        info!(slots = config.slots, tier = %sandbox.tier(), "the sandbox is ready");
        let (served, not_served) = (sandbox.languages().len(), sandbox.unserved().len());
        info!(served, not_served, "languages found; \"gavel doctor\" lists them");
        for language in sandbox.languages() {
            debug!(id = %language.id, name = language.name, version = language.version, "language served");
        }
        for language in sandbox.unserved() {
            let ids: Vec<u32> = language.ids.iter().map(|id| id.0).collect();
            debug!(?ids, name = language.name, reason = language.reason, "language not served");
        }
        Ok(Self { sandbox })
    }

    /// Whether the toolchain of a language was found.
    #[must_use]
    pub fn serves(&self, language: LanguageId) -> bool {
        self.served(language).is_some()
    }

    fn served(&self, language: LanguageId) -> Option<&InstalledLanguage> {
        self.sandbox.languages().iter().find(|served| served.id == language)
    }
}

fn test_run<'a>(job: &Job<'_>, test: &'a TestCase) -> TestRun<'a> {
    let stdin = if test.stdin.contains('\r') {
        Cow::Owned(normalize_newlines(&test.stdin).into_bytes())
    } else {
        Cow::Borrowed(test.stdin.as_bytes())
    };
    TestRun { stdin, limits: run_limits(job, test), expected: test.expected_stdout.as_bytes() }
}

fn run_limits(job: &Job<'_>, test: &TestCase) -> RunLimits {
    // A correct answer must fit, and a wrong one should fit well enough to be compared.
    let expected = u64::try_from(test.expected_stdout.len()).unwrap_or(u64::MAX);
    let wall_time = job.question.limits.wall_time();
    RunLimits {
        cpu_time: job.question.limits.cpu_time,
        wall_time,
        max_waiting: RunLimits::max_waiting_for(wall_time),
        memory_bytes: job.question.limits.memory_bytes,
        stdout_bytes: job.max_output_bytes.max(expected.saturating_mul(2)),
        stderr_bytes: job.max_output_bytes,
        ..RunLimits::default()
    }
}

#[async_trait]
impl Engine for SandboxEngine {
    async fn execute(&self, job: &Job<'_>, observer: &mut Observer<'_>) -> Result<Progress, EngineFault> {
        let mut workspace = self.sandbox.workspace().await?;
        let program = match workspace
            .compile(job.language, job.source.as_bytes())
            .instrument(step_span("compile"))
            .await?
        {
            Compilation::Ready(program) => program,
            Compilation::Failed { output } => return Ok(Progress::CompileError(output)),
        };
        let tests: Vec<_> = job.question.tests.iter().map(|test| test_run(job, test)).collect();
        let run = workspace.run_tests(&program, &tests, observer);
        run.instrument(step_span("run the tests")).await?;
        Ok(Progress::Ran)
    }

    fn languages(&self) -> Vec<ServedLanguage> {
        let offered = |served: &InstalledLanguage| ServedLanguage {
            id: served.id,
            name: served.name.clone(),
            version: served.version.clone(),
            engine: EngineName::Sandbox.to_string(),
        };
        self.sandbox.languages().iter().map(offered).collect()
    }

    fn toolchain(&self, language: LanguageId) -> Option<String> {
        self.served(language).map(|served| format!("{} {}", served.name, served.version))
    }
}
