//! The configuration of the reporter.

use std::time::Duration;

use gavel_config::Env;
use gavel_convex::{ConvexConfig, running_linger};
use gavel_runtime::ServiceConfig;

use crate::order::CallbackOrder;

/// The settings of the reporter.
#[derive(Clone, Debug)]
pub struct Config {
    /// The settings that all services share.
    pub service: ServiceConfig,
    /// The settings of the Convex client.
    pub convex: ConvexConfig,
    /// Who keeps the callbacks in order.
    pub order: CallbackOrder,
    /// How many results are in progress at once, at most; for `running` callbacks, a quarter of that.
    pub slots: usize,
    /// The timeout of a `running` callback, all attempts together.
    pub running_timeout: Duration,
    /// How long after that Convex may still apply a `running` call.
    pub running_linger: Duration,
    /// How long a result callback is retried before it becomes a dead letter.
    pub give_up_after: Duration,
}

impl Config {
    /// Reads the settings from the environment.
    pub fn read(env: &mut Env) -> Self {
        Self {
            service: ServiceConfig::read(env, "reporter", 4004),
            convex: ConvexConfig::read(env),
            order: env.get(
                "CONVEX_ORDER",
                CallbackOrder::Strict,
                "strict: the reporter keeps callbacks in order; guarded: Convex does, so results never wait for running",
            ),
            slots: env.number("REPORTER_SLOTS", 64, 1, 1_000, "results in progress at once, at most"),
            running_timeout: env.millis(
                "RUNNING_TIMEOUT_MS",
                Duration::from_secs(2),
                "timeout of a running callback, all attempts together, in milliseconds; in strict order a result waits for it",
            ),
            running_linger: running_linger(env),
            // Verdicts are kept for 72 hours only, so retrying for longer is not possible.
            give_up_after: Duration::from_secs(env.number(
                "REPORT_GIVE_UP_AFTER_S",
                24 * 3_600,
                1,
                48 * 3_600,
                "how long a result callback is retried before it becomes a dead letter, in seconds",
            )),
        }
    }
}
