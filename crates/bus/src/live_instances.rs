//! The instances of a service that send heartbeats now.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gavel_domain::heartbeat::Heartbeat;
use tracing::debug;

use crate::bus::Bus;
use crate::heartbeat::HEARTBEAT_TIMEOUT;

/// The maximum number of instances that are tracked.
const MAX_INSTANCES: usize = 1_000;
/// The pause before subscribing again after a subscription failed or ended.
const RESUBSCRIBE_PAUSE: Duration = Duration::from_secs(2);

/// The instances with a recent heartbeat, by the subjects of their heartbeats.
#[derive(Default)]
pub struct LiveInstances(Mutex<HashMap<String, (Instant, Heartbeat)>>);

impl LiveInstances {
    /// Receives the heartbeats of a service for as long as the future is polled.
    pub async fn listen(&self, bus: &Bus, service: &str) {
        loop {
            match bus.heartbeats(service).await {
                Ok(mut heartbeats) => {
                    while let Some((subject, heartbeat)) = heartbeats.next().await {
                        self.record(subject, heartbeat, Instant::now());
                    }
                }
                Err(error) => debug!(%error, service, "cannot subscribe to the heartbeats"),
            }
            tokio::time::sleep(RESUBSCRIBE_PAUSE).await;
        }
    }

    /// Records a heartbeat that was received at `now` on this subject.
    pub fn record(&self, subject: String, heartbeat: Heartbeat, now: Instant) {
        let mut instances = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remove_silent(&mut instances, now);
        if instances.len() < MAX_INSTANCES || instances.contains_key(&subject) {
            instances.insert(subject, (now, heartbeat));
        }
    }

    /// Calls `read` with the last heartbeats of the instances that are alive at `now`.
    pub fn read<T>(&self, now: Instant, read: impl FnOnce(&[&Heartbeat]) -> T) -> T {
        let mut instances = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remove_silent(&mut instances, now);
        read(&instances.values().map(|(_, heartbeat)| heartbeat).collect::<Vec<_>>())
    }
}

fn remove_silent(instances: &mut HashMap<String, (Instant, Heartbeat)>, now: Instant) {
    instances.retain(|_, (received_at, _)| now.saturating_duration_since(*received_at) < HEARTBEAT_TIMEOUT);
}
