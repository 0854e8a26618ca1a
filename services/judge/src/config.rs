//! The configuration of the judge.

use std::time::Duration;

use gavel_config::Env;
use gavel_domain::HiddenOutput;
use gavel_domain::text::MAX_FIELD_BYTES;
use gavel_judge0::Judge0Config;
use gavel_runtime::ServiceConfig;
use gavel_sandbox::{Languages, TierChoice, VersionRule};

use crate::engine::{EngineChoice, Routes};

mod judge0;

/// The judge's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The settings that all services have.
    pub service: ServiceConfig,
    /// The engine for languages that `routes` does not pin.
    pub engine: EngineChoice,
    /// The languages that the sandbox looks for at start.
    pub languages: Languages,
    /// Whether a toolchain may be older than the version that the language id names.
    pub versions: VersionRule,
    /// How the sandbox isolates programs.
    pub sandbox_tier: TierChoice,
    /// The languages that are pinned to an engine.
    pub routes: Routes,
    /// The address of Judge0 and how to use it.
    pub judge0: Judge0Config,
    /// The age at which the judge gives up a submission that Judge0 could not judge.
    pub judge0_give_up_after: Duration,
    /// How long a submission waits for a judge that serves its language.
    pub language_wait: Duration,
    /// How many submissions run in parallel.
    pub slots: usize,
    /// The number of deliveries after which the judge gives up a submission without a verdict.
    pub max_deliveries: u64,
    /// The size limit of a text field of a verdict, in bytes.
    pub max_field_bytes: usize,
    /// Whether a verdict carries what a program wrote during a hidden test.
    pub hidden_output: HiddenOutput,
    /// The output limit of a program on each stream, in bytes.
    pub max_output_bytes: u64,
    /// The size of the sandbox's cache of compiled programs, in bytes.
    pub compile_cache_bytes: u64,
    /// The size of the cache of test cases, in bytes.
    pub bundle_cache_bytes: u64,
}

impl Config {
    /// Reads the configuration from the environment.
    pub fn read(env: &mut Env) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            service: ServiceConfig::read(env, "judge", 4003),
            engine: env.get(
                "ENGINE",
                EngineChoice::Sandbox,
                "engine: sandbox, judge0, or auto (the sandbox if it serves the language, otherwise Judge0)",
            ),
            sandbox_tier: env.get(
                "SANDBOX_TIER",
                TierChoice::Auto,
                "isolation tier: auto, cgroup-v2 or cgroup-v1; or a weaker one by name: no-user-namespace, no-cgroup",
            ),
            routes: env.get(
                "ENGINE_ROUTES",
                Routes::default(),
                "languages pinned to an engine, regardless of ENGINE, such as 51=judge0,83=judge0",
            ),
            languages: languages(env),
            versions: env.get(
                "LANGUAGE_VERSIONS",
                VersionRule::default(),
                "any: serve a language id with the installed version; at-least: not with one older than the id names",
            ),
            judge0: judge0::read(env),
            judge0_give_up_after: env.seconds(
                "JUDGE0_GIVE_UP_AFTER_S",
                Duration::from_hours(24),
                "how long a submission waits for an unreachable Judge0 before it ends with an error, in seconds",
            ),
            language_wait: Duration::from_secs(env.number(
                "LANGUAGE_WAIT_S",
                300,
                0,
                86_400,
                "how long a submission waits for a judge that serves its language, in seconds; 0: it ends with an error at once",
            )),
            slots: env.number("JUDGE_SLOTS", cores, 1, 1_024, "submissions that run in parallel; default: one per CPU core"),
            max_deliveries: env.number(
                "JUDGE_MAX_DELIVERIES",
                8,
                1,
                1_000,
                "deliveries after which a submission without a verdict is given up",
            ),
            max_field_bytes: env.number(
                "MAX_FIELD_BYTES",
                MAX_FIELD_BYTES,
                1_000,
                128 * 1024,
                "size limit of a text field of a result, in bytes; longer texts are cut",
            ),
            hidden_output: env.get(
                "HIDDEN_OUTPUT",
                HiddenOutput::Send,
                "send or withhold what a program writes during a hidden test; it can print the test's input",
            ),
            max_output_bytes: env.number(
                "MAX_OUTPUT_BYTES",
                4 << 20,
                1_000,
                1 << 30,
                "output limit of a program on each stream, in bytes, or twice the expected output if that is more",
            ),
            compile_cache_bytes: env.number(
                "COMPILE_CACHE_BYTES",
                64 << 20,
                0,
                1 << 40,
                "size of the cache of compiled programs in memory, in bytes",
            ),
            bundle_cache_bytes: env.number(
                "BUNDLE_CACHE_BYTES",
                64 << 20,
                0,
                1 << 40,
                "size of the cache of test cases in memory, in bytes",
            ),
        }
    }
}

/// The built-in table of languages, extended by the operator's file if there is one.
fn languages(env: &mut Env) -> Languages {
    let file = env.optional(
        "SANDBOX_LANGUAGES",
        "file with languages that add to the sandbox's table or replace its entries; if unset, the built-in table",
    );
    let read = file.map_or(Ok(Languages::default()), |file| Languages::default().with_file(file.as_ref()));
    read.unwrap_or_else(|error| {
        env.add_problem(format!("SANDBOX_LANGUAGES: {error}"));
        Languages::default()
    })
}
