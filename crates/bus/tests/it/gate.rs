//! The gate of a handler stops deliveries, and uncounted deliveries never lead to a dead letter.

use std::sync::Arc;
use std::time::Duration;

use gavel_bus::topology::Durable;
use gavel_bus::{Cause, ConsumeSettings, Delivery, Failure, Handler, Outgoing};
use gavel_domain::event::{Queued, Stage};
use gavel_testkit::TEST_TIMEOUT;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::support::{Rig, consumer, next};

/// Records each delivery, and defers it until it has been delivered a number of times.
struct Gated {
    open: watch::Receiver<bool>,
    events_tx: mpsc::UnboundedSender<u64>,
    until: u64,
}

impl Handler for Gated {
    type Event = Queued;
    const STAGE: Stage = Stage::Judge;

    fn gate(&self) -> Option<watch::Receiver<bool>> {
        Some(self.open.clone())
    }

    fn counts_deliveries(&self, _: &Queued) -> bool {
        false
    }

    async fn handle(&self, delivery: &Delivery<Queued>) -> Result<Vec<Outgoing>, Failure> {
        self.events_tx.send(delivery.attempt).unwrap();
        if delivery.attempt < self.until {
            Err(Failure::Defer(Duration::from_millis(1)))
        } else {
            Ok(Vec::new())
        }
    }

    fn give_up(&self, _: &Queued, _: &Cause) -> Vec<Outgoing> {
        panic!("it is not to be given up")
    }
}

#[tokio::test]
async fn closed_gate_stops_deliveries() {
    let rig = Rig::start().await;
    let (gate, open) = watch::channel(false);
    let (events_tx, mut events) = mpsc::unbounded_channel();
    let settings = ConsumeSettings {
        durable: Durable::Fetcher,
        slots: 2,
        max_deliveries: Some(2),
        stop: CancellationToken::new(),
        abort: CancellationToken::new(),
    };
    let stop = settings.stop.clone();
    let handler = Arc::new(Gated { open, events_tx, until: 5 });
    let (attached, mut is_attached) = watch::channel(false);
    let work = tokio::spawn(gavel_bus::consume(rig.bus.clone(), handler, settings, attached));
    // A closed gate says nothing about the consumer.
    tokio::time::timeout(TEST_TIMEOUT, is_attached.wait_for(|it| *it)).await.unwrap().unwrap();
    rig.queue("a", 1).await;
    // Opened and closed again: later messages are not requested.
    gate.send_replace(true);
    for attempt in 1..=5 {
        assert_eq!(next(&mut events).await, attempt, "more often than it counts for others");
    }
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    assert!(*is_attached.borrow_and_update());
    gate.send_replace(false);
    // Its requests are gone from the server, and it still counts as attached to the consumer.
    gavel_testkit::wait_until("no request", TEST_TIMEOUT, async || {
        consumer(&rig.raw().await, Durable::Fetcher).await.num_waiting == 0
    })
    .await
    .unwrap();
    rig.queue("b", 3).await;
    let pending = consumer(&rig.raw().await, Durable::Fetcher).await;
    assert_eq!((pending.num_pending, pending.num_ack_pending), (3, 0));
    assert!(events.try_recv().is_err() && *is_attached.borrow());
    gate.send_replace(true);
    for _ in 0..15 {
        next(&mut events).await;
    }
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    // A closed gate does not delay a stop.
    gate.send_replace(false);
    stop.cancel();
    tokio::time::timeout(TEST_TIMEOUT, work).await.unwrap().unwrap();
}
