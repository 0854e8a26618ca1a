//! Settings of the ingress.

use gavel_config::Env;
use gavel_domain::Secret;
use gavel_runtime::ServiceConfig;

/// The configuration of the ingress.
#[derive(Clone, Debug)]
pub struct Config {
    /// Settings that every service has.
    pub service: ServiceConfig,
    /// The largest source code, in bytes of UTF-8.
    pub max_source_bytes: usize,
    /// Keys of callers; if empty, no key is needed.
    pub keys: Vec<Secret>,
    /// Submissions per second for each key; 0 for no limit.
    pub rate_limit_per_s: u32,
    /// Submissions per second of all callers together; 0 for no limit.
    pub rate_limit_all_per_s: u32,
    /// The burst size of each rate limit, in submissions.
    pub rate_limit_burst: u32,
}

impl Config {
    /// Reads the settings.
    pub fn read(env: &mut Env) -> Self {
        Self {
            service: ServiceConfig::read(env, "ingress", 4001),
            max_source_bytes: env.number(
                "MAX_SOURCE_BYTES",
                200_000,
                1,
                900_000,
                "largest source code, in bytes of UTF-8",
            ),
            keys: env.secrets(
                "INGRESS_KEYS",
                "keys of callers (bearer token or X-Code-Exec-Key header), comma-separated; if unset, no key is needed",
            ),
            rate_limit_per_s: env.number(
                "RATE_LIMIT_PER_S",
                0,
                0,
                1_000_000,
                "submissions per second for each key; 0 for no limit",
            ),
            rate_limit_all_per_s: env.number(
                "RATE_LIMIT_ALL_PER_S",
                0,
                0,
                1_000_000,
                "submissions per second of all callers together; 0 for no limit",
            ),
            rate_limit_burst: env.number(
                "RATE_LIMIT_BURST",
                100,
                1,
                1_000_000,
                "burst size of each rate limit, in submissions",
            ),
        }
    }

    /// Whether other machines can reach the ingress and need no key.
    pub(crate) fn is_open_to_everyone(&self) -> bool {
        !self.service.http.listen.ip().is_loopback() && self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_address_without_keys_is_open_to_everyone() {
        let is_open = |address: &str, keys: &str| {
            let variables = [("BIND_ADDRESS", address), ("INGRESS_KEYS", keys)];
            let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
            Config::read(&mut Env::from_vars(variables)).is_open_to_everyone()
        };
        assert!(is_open("0.0.0.0", "") && is_open("::", "") && is_open("192.0.2.1", ""));
        assert!(!is_open("0.0.0.0", "a-key") && !is_open("127.0.0.1", "") && !is_open("::1", ""));
    }
}
