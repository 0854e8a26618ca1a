//! Who is there, heard for a moment.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use gavel_domain::heartbeat::Heartbeat;
use gavel_proto::decode_heartbeat;
use tokio::time::timeout_at;

use super::{Look, LookError};

/// All that services say of themselves.
const EVERYBODY: &str = "presence.*.*";
/// The instances that are told; a line has far fewer.
const MOST: usize = 5_000;

impl Look {
    /// The instances that say within this time that they are there, by service and name, with when they
    /// said it last. Each says so every
    /// [`crate::HEARTBEAT_INTERVAL`].
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn present(&self, time: Duration) -> Result<Vec<(Heartbeat, Instant)>, LookError> {
        let until = Instant::now() + time;
        let mut said = self.client.subscribe(EVERYBODY).await.map_err(|_| LookError::Silent)?;
        self.settled().await?;
        let mut present = BTreeMap::new();
        while let Ok(Some(message)) = timeout_at(until.into(), said.next()).await {
            if present.len() < MOST
                && let Ok(heartbeat) = decode_heartbeat(&message.payload)
            {
                present.insert(
                    (heartbeat.service.clone(), heartbeat.instance.clone()),
                    (heartbeat, Instant::now()),
                );
            }
        }
        self.deafness(EVERYBODY).map_or(Ok(()), Err)?;
        Ok(present.into_values().collect())
    }
}
