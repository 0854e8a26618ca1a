//! Heartbeats: a message every few seconds that says that this instance is alive and what it is doing.

use std::sync::Arc;
use std::time::SystemTime;

use gavel_bus::{Bus, HEARTBEAT_INTERVAL};
use gavel_domain::heartbeat::{DependencyStatus, Heartbeat, ServedLanguage};
use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

use crate::ServiceConfig;
use crate::health::{Check, problems};
use crate::version::BUILD;

/// What the heartbeats of a service report, besides its identity and health.
#[derive(Clone)]
pub struct ServiceInfo {
    /// How many messages the service handles at a time.
    pub slots: usize,
    /// Returns the languages that the service supports at the moment.
    pub languages: Arc<dyn Fn() -> Vec<ServedLanguage> + Send + Sync>,
    /// Returns the status of each system outside of the pipeline that the service calls.
    pub dependencies: Arc<dyn Fn() -> Vec<DependencyStatus> + Send + Sync>,
}

impl Default for ServiceInfo {
    /// No slots, no languages, no dependencies.
    fn default() -> Self {
        Self { slots: 0, languages: Arc::new(Vec::new), dependencies: Arc::new(Vec::new) }
    }
}

/// The part of the heartbeat that stays the same while the process runs.
pub(crate) struct Identity {
    service: &'static str,
    instance: String,
    started_at_ms: u64,
}

impl Identity {
    pub(crate) fn new(config: &ServiceConfig) -> Self {
        Self {
            service: config.service,
            instance: config.instance.clone(),
            started_at_ms: gavel_domain::time::epoch_ms(SystemTime::now()),
        }
    }

    /// The name of this instance.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }
}

/// Publishes a heartbeat every [`HEARTBEAT_INTERVAL`], until dropped.
pub(crate) async fn publish_heartbeats(bus: Bus, identity: Identity, info: ServiceInfo, checks: Vec<Check>) {
    let mut ticks = interval(HEARTBEAT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let heartbeat = Heartbeat {
            service: identity.service.to_owned(),
            instance: identity.instance.clone(),
            version: BUILD.to_owned(),
            started_at_ms: identity.started_at_ms,
            slots: count(info.slots),
            busy: count(bus.in_progress()),
            languages: (info.languages)(),
            dependencies: (info.dependencies)(),
            problems: problems(&checks).await,
        };
        if let Err(error) = bus.send_heartbeat(&heartbeat).await {
            debug!(%error, "cannot publish a heartbeat");
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
