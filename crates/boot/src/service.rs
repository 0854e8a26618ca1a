//! What every service is configured with.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::http::Uri;
use gavel_bus::NatsConfig;
use gavel_bus::topology::TopologySettings;
use gavel_convex::{Convex, ConvexConfig, InFlight};

use crate::Env;

/// Where a service listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// The address and port; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// What every service needs.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Its word, such as "judge".
    pub service: &'static str,
    /// Where it listens.
    pub http: HttpConfig,
    /// Where NATS is.
    pub nats: NatsConfig,
    /// How streams are made where they are missing.
    pub topology: TopologySettings,
    /// What this instance is called in events and logs.
    pub instance: String,
    /// How long what is in hand may take after a stop.
    pub grace: Duration,
}

impl ServiceConfig {
    /// Reads what is common to all services; `service` is its word, such as "judge".
    pub fn read(env: &mut Env, service: &'static str, default_port: u16) -> Self {
        let address = env.get(
            "BIND_ADDRESS",
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            "the address to listen on; 0.0.0.0 in a container",
        );
        let port = env.get("PORT", default_port, "the port to listen on; 0 takes a free one");
        let url =
            env.get("NATS_URL", "nats://127.0.0.1:4222".to_owned(), "the NATS servers, separated by commas");
        if !url.split(',').all(is_nats_url) {
            // Not repeated: it may hold a password.
            env.problem("NATS_URL must be URLs such as nats://HOST:4222, separated by commas".to_owned());
        }
        let defaults = TopologySettings::default();
        let topology = TopologySettings {
            replicas: env.number("NATS_REPLICAS", defaults.replicas, 1, 5, "copies of each stream"),
            store_bytes: env.number(
                "NATS_STORE_BYTES",
                defaults.store_bytes,
                1 << 20,
                1 << 50,
                "bytes that all streams together may take",
            ),
            ack_wait: env.millis(
                "ACK_WAIT_MS",
                defaults.ack_wait,
                "silence after which work in hand is given to another instance",
            ),
        };
        let grace = env.millis(
            "SHUTDOWN_GRACE_MS",
            Duration::from_secs(10),
            "how long work in hand may take after SIGTERM before it is handed back",
        );
        let instance = env.optional("INSTANCE", "this instance's name; by default SERVICE-HOST-PID");
        Self {
            service,
            http: HttpConfig { listen: SocketAddr::new(address, port) },
            nats: NatsConfig { url, name: format!("gavel-{service}") },
            topology,
            instance: instance.unwrap_or_else(|| default_instance(service)),
            grace,
        }
    }
}

/// Reads where Convex is, for the services that call it.
pub fn convex(env: &mut Env) -> ConvexConfig {
    let config = ConvexConfig {
        site_url: env.required("CONVEX_SITE_URL", "where Convex is, such as https://NAME.convex.site"),
        timeout: env.millis(
            "REQUEST_TIMEOUT_MS",
            Duration::from_secs(15),
            "how long a call to Convex, or to Judge0, may take",
        ),
        in_flight: InFlight::new(env.number(
            "CONVEX_MAX_IN_FLIGHT",
            8,
            1,
            1_000,
            "calls of one process that may be in flight at Convex; those that are tried again get half of them",
        )),
    };
    if !config.site_url.is_empty()
        && let Err(error) = Convex::new(&config)
    {
        env.problem(error.to_string());
    }
    config
}

/// Whether the client will take it for a server. A name without a scheme is one, too.
fn is_nats_url(text: &str) -> bool {
    let text = if text.contains("://") { text.to_owned() } else { format!("nats://{text}") };
    let Ok(url) = text.parse::<Uri>() else { return false };
    let Some(authority) = url.authority() else { return false };
    // A port that is none is not told apart from no port.
    let port_fits = authority.as_str().ends_with(authority.host()) || authority.port_u16().is_some();
    matches!(url.scheme_str(), Some("nats" | "tls")) && !authority.host().is_empty() && port_fits
}

fn default_instance(service: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{service}-{}-{}", host.trim(), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_nats_is_checked_before_it_is_used() {
        let good = [
            "nats://127.0.0.1:4222",
            "tls://n.example",
            "n1",
            "n1:4223",
            "nats://[::1]:4222",
            "nats://u:p@h",
        ];
        for url in good {
            assert!(is_nats_url(url), "{url}");
        }
        let bad =
            ["", "nats://", "nats://:4222", "http://x", "nats://a b", "nats://h:99999", "h:x", "nats://[::1"];
        for url in bad {
            assert!(!is_nats_url(url), "{url}");
        }
    }
}
