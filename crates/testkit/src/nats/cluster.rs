//! Several servers that form one cluster.

use std::net::TcpListener;

use rand::RngExt as _;

use super::{Builder, NatsError, NatsServer, PORTS, PORTS_TRIED};

impl NatsServer {
    /// Starts a cluster of `size` servers with the users of the deployment.
    ///
    /// # Errors
    /// Returns an error if a server cannot be started.
    pub async fn start_cluster(size: usize) -> Result<Vec<Self>, NatsError> {
        Self::builder().with_roles().start_cluster(size).await
    }
}

impl Builder {
    /// Starts a cluster of `size` servers, each with its own store. They do not advertise each other to clients, so a client
    /// stays on the proxies that it was given.
    ///
    /// # Errors
    /// Returns an error if a server cannot be started.
    pub async fn start_cluster(self, size: usize) -> Result<Vec<NatsServer>, NatsError> {
        let routes = route_ports(size)?;
        let urls: Vec<String> = routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
        let mut servers = Vec::new();
        for port in routes {
            let cluster = format!(
                "cluster {{ name: gavel-test, listen: \"127.0.0.1:{port}\", no_advertise: true, routes: [{}] }}",
                urls.join(", ")
            );
            servers.push(self.clone().config(&cluster).try_start().await?);
        }
        Ok(servers)
    }
}

/// Finds free ports. Every server must know the ports of all before the first one starts.
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
