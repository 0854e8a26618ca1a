//! What the ingress is configured with.

use gavel_config::Env;
use gavel_domain::Secret;
use gavel_runtime::ServiceConfig;

/// The ingress's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What all services have.
    pub service: ServiceConfig,
    /// The largest source, in bytes of UTF-8.
    pub max_source_bytes: usize,
    /// Keys of callers; none means that anybody may call.
    pub keys: Vec<Secret>,
    /// Submissions a second, for each key; 0 for no limit.
    pub rate_limit_per_s: u32,
    /// Submissions a second of all callers together; 0 for no limit.
    pub rate_limit_all_per_s: u32,
    /// How many submissions may come at once within either rate limit.
    pub rate_limit_burst: u32,
}

impl Config {
    /// Reads it.
    pub fn read(env: &mut Env) -> Self {
        Self {
            service: ServiceConfig::read(env, "ingress", 4001),
            max_source_bytes: env.number(
                "MAX_SOURCE_BYTES",
                200_000,
                1,
                900_000,
                "the largest source code, in bytes of UTF-8",
            ),
            keys: env.secrets(
                "INGRESS_KEYS",
                "keys that callers must send as a bearer token or X-Code-Exec-Key, separated by commas; none: open",
            ),
            rate_limit_per_s: env.number(
                "RATE_LIMIT_PER_S",
                0,
                0,
                1_000_000,
                "submissions a second for each key; 0: no limit",
            ),
            rate_limit_all_per_s: env.number(
                "RATE_LIMIT_ALL_PER_S",
                0,
                0,
                1_000_000,
                "submissions a second of all keys together; 0: no limit",
            ),
            rate_limit_burst: env.number(
                "RATE_LIMIT_BURST",
                100,
                1,
                1_000_000,
                "submissions that may come at once within each rate limit",
            ),
        }
    }
}
