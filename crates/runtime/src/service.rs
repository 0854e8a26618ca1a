//! What every service is configured with.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use gavel_bus::NatsConfig;
use gavel_bus::topology::TopologySettings;
use gavel_config::Env;

use crate::nats;

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
        let topology = nats::read_topology(env);
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

fn default_instance(service: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{service}-{}-{}", host.trim(), std::process::id())
}
