//! Listing the instances that send heartbeats.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use gavel_domain::heartbeat::Heartbeat;
use gavel_proto::decode_heartbeat;
use tokio::time::timeout_at;

use crate::inspector::{InspectError, Inspector};

/// The heartbeats of all services.
const ALL_HEARTBEATS: &str = "presence.*.*";
/// The most instances that are listed; a pipeline has far fewer.
const MAX_INSTANCES: usize = 5_000;

impl Inspector {
    /// Listens for heartbeats and returns the last one of each instance with the time it was received, by service and
    /// instance. Each instance sends one every [`gavel_bus::HEARTBEAT_INTERVAL`].
    ///
    /// # Errors
    /// Returns an error if the server refuses the subscription or does not answer.
    pub async fn heartbeats(&self, listen: Duration) -> Result<Vec<(Heartbeat, Instant)>, InspectError> {
        let until = Instant::now() + listen;
        let subscribed = self.client().subscribe(ALL_HEARTBEATS).await;
        let mut messages = subscribed.map_err(|_| InspectError::NoAnswer)?;
        self.round_trip().await?;
        let mut instances = BTreeMap::new();
        while let Ok(Some(message)) = timeout_at(until.into(), messages.next()).await {
            if instances.len() < MAX_INSTANCES
                && let Ok(heartbeat) = decode_heartbeat(&message.payload)
            {
                let instance = (heartbeat.service.clone(), heartbeat.instance.clone());
                instances.insert(instance, (heartbeat, Instant::now()));
            }
        }
        self.check_subscription(ALL_HEARTBEATS)?;
        Ok(instances.into_values().collect())
    }
}
