//! What the judge is configured with.

use std::time::Duration;

use gavel_config::Env;
use gavel_domain::text::MAX_FIELD_BYTES;
use gavel_judge0::Judge0Config;
use gavel_runtime::ServiceConfig;
use gavel_sandbox::{Languages, TierChoice, VersionRule};

use crate::engine::{EngineChoice, Routes};

mod judge0;

/// The judge's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What all services have.
    pub service: ServiceConfig,
    /// What takes a language that no rule pins.
    pub engine: EngineChoice,
    /// The languages that the sandbox looks for.
    pub languages: Languages,
    /// Whether a toolchain may be older than what a language id stands for.
    pub versions: VersionRule,
    /// What the sandbox isolates with.
    pub sandbox_tier: TierChoice,
    /// Languages that are pinned to an engine.
    pub routes: Routes,
    /// Where Judge0 is, and how it is used.
    pub judge0: Judge0Config,
    /// The age at which a submission that Judge0 could not judge is given up.
    pub judge0_give_up_after: Duration,
    /// How many submissions run at once.
    pub slots: usize,
    /// After how many deliveries a submission that never came to an end is given up.
    pub max_deliveries: u64,
    /// The largest text field of a verdict, in bytes.
    pub max_field_bytes: usize,
    /// What a program may write to standard output, and to standard error, in bytes.
    pub max_output_bytes: u64,
    /// How many bytes of compiled programs the sandbox keeps.
    pub compile_cache_bytes: u64,
    /// How many bytes of test cases are kept in memory.
    pub bundle_cache_bytes: u64,
}

impl Config {
    /// Reads it.
    pub fn read(env: &mut Env) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            service: ServiceConfig::read(env, "judge", 4003),
            engine: env.get(
                "ENGINE",
                EngineChoice::Sandbox,
                "sandbox, judge0, or auto: the sandbox where it serves the language, Judge0 otherwise",
            ),
            sandbox_tier: env.get(
                "SANDBOX_TIER",
                TierChoice::Auto,
                "what isolates programs, or nothing does: auto, cgroup-v2, cgroup-v1, or by name one that holds less: \
                 no-user-namespace, no-cgroup",
            ),
            routes: env.get(
                "ENGINE_ROUTES",
                Routes::default(),
                "languages that are pinned to an engine, whatever ENGINE says, such as 51=judge0,83=judge0",
            ),
            languages: languages(env),
            versions: env.get(
                "LANGUAGE_VERSIONS",
                VersionRule::default(),
                "any: an id is served by whatever version is installed; at-least: not by one older than it stands for",
            ),
            judge0: judge0::read(env),
            judge0_give_up_after: env.seconds(
                "JUDGE0_GIVE_UP_AFTER_S",
                Duration::from_hours(24),
                "how long a submission waits for a Judge0 that is away before it ends in an error",
            ),
            slots: env.number("JUDGE_SLOTS", cores, 1, 1_024, "submissions that run at once; by default one a core"),
            max_deliveries: env.number(
                "JUDGE_MAX_DELIVERIES",
                8,
                1,
                1_000,
                "deliveries after which a submission that never came to an end is given up",
            ),
            max_field_bytes: env.number(
                "MAX_FIELD_BYTES",
                MAX_FIELD_BYTES,
                1_000,
                128 * 1024,
                "the largest text field of a result, in bytes; what is longer is cut",
            ),
            max_output_bytes: env.number(
                "MAX_OUTPUT_BYTES",
                4 << 20,
                1_000,
                1 << 30,
                "what a program may write to either stream, in bytes, or twice the expected output if that is more",
            ),
            compile_cache_bytes: env.number(
                "COMPILE_CACHE_BYTES",
                64 << 20,
                0,
                1 << 40,
                "compiled programs kept in memory for the next submission of the same source, in bytes",
            ),
            bundle_cache_bytes: env.number(
                "BUNDLE_CACHE_BYTES",
                64 << 20,
                0,
                1 << 40,
                "test cases kept in memory, in bytes",
            ),
        }
    }
}

/// The table with the operator's file over it, where there is one.
fn languages(env: &mut Env) -> Languages {
    let file = env.optional(
        "SANDBOX_LANGUAGES",
        "a file whose entries add to the sandbox's table of languages, or replace parts of it; none: the table as it is",
    );
    let read = file.map_or(Ok(Languages::default()), |file| Languages::default().with_file(file.as_ref()));
    read.unwrap_or_else(|error| {
        env.add_problem(format!("SANDBOX_LANGUAGES: {error}"));
        Languages::default()
    })
}
