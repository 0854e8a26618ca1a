//! Which engine takes which language: `ENGINE`, and `ENGINE_ROUTES` for those that are pinned.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::Context as _;
use async_trait::async_trait;
use gavel_domain::LanguageId;
use gavel_domain::engine::{EngineFault, Job, Observer, Progress};
use gavel_domain::heartbeat::{DependencyStatus, ServedLanguage};
use gavel_telemetry::table;
use tokio::sync::watch;
use tracing::info;

use super::{Engine, Judge0Engine, SandboxEngine};
use crate::Config;

/// `ENGINE`: what takes a language that no rule pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// The sandbox, always.
    Sandbox,
    /// Judge0, always.
    Judge0,
    /// The sandbox where it serves the language, Judge0 otherwise.
    Auto,
}

/// One of the two engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineName {
    /// The embedded one.
    Sandbox,
    /// Judge0.
    Judge0,
}

/// `ENGINE_ROUTES`: languages that are pinned to an engine, such as `51=judge0,83=judge0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes(BTreeMap<LanguageId, EngineName>);

/// A text that is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not valid")]
pub struct NotValid;

impl FromStr for EngineChoice {
    type Err = NotValid;

    fn from_str(text: &str) -> Result<Self, NotValid> {
        match text {
            "sandbox" => Ok(Self::Sandbox),
            "judge0" => Ok(Self::Judge0),
            "auto" => Ok(Self::Auto),
            _ => Err(NotValid),
        }
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sandbox => "sandbox",
            Self::Judge0 => "judge0",
            Self::Auto => "auto",
        })
    }
}

impl fmt::Display for EngineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl EngineName {
    fn as_str(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Judge0 => "judge0",
        }
    }
}

impl FromStr for Routes {
    type Err = NotValid;

    /// A language twice is a mistake, not a choice.
    fn from_str(text: &str) -> Result<Self, NotValid> {
        let mut routes = BTreeMap::new();
        for rule in text.split(',').map(str::trim).filter(|rule| !rule.is_empty()) {
            let (language, engine) = rule.split_once('=').ok_or(NotValid)?;
            let language = language.trim().parse().map(LanguageId).map_err(|_| NotValid)?;
            let engine = match engine.trim() {
                "sandbox" => EngineName::Sandbox,
                "judge0" => EngineName::Judge0,
                _ => return Err(NotValid),
            };
            if routes.insert(language, engine).is_some() {
                return Err(NotValid);
            }
        }
        Ok(Self(routes))
    }
}

impl fmt::Display for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<String> =
            self.0.iter().map(|(language, engine)| format!("{language}={engine}")).collect();
        f.write_str(&rules.join(","))
    }
}

/// Who takes what.
#[derive(Clone, Debug)]
struct Plan {
    choice: EngineChoice,
    routes: Routes,
}

impl Plan {
    /// Whether any language can come to an engine.
    fn needs(&self, engine: EngineName) -> bool {
        let by_choice = match engine {
            EngineName::Sandbox => self.choice != EngineChoice::Judge0,
            EngineName::Judge0 => self.choice != EngineChoice::Sandbox,
        };
        by_choice || self.routes.0.values().any(|pinned| *pinned == engine)
    }

    fn engine(&self, language: LanguageId, sandbox_serves: impl Fn(LanguageId) -> bool) -> EngineName {
        match (self.routes.0.get(&language), self.choice) {
            (Some(pinned), _) => *pinned,
            (None, EngineChoice::Sandbox) => EngineName::Sandbox,
            (None, EngineChoice::Auto) if sandbox_serves(language) => EngineName::Sandbox,
            (None, EngineChoice::Auto | EngineChoice::Judge0) => EngineName::Judge0,
        }
    }
}

/// The engines that are needed, and who takes what.
pub struct Engines {
    plan: Plan,
    sandbox: Option<SandboxEngine>,
    judge0: Option<Judge0Engine>,
}

impl Engines {
    /// Starts what some language can come to. Where that is Judge0 alone, nothing is asked of this machine.
    ///
    /// # Errors
    /// Where the sandbox is needed and this machine cannot isolate programs; where Judge0's configuration can never
    /// work. Judge0 itself need not be there yet.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let plan = Plan { choice: config.engine, routes: config.routes.clone() };
        let sandbox =
            if plan.needs(EngineName::Sandbox) { Some(SandboxEngine::start(config).await?) } else { None };
        let judge0 = if plan.needs(EngineName::Judge0) {
            info!(url = config.judge0.base_url, window = config.judge0.window, "judging with Judge0");
            Some(Judge0Engine::start(config).context("Judge0 cannot be used")?)
        } else {
            None
        };
        for name in [EngineName::Sandbox, EngineName::Judge0] {
            for label in EngineFault::LABELS {
                table::ENGINE_FAULTS.init(["judge", name.as_str(), label]);
            }
        }
        Ok(Self { plan, sandbox, judge0 })
    }

    fn name_of(&self, language: LanguageId) -> EngineName {
        let serves = |language| self.sandbox.as_ref().is_some_and(|sandbox| sandbox.serves(language));
        self.plan.engine(language, serves)
    }

    fn of(&self, language: LanguageId) -> (EngineName, &dyn Engine) {
        let name = self.name_of(language);
        let named: Option<&dyn Engine> = match name {
            EngineName::Sandbox => self.sandbox.as_ref().map(|it| it as &dyn Engine),
            EngineName::Judge0 => self.judge0.as_ref().map(|it| it as &dyn Engine),
        };
        (name, named.expect("an engine that the plan can name was started"))
    }
}

#[async_trait]
impl Engine for Engines {
    async fn execute(&self, job: &Job<'_>, observer: &mut Observer<'_>) -> Result<Progress, EngineFault> {
        let (name, engine) = self.of(job.language);
        let executed = engine.execute(job, observer).await;
        if let Err(fault) = &executed {
            table::ENGINE_FAULTS.add(["judge", name.as_str(), fault.label()]);
        }
        executed
    }

    /// With the sandbox there is always something that can be worked on.
    fn gate(&self) -> Option<watch::Receiver<bool>> {
        if self.sandbox.is_some() { None } else { self.judge0.as_ref().and_then(Engine::gate) }
    }

    fn dependencies(&self) -> Vec<DependencyStatus> {
        self.judge0.iter().flat_map(Engine::dependencies).collect()
    }

    /// What each engine serves of that which comes to it.
    fn languages(&self) -> Vec<ServedLanguage> {
        let of = |name, engine: Option<&dyn Engine>| {
            let served = engine.map(Engine::languages).unwrap_or_default();
            served.into_iter().filter(move |language| self.name_of(language.id) == name)
        };
        let sandbox = of(EngineName::Sandbox, self.sandbox.as_ref().map(|it| it as &dyn Engine));
        sandbox.chain(of(EngineName::Judge0, self.judge0.as_ref().map(|it| it as &dyn Engine))).collect()
    }

    fn toolchain(&self, language: LanguageId) -> Option<String> {
        self.of(language).1.toolchain(language)
    }

    fn counts_deliveries(&self, language: LanguageId) -> bool {
        self.of(language).1.counts_deliveries(language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(choice: &str, routes: &str) -> Plan {
        Plan { choice: choice.parse().unwrap(), routes: routes.parse().unwrap() }
    }

    #[test]
    fn a_rule_comes_before_the_choice_and_auto_prefers_the_sandbox() {
        let serves = |language: LanguageId| language.0 == 71;
        let rows = [
            ("sandbox", "", [EngineName::Sandbox, EngineName::Sandbox]),
            ("judge0", "", [EngineName::Judge0, EngineName::Judge0]),
            ("auto", "", [EngineName::Sandbox, EngineName::Judge0]),
            ("auto", "71=judge0", [EngineName::Judge0, EngineName::Judge0]),
            ("sandbox", "51=judge0,83=judge0", [EngineName::Sandbox, EngineName::Judge0]),
            ("judge0", "51=sandbox", [EngineName::Judge0, EngineName::Sandbox]),
        ];
        for (choice, routes, engines) in rows {
            let plan = plan(choice, routes);
            assert_eq!([71, 51].map(|id| plan.engine(LanguageId(id), serves)), engines, "{choice} {routes}");
        }
    }

    #[test]
    fn only_what_some_language_can_come_to_is_started() {
        let needs = |choice, routes| {
            let plan = plan(choice, routes);
            [plan.needs(EngineName::Sandbox), plan.needs(EngineName::Judge0)]
        };
        assert_eq!(needs("sandbox", ""), [true, false]);
        assert_eq!(needs("judge0", ""), [false, true]);
        assert_eq!(needs("judge0", "51=judge0"), [false, true]);
        assert_eq!(needs("judge0", "71=sandbox"), [true, true]);
        assert_eq!(needs("sandbox", "51=judge0"), [true, true]);
        assert_eq!(needs("auto", "71=sandbox"), [true, true]);
    }

    #[test]
    fn rules_are_read_and_shown_and_mistakes_are_refused() {
        let routes: Routes = " 83 = judge0, 51=sandbox,".parse().unwrap();
        assert_eq!(routes.to_string(), "51=sandbox,83=judge0");
        for text in ["51", "51=", "x=judge0", "51=isolate", "51=judge0,51=sandbox", "-1=judge0"] {
            assert!(text.parse::<Routes>().is_err(), "{text}");
        }
        assert!("Judge0".parse::<EngineChoice>().is_err());
    }
}
