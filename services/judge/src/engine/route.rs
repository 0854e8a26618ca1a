//! The choice of the engine for a language: `ENGINE`, and `ENGINE_ROUTES` for pinned languages.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::Context as _;
use async_trait::async_trait;
use gavel_domain::LanguageId;
use gavel_domain::engine::{EngineFault, Job, Observer, Progress};
use gavel_domain::heartbeat::{DependencyStatus, ServedLanguage};
use gavel_runtime::Misconfigured;
use gavel_telemetry::table;
use tokio::sync::watch;
use tracing::info;

use super::{Engine, Judge0Engine, SandboxEngine};
use crate::Config;

/// `ENGINE`: the engine for languages that are not pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// Always the sandbox.
    Sandbox,
    /// Always Judge0.
    Judge0,
    /// The sandbox if it serves the language, otherwise Judge0.
    Auto,
}

/// One of the two engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineName {
    /// The embedded sandbox.
    Sandbox,
    /// Judge0.
    Judge0,
}

/// `ENGINE_ROUTES`: languages that are pinned to an engine, such as `51=judge0,83=judge0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes(BTreeMap<LanguageId, EngineName>);

/// The text is not a valid engine or list of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid value")]
pub struct InvalidRoute;

impl FromStr for EngineChoice {
    type Err = InvalidRoute;

    fn from_str(text: &str) -> Result<Self, InvalidRoute> {
        match text {
            "sandbox" => Ok(Self::Sandbox),
            "judge0" => Ok(Self::Judge0),
            "auto" => Ok(Self::Auto),
            _ => Err(InvalidRoute),
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
    type Err = InvalidRoute;

    /// Rejects a language that appears twice.
    fn from_str(text: &str) -> Result<Self, InvalidRoute> {
        let mut routes = BTreeMap::new();
        for rule in text.split(',').map(str::trim).filter(|rule| !rule.is_empty()) {
            let (language, engine) = rule.split_once('=').ok_or(InvalidRoute)?;
            let language = language.trim().parse().map(LanguageId).map_err(|_| InvalidRoute)?;
            let engine = match engine.trim() {
                "sandbox" => EngineName::Sandbox,
                "judge0" => EngineName::Judge0,
                _ => return Err(InvalidRoute),
            };
            if routes.insert(language, engine).is_some() {
                return Err(InvalidRoute);
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

/// The settings that choose the engine.
#[derive(Clone, Debug)]
struct Routing {
    choice: EngineChoice,
    routes: Routes,
}

impl Routing {
    /// Whether any language can be routed to an engine.
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

/// The engines in use, as one engine that routes each job by its language.
pub struct Engines {
    routing: Routing,
    sandbox: Option<SandboxEngine>,
    judge0: Option<Judge0Engine>,
}

impl Engines {
    /// Starts the engines that a language can be routed to. The sandbox's requirements on the machine apply only if it is
    /// one of them.
    ///
    /// # Errors
    /// Returns an error if the sandbox is in use and this machine cannot isolate programs, or if Judge0 is in use and its
    /// configuration is invalid. Judge0 itself may be unreachable at this time.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let routing = Routing { choice: config.engine, routes: config.routes.clone() };
        let sandbox =
            if routing.needs(EngineName::Sandbox) { Some(SandboxEngine::start(config).await?) } else { None };
        let judge0 = if routing.needs(EngineName::Judge0) {
            info!(url = config.judge0.base_url, window = config.judge0.window, "judging with Judge0");
            Some(Judge0Engine::start(config).context(Misconfigured("cannot use Judge0".to_owned()))?)
        } else {
            None
        };
        for name in [EngineName::Sandbox, EngineName::Judge0] {
            for label in EngineFault::LABELS {
                table::ENGINE_FAULTS.init(["judge", name.as_str(), label]);
            }
        }
        Ok(Self { routing, sandbox, judge0 })
    }

    fn name_of(&self, language: LanguageId) -> EngineName {
        let serves = |language| self.sandbox.as_ref().is_some_and(|sandbox| sandbox.serves(language));
        self.routing.engine(language, serves)
    }

    fn engine_for(&self, language: LanguageId) -> (EngineName, &dyn Engine) {
        let name = self.name_of(language);
        let named: Option<&dyn Engine> = match name {
            EngineName::Sandbox => self.sandbox.as_ref().map(|it| it as &dyn Engine),
            EngineName::Judge0 => self.judge0.as_ref().map(|it| it as &dyn Engine),
        };
        (name, named.expect("every engine that the routing can choose was started"))
    }
}

#[async_trait]
impl Engine for Engines {
    async fn execute(&self, job: &Job<'_>, observer: &mut Observer<'_>) -> Result<Progress, EngineFault> {
        let (name, engine) = self.engine_for(job.language);
        let executed = engine.execute(job, observer).await;
        if let Err(fault) = &executed {
            table::ENGINE_FAULTS.add(["judge", name.as_str(), fault.label()]);
        }
        executed
    }

    /// The sandbox can always take jobs.
    fn gate(&self) -> Option<watch::Receiver<bool>> {
        if self.sandbox.is_some() { None } else { self.judge0.as_ref().and_then(Engine::gate) }
    }

    fn dependencies(&self) -> Vec<DependencyStatus> {
        self.judge0.iter().flat_map(Engine::dependencies).collect()
    }

    /// The languages of each engine, without those that are routed to the other.
    fn languages(&self) -> Vec<ServedLanguage> {
        let of = |name, engine: Option<&dyn Engine>| {
            let served = engine.map(Engine::languages).unwrap_or_default();
            served.into_iter().filter(move |language| self.name_of(language.id) == name)
        };
        let sandbox = of(EngineName::Sandbox, self.sandbox.as_ref().map(|it| it as &dyn Engine));
        sandbox.chain(of(EngineName::Judge0, self.judge0.as_ref().map(|it| it as &dyn Engine))).collect()
    }

    fn serves(&self, language: LanguageId) -> bool {
        match self.name_of(language) {
            EngineName::Sandbox => self.sandbox.as_ref().is_some_and(|sandbox| sandbox.serves(language)),
            EngineName::Judge0 => self.judge0.as_ref().is_some_and(|judge0| judge0.serves(language)),
        }
    }

    fn toolchain(&self, language: LanguageId) -> Option<String> {
        self.engine_for(language).1.toolchain(language)
    }

    fn counts_deliveries(&self, language: LanguageId) -> bool {
        self.engine_for(language).1.counts_deliveries(language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routing(choice: &str, routes: &str) -> Routing {
        Routing { choice: choice.parse().unwrap(), routes: routes.parse().unwrap() }
    }

    #[test]
    fn routes_override_the_engine_and_auto_prefers_the_sandbox() {
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
            let routing = routing(choice, routes);
            assert_eq!(
                [71, 51].map(|id| routing.engine(LanguageId(id), serves)),
                engines,
                "{choice} {routes}"
            );
        }
    }

    #[test]
    fn only_engines_with_routed_languages_are_started() {
        let needs = |choice, routes| {
            let routing = routing(choice, routes);
            [routing.needs(EngineName::Sandbox), routing.needs(EngineName::Judge0)]
        };
        assert_eq!(needs("sandbox", ""), [true, false]);
        assert_eq!(needs("judge0", ""), [false, true]);
        assert_eq!(needs("judge0", "51=judge0"), [false, true]);
        assert_eq!(needs("judge0", "71=sandbox"), [true, true]);
        assert_eq!(needs("sandbox", "51=judge0"), [true, true]);
        assert_eq!(needs("auto", "71=sandbox"), [true, true]);
    }

    #[test]
    fn routes_are_parsed_and_invalid_routes_are_rejected() {
        let routes: Routes = " 83 = judge0, 51=sandbox,".parse().unwrap();
        assert_eq!(routes.to_string(), "51=sandbox,83=judge0");
        for text in ["51", "51=", "x=judge0", "51=isolate", "51=judge0,51=sandbox", "-1=judge0"] {
            assert!(text.parse::<Routes>().is_err(), "{text}");
        }
        assert!("Judge0".parse::<EngineChoice>().is_err());
    }
}
