//! What every service is configured with.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use gavel_bus::NatsConfig;
use gavel_bus::topology::TopologySettings;
use gavel_convex::{Convex, ConvexConfig, InFlight};

use crate::{Env, nats};

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
        let nats = nats::read(env, service);
        let topology = topology(env);
        let grace = env.millis(
            "SHUTDOWN_GRACE_MS",
            Duration::from_secs(10),
            "how long work in hand may take after SIGTERM before it is handed back",
        );
        let instance = env.optional("INSTANCE", "this instance's name; by default SERVICE-HOST-PID");
        Self {
            service,
            http: HttpConfig { listen: SocketAddr::new(address, port) },
            nats,
            topology,
            instance: instance.unwrap_or_else(|| default_instance(service)),
            grace,
        }
    }
}

/// Reads how streams and consumers are made.
pub fn topology(env: &mut Env) -> TopologySettings {
    let defaults = TopologySettings::default();
    TopologySettings {
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
    }
}

/// Reads how long a call may take.
pub fn request_timeout(env: &mut Env) -> Duration {
    env.millis(
        "REQUEST_TIMEOUT_MS",
        Duration::from_secs(15),
        "how long a call to Convex, or to Judge0, may take",
    )
}

/// Reads how late Convex may apply what had no answer.
pub fn running_linger(env: &mut Env) -> Duration {
    env.millis(
        "RUNNING_LINGER_MS",
        Duration::from_secs(30),
        "how late Convex may apply a running callback that had no answer; the result is repeated after it",
    )
}

/// Reads where Convex is, for the services that call it.
pub fn convex(env: &mut Env) -> ConvexConfig {
    let config = ConvexConfig {
        site_url: env.required("CONVEX_SITE_URL", "where Convex is, such as https://NAME.convex.site"),
        timeout: request_timeout(env),
        in_flight: InFlight::new(env.number(
            "CONVEX_MAX_IN_FLIGHT",
            8,
            1,
            1_000,
            "calls of one process that may be in flight at Convex; those that are tried again get half of them",
        )),
        token: env.secret("CONVEX_TOKEN", "sent to Convex as a bearer token; none: nothing is sent"),
        signing_secrets: env.secrets(
            "CONVEX_SIGNING_SECRETS",
            "whsec_ secrets that sign each call to Convex (Standard Webhooks), separated by commas; none: not signed",
        ),
    };
    if !config.site_url.is_empty()
        && let Err(error) = Convex::new(&config)
    {
        env.problem(error.to_string());
    }
    config
}

fn default_instance(service: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{service}-{}-{}", host.trim(), std::process::id())
}
