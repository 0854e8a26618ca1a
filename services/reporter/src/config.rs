//! What the reporter is configured with.

use std::time::Duration;

use gavel_config::Env;
use gavel_convex::{ConvexConfig, running_linger};
use gavel_runtime::ServiceConfig;

/// The reporter's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What all services have.
    pub service: ServiceConfig,
    /// Where Convex is.
    pub convex: ConvexConfig,
    /// How many results may be in hand at once; a quarter as many submissions that have begun.
    pub slots: usize,
    /// How long telling Convex that a submission is running may take, all tries together.
    pub running_timeout: Duration,
    /// How much later than that Convex may still apply the call.
    pub running_linger: Duration,
    /// How long a result is tried for before it is given up.
    pub give_up_after: Duration,
}

impl Config {
    /// Reads it.
    pub fn read(env: &mut Env) -> Self {
        Self {
            service: ServiceConfig::read(env, "reporter", 4004),
            convex: ConvexConfig::read(env),
            slots: env.number("REPORTER_SLOTS", 64, 1, 1_000, "results in hand at once"),
            running_timeout: env.millis(
                "RUNNING_TIMEOUT_MS",
                Duration::from_secs(5),
                "how long the running callback may take, all tries together; a result waits for no longer",
            ),
            running_linger: running_linger(env),
            // The history forgets a verdict after 72 hours, tried or not.
            give_up_after: Duration::from_secs(env.number(
                "REPORT_GIVE_UP_AFTER_S",
                24 * 3_600,
                1,
                48 * 3_600,
                "how long a result is tried for before it goes to the dead letters",
            )),
        }
    }
}
