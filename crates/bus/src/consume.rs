//! The one loop of all services.
//!
//! A slot is taken before a message is asked for; the handler works while progress is reported; what it
//! returns is published and acknowledged by the server; then the message is settled. On shutdown nothing new
//! is asked for, what is in hand may finish within the grace, and the rest is handed back at once.

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
    /// How many messages may be in hand at once.
    pub slots: usize,
    /// After how many deliveries a message that never came to an end is given up; nothing for no such bound.
    pub max_deliveries: Option<u64>,
    /// Ends the pulling; what is in hand goes on.
    pub stop: CancellationToken,
    /// Ends what is in hand, too: it is handed back.
    pub abort: CancellationToken,
}

impl ConsumeSettings {
    /// An abort is a stop, too: the loop would take again what it hands back.
    fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.abort.is_cancelled()
    }

    async fn over(&self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.abort.cancelled() => {}
        }
    }
}

/// Whether a loop is attached to its consumer; the loop sets it, `/readyz` reads it.
pub type ConsumerState = watch::Sender<bool>;

/// How long to wait before a lost consumer is looked up again.
const REOPEN: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(2) };

/// Runs the loop until it is stopped, and returns once everything in hand is settled.
pub async fn consume<H: Handler>(bus: Bus, handler: Arc<H>, settings: ConsumeSettings, state: ConsumerState) {
    let mut workers = JoinSet::new();
    let (mut failures, mut is_missed) = (0, false);
    let mut gate = Gate(handler.gate());
    let meter = Meter::start(bus.service, settings.durable.name(), settings.slots);
    while !settings.is_over() {
        tokio::select! {
            () = gate.until(true) => {}
            () = settings.over() => break,
        }
        let ended = match Puller::open(&bus, settings.durable).await {
            Ok(puller) => {
                state.send_replace(true);
                meter.attached(true);
                let (puller, ended) =
                    serve(&bus, &handler, &settings, &mut gate, &meter, puller, &mut workers).await;
                if !matches!(ended, Ended::Closed) {
                    state.send_replace(false);
                    meter.attached(false);
                }
                if puller.was_useful() {
                    (failures, is_missed) = (0, false);
                }
                for message in puller.close().await {
                    settle(&message, Settlement::HandBack(Duration::ZERO)).await;
                }
                ended
            }
            Err(lost) => Ended::Lost(lost),
        };
        let lost = match ended {
            Ended::Over => break,
            Ended::Closed => continue,
            Ended::Lost(lost) => lost,
        };
        failures += 1;
        let consumer = settings.durable.name();
        // Not to be mended by waiting, so it is said whatever was said before.
        if matches!(lost, Lost::Missing) && !std::mem::replace(&mut is_missed, true) {
            error!(consumer, reason = %lost, "cannot attach to the consumer");
        }
        match failures {
            1 => info!(consumer, reason = %Cause::from(lost), "attaching to the consumer again"),
            3 => warn!(consumer, reason = %Cause::from(lost), "cannot attach to the consumer"),
            _ => debug!(consumer, reason = %Cause::from(lost), failures, "still not attached"),
        }
        let pause = REOPEN.delay(failures, rand::random());
        let _ = tokio::time::timeout(pause, settings.over()).await;
    }
    while workers.join_next().await.is_some() {}
}

/// What a handler says of whether it can work.
struct Gate(Option<watch::Receiver<bool>>);

impl Gate {
    /// Waits until it is open, or closed. Whoever never speaks of it, or speaks no more, can work.
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

/// Why messages are no longer asked for.
enum Ended {
    /// The loop was stopped.
    Over,
    /// The handler cannot work.
    Closed,
    /// The consumer is lost.
    Lost(Lost),
}

/// Keeps as many messages asked for as there are free slots, until stopped, closed or lost.
async fn serve<H: Handler>(
    bus: &Bus,
    handler: &Arc<H>,
    settings: &ConsumeSettings,
    gate: &mut Gate,
    meter: &Arc<Meter>,
    mut puller: Puller,
    workers: &mut JoinSet<()>,
) -> (Puller, Ended) {
    // Asking costs a request each time: where there are many slots, a few may be idle until it is worth one.
    let worth_asking = (settings.slots / 16).max(1);
    loop {
        let free = settings.slots.saturating_sub(workers.len() + puller.outstanding());
        if free >= worth_asking
            && puller.outstanding() <= settings.slots / 2
            && let Err(lost) = puller.request(free).await
        {
            return (puller, Ended::Lost(lost));
        }
        tokio::select! {
            biased;
            () = settings.over() => return (puller, Ended::Over),
            () = gate.until(false) => return (puller, Ended::Closed),
            _ = workers.join_next(), if !workers.is_empty() => {}
            next = puller.next(), if puller.outstanding() > 0 => match next {
                Ok(Some(message)) => {
                    let job = job(bus, handler, settings, meter, puller.ack_wait(), message);
                    workers.spawn(work::work(job));
                }
                Ok(None) => {}
                Err(lost) => return (puller, Ended::Lost(lost)),
            },
        }
    }
}

fn job<H: Handler>(
    bus: &Bus,
    handler: &Arc<H>,
    settings: &ConsumeSettings,
    meter: &Arc<Meter>,
    ack_wait: Duration,
    message: Message,
) -> work::Job<H> {
    work::Job {
        bus: bus.clone(),
        handler: Arc::clone(handler),
        meter: Arc::clone(meter),
        message,
        max_deliveries: settings.max_deliveries,
        // Three chances to be heard before the server gives the message to another.
        progress_every: ack_wait / 3,
        abort: settings.abort.clone(),
    }
}
