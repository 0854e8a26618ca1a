//! The one consumer loop of all services.
//!
//! A slot must be free before a message is requested. While the handler works, progress is reported; its outputs are
//! published and confirmed by the server; then the message is settled. On shutdown no new messages are requested, messages
//! in progress may finish within the grace period, and the rest are handed back at once.

use std::sync::Arc;
use std::time::Duration;

use gavel_domain::Backoff;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::bus::Bus;
use crate::handler::{Cause, Handler};
use crate::pull::{Lost, Puller};
use crate::settle::{Settlement, settle};
use crate::topology::Durable;

mod dead_letter;
mod expiry;
mod languages;
mod meter;
mod task;
mod work;
mod workers;

pub use expiry::end_expiring;
use languages::Languages;
use workers::Workers;

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
    let mut work = Workers::new(bus, handler, settings);
    let mut languages = Languages::of(&work);
    let (mut failures, mut is_missing_logged, mut was_open) = (0, false, false);
    let mut gate = Gate(work.handler.gate());
    while !work.settings.is_stopped() {
        let ended = match Puller::open(&work.bus, work.settings.durable).await {
            Ok(puller) => {
                work.read_max_age().await;
                was_open = true;
                state.send_replace(true);
                work.meter.attached(true);
                // The consumer is opened even if the handler cannot work: `/readyz` must not blame NATS for that.
                let (puller, ended) = if gate.is_closed() {
                    (puller, Ended::Closed)
                } else {
                    serve(&mut work, &mut gate, &mut languages, puller).await
                };
                if !matches!(ended, Ended::Closed | Ended::Interrupted) {
                    state.send_replace(false);
                    work.meter.attached(false);
                }
                if puller.was_useful() {
                    (failures, is_missing_logged) = (0, false);
                }
                let ack_wait = puller.ack_wait();
                for message in puller.close().await {
                    // Its slot is still free. Handed back, it would have used up a delivery.
                    if matches!(ended, Ended::Interrupted) {
                        work.start(work.settings.durable.into(), ack_wait, message);
                    } else {
                        settle(&message, Settlement::HandBack(Duration::ZERO)).await;
                    }
                }
                ended
            }
            Err(lost) => Ended::Lost(lost),
        };
        let lost = match ended {
            Ended::Stopped => break,
            Ended::Interrupted => continue,
            Ended::Closed => {
                tokio::select! {
                    () = gate.until(true) => continue,
                    () = work.settings.stopped() => break,
                }
            }
            Ended::Lost(lost) => lost,
        };
        failures += 1;
        let consumer = work.settings.durable.name();
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
        let _ = tokio::time::timeout(pause, work.settings.stopped()).await;
    }
    languages.close().await;
    work.finish().await;
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
    /// Submissions wait for a language, while the free slots wait at the server for other messages.
    Interrupted,
    /// The consumer is lost.
    Lost(Lost),
}

/// Keeps as many messages requested as there are free slots, until the loop is stopped, the gate closed or the consumer lost.
/// While submissions wait for languages, they and the consumer take turns at the free slots.
async fn serve<H: Handler>(
    work: &mut Workers<H>,
    gate: &mut Gate,
    languages: &mut Languages,
    mut puller: Puller,
) -> (Puller, Ended) {
    let durable = work.settings.durable;
    // Each request costs a message: if there are many slots, a few may be idle until a request is worth it.
    let min_request = (work.settings.slots / 16).max(1);
    let (mut is_languages_turn, mut waits_at_server) = (true, false);
    loop {
        // One request for all slots that are free by now costs as much as one for the first of them.
        while work.tasks.try_join_next().is_some() {}
        let (outstanding, free) = (puller.outstanding(), work.free().saturating_sub(puller.outstanding()));
        let are_languages_due = languages.are_due();
        waits_at_server &= outstanding > 0;
        if are_languages_due && waits_at_server {
            return (puller, Ended::Interrupted);
        }
        let requested = if !are_languages_due && free >= min_request && outstanding <= work.settings.slots / 2
        {
            waits_at_server = true;
            puller.request(free).await
        } else if are_languages_due && free > 0 && outstanding == 0 {
            if std::mem::replace(&mut is_languages_turn, false) {
                languages.serve(work, free).await;
                continue;
            }
            is_languages_turn = true;
            puller.request_available(free).await
        } else {
            Ok(())
        };
        if let Err(lost) = requested {
            return (puller, Ended::Lost(lost));
        }
        tokio::select! {
            biased;
            () = work.settings.stopped() => return (puller, Ended::Stopped),
            () = gate.until(false) => return (puller, Ended::Closed),
            () = languages.until_due(), if !are_languages_due => {}
            _ = work.tasks.join_next(), if !work.tasks.is_empty() => {}
            next = puller.next(), if puller.outstanding() > 0 => match next {
                Ok(Some(message)) => work.start(durable.into(), puller.ack_wait(), message),
                Ok(None) => {}
                Err(lost) => return (puller, Ended::Lost(lost)),
            },
        }
    }
}
