//! The configuration of the fetcher.

use std::time::Duration;

use gavel_config::Env;
use gavel_convex::{ConvexConfig, FetchLimits};
use gavel_runtime::ServiceConfig;

/// The settings of the fetcher.
#[derive(Clone, Debug)]
pub struct Config {
    /// The settings that all services share.
    pub service: ServiceConfig,
    /// The settings of the Convex client.
    pub convex: ConvexConfig,
    /// The limits for a question.
    pub limits: FetchLimits,
    /// How many submissions are in progress at once, at most.
    pub slots: usize,
    /// How long fetching test cases is retried before the submission ends with an error.
    pub give_up_after: Duration,
}

impl Config {
    /// Reads the settings from the environment.
    pub fn read(env: &mut Env) -> Self {
        Self {
            service: ServiceConfig::read(env, "fetcher", 4002),
            convex: ConvexConfig::read(env),
            limits: FetchLimits {
                tests: env.number("MAX_TESTCASES", 50, 1, 10_000, "test cases per question, at most"),
                bytes: env.number(
                    "MAX_BUNDLE_BYTES",
                    32 << 20,
                    1_000,
                    1 << 30,
                    "inputs and expected outputs of a question together, in bytes, at most",
                ),
            },
            slots: env.number("FETCHER_SLOTS", 64, 1, 1_000, "submissions in progress at once, at most"),
            // Queued submissions are kept for 72 hours only, so retrying for longer is not possible.
            give_up_after: Duration::from_secs(env.number(
                "FETCH_GIVE_UP_AFTER_S",
                600,
                1,
                48 * 3_600,
                "how long fetching test cases is retried before the submission ends with an error, in seconds",
            )),
        }
    }
}
