//! Saying that this service is there, for as long as it works.

use std::sync::Arc;
use std::time::SystemTime;

use gavel_bus::{Bus, HEARTBEAT_INTERVAL};
use gavel_domain::heartbeat::{DependencyStatus, Heartbeat, ServedLanguage};
use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

use crate::ServiceConfig;
use crate::health::{Check, problems};

/// What a service says of itself.
#[derive(Clone)]
pub struct Offer {
    /// How many messages it takes at a time.
    pub slots: usize,
    /// The languages that it serves at this moment.
    pub languages: Arc<dyn Fn() -> Vec<ServedLanguage> + Send + Sync>,
    /// What it calls outside of the line, as it sees it at this moment.
    pub dependencies: Arc<dyn Fn() -> Vec<DependencyStatus> + Send + Sync>,
    /// What tells whether it is ready.
    pub checks: Vec<Check>,
}

impl Offer {
    /// So many messages at a time, and nothing else.
    #[must_use]
    pub fn of(slots: usize) -> Self {
        Self { slots, languages: Arc::new(Vec::new), dependencies: Arc::new(Vec::new), checks: Vec::new() }
    }
}

/// What does not change while a service runs.
pub(crate) struct Card {
    service: &'static str,
    instance: String,
    started_at_ms: u64,
}

impl Card {
    pub(crate) fn new(config: &ServiceConfig) -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            service: config.service,
            instance: config.instance.clone(),
            started_at_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Says again and again that the service is there.
    pub(crate) async fn show(self, bus: Bus, offer: Offer) {
        let mut ticks = interval(HEARTBEAT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let heartbeat = Heartbeat {
                service: self.service.to_owned(),
                instance: self.instance.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                started_at_ms: self.started_at_ms,
                slots: count(offer.slots),
                busy: count(bus.in_hand()),
                languages: (offer.languages)(),
                dependencies: (offer.dependencies)(),
                problems: problems(&offer.checks).await,
            };
            if let Err(error) = bus.announce(&heartbeat).await {
                debug!(%error, "cannot say that this service is there");
            }
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
