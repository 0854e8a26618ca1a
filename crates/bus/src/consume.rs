//! The one consumer loop of all services.
//!
//! A slot must be free before a message is requested. While the handler works, progress is reported; its outputs are
//! published and confirmed by the server; then the message is settled. On shutdown no new messages are requested, messages
//! in progress may finish within the grace period, and the rest are handed back at once.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Message;
use gavel_domain::Backoff;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::bus::Bus;
use crate::handler::{Cause, Handler};
use crate::pull::{Lost, Puller};
use crate::settle::{Settlement, settle};
use crate::topology::Durable;

mod meter;
mod work;

use meter::Meter;

/// How a service consumes.
#[derive(Clone, Debug)]
pub struct ConsumeSettings {
    /// The consumer.
    pub durable: Durable,
    /// How many messages may be in progress at once.
    pub slots: usize,
    /// After this many deliveries without a result, a message becomes a dead letter; `None` for no limit.
    pub max_deliveries: Option<u64>,
    /// Stops requesting messages; messages in progress go on.
    pub stop: CancellationToken,
    /// Stops messages in progress, too: they are handed back.
    pub abort: CancellationToken,
}

impl ConsumeSettings {
    /// An abort is also a stop: otherwise the loop would receive again what it hands back.
    fn is_stopped(&self) -> bool {
        self.stop.is_cancelled() || self.abort.is_cancelled()
    }

    async fn stopped(&self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.abort.cancelled() => {}
        }
    }
}

/// Whether a loop is attached to its consumer; the loop sets it, `/readyz` reads it.
pub type ConsumerState = watch::Sender<bool>;

/// The delay before a lost consumer is opened again.
const REOPEN_BACKOFF: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(2) };

/// Runs the loop until it is stopped, and returns once all messages in progress are settled.
pub async fn consume<H: Handler>(bus: Bus, handler: Arc<H>, settings: ConsumeSettings, state: ConsumerState) {
    let mut workers = JoinSet::new();
    let (mut failures, mut is_missing_logged, mut was_open) = (0, false, false);
    let mut gate = Gate(handler.gate());
    let meter = Meter::start(bus.service, settings.durable.name(), settings.slots);
    while !settings.is_stopped() {
        let ended = match Puller::open(&bus, settings.durable).await {
            Ok(puller) => {
                was_open = true;
                state.send_replace(true);
                meter.attached(true);
                // The consumer is opened even if the handler cannot work: `/readyz` must not blame NATS for that.
                let (puller, ended) = if gate.is_closed() {
                    (puller, Ended::Closed)
                } else {
                    serve(&bus, &handler, &settings, &mut gate, &meter, puller, &mut workers).await
                };
                if !matches!(ended, Ended::Closed) {
                    state.send_replace(false);
                    meter.attached(false);
                }
                if puller.was_useful() {
                    (failures, is_missing_logged) = (0, false);
                }
                for message in puller.close().await {
                    settle(&message, Settlement::HandBack(Duration::ZERO)).await;
                }
                ended
            }
            Err(lost) => Ended::Lost(lost),
        };
        let lost = match ended {
            Ended::Stopped => break,
            Ended::Closed => {
                tokio::select! {
                    () = gate.until(true) => continue,
                    () = settings.stopped() => break,
                }
            }
            Ended::Lost(lost) => lost,
        };
        failures += 1;
        let consumer = settings.durable.name();
        // Waiting does not help, so it is logged at once, whatever was logged before.
        if matches!(lost, Lost::Missing) && !std::mem::replace(&mut is_missing_logged, true) {
            error!(consumer, reason = %lost, "cannot open the consumer");
        }
        match failures {
            // A service that has just started may not be connected yet.
            1 if !was_open => debug!(consumer, reason = %Cause::from(lost), "cannot open the consumer yet"),
            1 => info!(consumer, reason = %Cause::from(lost), "opening the consumer again"),
            3 => warn!(consumer, reason = %Cause::from(lost), "cannot open the consumer"),
            _ => debug!(consumer, reason = %Cause::from(lost), failures, "still cannot open the consumer"),
        }
        let pause = REOPEN_BACKOFF.delay(failures, rand::random());
        let _ = tokio::time::timeout(pause, settings.stopped()).await;
    }
    while workers.join_next().await.is_some() {}
}

/// Whether the handler can work.
struct Gate(Option<watch::Receiver<bool>>);

impl Gate {
    /// Whether the handler cannot work now.
    fn is_closed(&self) -> bool {
        self.0.as_ref().is_some_and(|gate| gate.has_changed().is_ok() && !*gate.borrow())
    }

    /// Waits until it is open, or closed. A handler without a gate, or whose gate is dropped, can always work.
    async fn until(&mut self, open: bool) {
        let is_known = match &mut self.0 {
            Some(gate) => gate.wait_for(|now| *now == open).await.is_ok(),
            None => false,
        };
        if !is_known && !open {
            std::future::pending::<()>().await;
        }
    }
}

/// Why no more messages are requested.
enum Ended {
    /// The loop was stopped.
    Stopped,
    /// The gate is closed: the handler cannot work.
    Closed,
    /// The consumer is lost.
    Lost(Lost),
}

/// Keeps as many messages requested as there are free slots, until the loop is stopped, the gate closed or the consumer lost.
async fn serve<H: Handler>(
    bus: &Bus,
    handler: &Arc<H>,
    settings: &ConsumeSettings,
    gate: &mut Gate,
    meter: &Arc<Meter>,
    mut puller: Puller,
    workers: &mut JoinSet<()>,
) -> (Puller, Ended) {
    // Each request costs a message: if there are many slots, a few may be idle until a request is worth it.
    let min_request = (settings.slots / 16).max(1);
    loop {
        let free = settings.slots.saturating_sub(workers.len() + puller.outstanding());
        if free >= min_request
            && puller.outstanding() <= settings.slots / 2
            && let Err(lost) = puller.request(free).await
        {
            return (puller, Ended::Lost(lost));
        }
        tokio::select! {
            biased;
            () = settings.stopped() => return (puller, Ended::Stopped),
            () = gate.until(false) => return (puller, Ended::Closed),
            _ = workers.join_next(), if !workers.is_empty() => {}
            next = puller.next(), if puller.outstanding() > 0 => match next {
                Ok(Some(message)) => {
                    let work = new_work(bus, handler, settings, meter, puller.ack_wait(), message);
                    workers.spawn(work::work(work));
                }
                Ok(None) => {}
                Err(lost) => return (puller, Ended::Lost(lost)),
            },
        }
    }
}

fn new_work<H: Handler>(
    bus: &Bus,
    handler: &Arc<H>,
    settings: &ConsumeSettings,
    meter: &Arc<Meter>,
    ack_wait: Duration,
    message: Message,
) -> work::Work<H> {
    work::Work {
        bus: bus.clone(),
        handler: Arc::clone(handler),
        meter: Arc::clone(meter),
        message,
        max_deliveries: settings.max_deliveries,
        // Three reports before the server would deliver the message to another instance.
        progress_every: ack_wait / 3,
        abort: settings.abort.clone(),
    }
}
