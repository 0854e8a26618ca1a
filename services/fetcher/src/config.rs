//! What the fetcher is configured with.

use std::time::Duration;

use gavel_config::Env;
use gavel_convex::{ConvexConfig, FetchLimits};
use gavel_runtime::ServiceConfig;

/// The fetcher's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What all services have.
    pub service: ServiceConfig,
    /// Where Convex is.
    pub convex: ConvexConfig,
    /// What a question may be at most.
    pub limits: FetchLimits,
    /// How many submissions may be in hand at once.
    pub slots: usize,
    /// How long a submission's test cases are tried for before it ends in an error.
    pub give_up_after: Duration,
}

impl Config {
    /// Reads it.
    pub fn read(env: &mut Env) -> Self {
        Self {
            service: ServiceConfig::read(env, "fetcher", 4002),
            convex: ConvexConfig::read(env),
            limits: FetchLimits {
                tests: env.number("MAX_TESTCASES", 50, 1, 10_000, "the most test cases a question may have"),
                bytes: env.number(
                    "MAX_BUNDLE_BYTES",
                    32 << 20,
                    1_000,
                    1 << 30,
                    "the most bytes a question's test cases may take",
                ),
            },
            slots: env.number("FETCHER_SLOTS", 64, 1, 1_000, "submissions in hand at once"),
            // The history forgets what was queued after 72 hours, fetched or not.
            give_up_after: Duration::from_secs(env.number(
                "FETCH_GIVE_UP_AFTER_S",
                600,
                1,
                48 * 3_600,
                "how long test cases are tried for before the submission ends in an error",
            )),
        }
    }
}
