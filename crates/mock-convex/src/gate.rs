//! Holding calls in the middle, so that a test can do something at a known moment.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Semaphore, watch};

use crate::{
    endpoint::Endpoint,
    fault::{Counted, Matcher, Random},
    wait::TimedOut,
};

/// Where a call is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Received, without effect so far.
    BeforeApplying,
    /// Applied, the answer not sent.
    BeforeAnswering,
}

/// One hold, shared by its guard and the calls in it.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) place: Place,
    /// Permits are calls let through; closed means that everything passes.
    passes: Semaphore,
    arrived: watch::Sender<u64>,
}

impl Gate {
    fn new(place: Place) -> Self {
        Self { place, passes: Semaphore::new(0), arrived: watch::Sender::new(0) }
    }

    /// Waits until the call is let through.
    pub(crate) async fn pass(&self) {
        self.arrived.send_modify(|count| *count += 1);
        // An error is a closed gate, which lets everything through.
        if let Ok(permit) = self.passes.acquire().await {
            permit.forget();
        }
    }
}

/// The gates that stand.
#[derive(Debug, Default)]
pub(crate) struct Gates(Vec<(Counted, Arc<Gate>)>);

impl Gates {
    pub(crate) fn add(&mut self, matcher: Matcher, place: Place) -> Arc<Gate> {
        let gate = Arc::new(Gate::new(place));
        self.0.retain(|(_, gate)| !gate.passes.is_closed());
        self.0.push((Counted::new(matcher), Arc::clone(&gate)));
        gate
    }

    pub(crate) fn pick(
        &mut self,
        endpoint: Endpoint,
        id: Option<&str>,
        random: &mut Random,
    ) -> Option<Arc<Gate>> {
        let standing = self.0.iter_mut().filter(|(_, gate)| !gate.passes.is_closed());
        let mut taken = standing.filter_map(|(when, gate)| when.takes(endpoint, id, random).then_some(gate));
        taken.next().map(|gate| Arc::clone(gate))
    }
}

/// Holds calls as long as it lives.
#[derive(Debug)]
#[must_use = "dropping it lets the calls through"]
pub struct Hold {
    gate: Arc<Gate>,
}

impl Hold {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }

    /// Waits until `count` calls have come to the gate since it was put up, those let through included.
    ///
    /// # Errors
    /// [`TimedOut`] after `timeout`, with how many had come.
    pub async fn wait_arrived(&self, count: u64, timeout: Duration) -> Result<(), TimedOut> {
        let mut arrived = self.gate.arrived.subscribe();
        let waited = tokio::time::timeout(timeout, arrived.wait_for(|have| *have >= count)).await;
        match waited {
            Ok(Ok(_)) => Ok(()),
            _ => Err(TimedOut::new(
                &format!("{count} held calls"),
                timeout,
                format!("{} had come", self.arrived()),
            )),
        }
    }

    /// How many calls have come to the gate, those let through included.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        *self.gate.arrived.borrow()
    }

    /// Lets so many calls through, those that wait or those that will come, and goes on holding the rest.
    pub fn let_through(&self, calls: usize) {
        self.gate.passes.add_permits(calls);
    }

    /// Lets everything through and takes the gate away.
    pub fn release(self) {}
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.gate.passes.close();
    }
}
