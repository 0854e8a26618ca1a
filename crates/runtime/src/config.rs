//! Settings that every service has.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use gavel_bus::NatsConfig;
use gavel_bus::topology::TopologySettings;
use gavel_config::Env;

use crate::nats;

/// The address that a service listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// The address and port; with port 0, the kernel picks a free port.
    pub listen: SocketAddr,
}

/// The configuration that every service has.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// The name of the service, such as "judge".
    pub service: &'static str,
    /// The address to listen on.
    pub http: HttpConfig,
    /// The connection to NATS.
    pub nats: NatsConfig,
    /// The settings for creating streams and consumers.
    pub topology: TopologySettings,
    /// The name of this instance in events and logs.
    pub instance: String,
    /// How long work in progress may take after SIGTERM.
    pub grace: Duration,
}

impl ServiceConfig {
    /// Reads the settings; `service` is the name of the service, such as "judge".
    pub fn read(env: &mut Env, service: &'static str, default_port: u16) -> Self {
        let address = env.get(
            "BIND_ADDRESS",
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            "IP address to listen on; use 0.0.0.0 in a container",
        );
        let port = env.get("PORT", default_port, "port to listen on; 0 picks a free port");
        let nats = nats::read(env, service);
        let topology = nats::read_topology(env);
        let grace = env.millis(
            "SHUTDOWN_GRACE_MS",
            Duration::from_secs(10),
            "time for work in progress to finish after SIGTERM, in milliseconds; unfinished work is redelivered",
        );
        let instance = env.optional("INSTANCE", "name of this instance; by default SERVICE-HOST-PID");
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
