//! Several servers that are one cluster.

use std::net::TcpListener;

use rand::RngExt as _;

use super::{NatsError, NatsServer, PORTS, PORTS_TRIED};

impl NatsServer {
    /// So many servers, each with a store of its own, that know each other. They do not tell clients of one
    /// another, so that a client stays on the wires that it was given.
    ///
    /// # Errors
    /// [`NatsError`].
    pub async fn start_cluster(size: usize) -> Result<Vec<Self>, NatsError> {
        let routes = route_ports(size)?;
        let urls: Vec<String> = routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
        let mut servers = Vec::new();
        for port in routes {
            let cluster = format!(
                "cluster {{ name: gavel-test, listen: \"127.0.0.1:{port}\", no_advertise: true, routes: [{}] }}",
                urls.join(", ")
            );
            servers.push(Self::builder().config(&cluster).try_start().await?);
        }
        Ok(servers)
    }
}

/// Ports that are free now. They are taken one after the other by servers that have to know them all before.
fn route_ports(count: usize) -> Result<Vec<u16>, NatsError> {
    let mut ports: Vec<u16> = Vec::new();
    for _ in 0..PORTS_TRIED {
        let port = rand::rng().random_range(PORTS);
        if !ports.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            ports.push(port);
        }
        if ports.len() == count {
            return Ok(ports);
        }
    }
    Err(NatsError::NoPort)
}
