//! Holds calls at a known moment, so that a test can act in between.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Semaphore, watch};

use crate::{
    endpoint::Endpoint,
    fault::{Counted, Matcher, Random},
    wait::TimedOut,
};

/// The moment at which a call is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldPoint {
    /// Received, but not applied.
    BeforeApplying,
    /// Applied, but not answered.
    BeforeAnswering,
}

/// The state of a hold, shared by its guard and the held calls.
#[derive(Debug)]
pub(crate) struct HoldState {
    pub(crate) point: HoldPoint,
    /// One permit per call to let through. If closed, every call passes.
    permits: Semaphore,
    arrived: watch::Sender<u64>,
}

impl HoldState {
    fn new(point: HoldPoint) -> Self {
        Self { point, permits: Semaphore::new(0), arrived: watch::Sender::new(0) }
    }

    /// Waits until the call is let through.
    pub(crate) async fn pass(&self) {
        self.arrived.send_modify(|count| *count += 1);
        // An error means that the hold was released: every call passes.
        if let Ok(permit) = self.permits.acquire().await {
            permit.forget();
        }
    }
}

/// The active holds.
#[derive(Debug, Default)]
pub(crate) struct Holds(Vec<(Counted, Arc<HoldState>)>);

impl Holds {
    pub(crate) fn add(&mut self, matcher: Matcher, point: HoldPoint) -> Arc<HoldState> {
        let hold = Arc::new(HoldState::new(point));
        self.0.retain(|(_, hold)| !hold.permits.is_closed());
        self.0.push((Counted::new(matcher), Arc::clone(&hold)));
        hold
    }

    pub(crate) fn pick(
        &mut self,
        endpoint: Endpoint,
        id: Option<&str>,
        random: &mut Random,
    ) -> Option<Arc<HoldState>> {
        let active = self.0.iter_mut().filter(|(_, hold)| !hold.permits.is_closed());
        let mut matching =
            active.filter_map(|(when, hold)| when.matches(endpoint, id, random).then_some(hold));
        matching.next().map(|hold| Arc::clone(hold))
    }
}

/// A guard that holds calls until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it lets the calls through"]
pub struct Hold {
    hold: Arc<HoldState>,
}

impl Hold {
    pub(crate) fn new(hold: Arc<HoldState>) -> Self {
        Self { hold }
    }

    /// Waits until `count` calls have arrived at the hold, including those let through.
    ///
    /// # Errors
    /// Returns [`TimedOut`] after `timeout`, with the number of calls that arrived.
    pub async fn wait_arrived(&self, count: u64, timeout: Duration) -> Result<(), TimedOut> {
        let mut arrived = self.hold.arrived.subscribe();
        let waited = tokio::time::timeout(timeout, arrived.wait_for(|have| *have >= count)).await;
        match waited {
            Ok(Ok(_)) => Ok(()),
            _ => Err(TimedOut::new(
                &format!("{count} held calls"),
                timeout,
                format!("{} arrived", self.arrived()),
            )),
        }
    }

    /// How many calls have arrived at the hold, including those let through.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        *self.hold.arrived.borrow()
    }

    /// Lets this many calls through, waiting or future ones, and holds the rest.
    pub fn let_through(&self, calls: usize) {
        self.hold.permits.add_permits(calls);
    }

    /// Lets all calls through and removes the hold.
    pub fn release(self) {}
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.hold.permits.close();
    }
}
