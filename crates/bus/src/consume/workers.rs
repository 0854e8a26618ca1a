//! The messages in progress of one loop. Their number is limited by its slots.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Message;
use tokio::task::JoinSet;

use super::ConsumeSettings;
use super::meter::Meter;
use super::task::Work;
use super::work::work;
use crate::bus::Bus;
use crate::handler::Handler;
use crate::topology::{ConsumerId, give_up_age};

/// The work of a loop, and what each message in progress needs.
pub(super) struct Workers<H> {
    pub(super) bus: Bus,
    pub(super) handler: Arc<H>,
    pub(super) settings: ConsumeSettings,
    pub(super) meter: Arc<Meter>,
    pub(super) tasks: JoinSet<()>,
    /// From this age on, a message that would be delivered again is given up instead.
    max_age: Option<Duration>,
    /// The meter of the messages that waited for a language.
    language_meter: Arc<Meter>,
}

impl<H: Handler> Workers<H> {
    pub(super) fn new(bus: Bus, handler: Arc<H>, settings: ConsumeSettings) -> Self {
        let meter = Meter::start(bus.service, settings.durable.name(), settings.slots);
        let language_meter = match handler.language_turns() {
            Some(_) => meter.in_same_slots(bus.service, ConsumerId::LANGUAGES),
            None => Arc::clone(&meter),
        };
        Self { bus, handler, settings, meter, tasks: JoinSet::new(), max_age: None, language_meter }
    }

    /// Reads after which age the stream deletes messages, which an operator may have changed. Streams that should delete none
    /// are not asked.
    pub(super) async fn read_max_age(&mut self) {
        let stream = self.settings.durable.stream();
        if !stream.max_age().is_zero() {
            let max_age = self.bus.max_age(stream).await;
            self.max_age = give_up_age(max_age.unwrap_or_else(|| stream.max_age()));
        }
    }

    /// The number of slots without a message in progress.
    pub(super) fn free(&self) -> usize {
        self.settings.slots.saturating_sub(self.tasks.len())
    }

    /// Starts the work on a message.
    pub(super) fn start(&mut self, consumer: ConsumerId, ack_wait: Duration, message: Message) {
        let (meter, max_age) = match consumer {
            ConsumerId::Durable(_) => (&self.meter, self.max_age),
            ConsumerId::Language(_) => (&self.language_meter, None),
        };
        self.tasks.spawn(work(Work {
            bus: self.bus.clone(),
            handler: Arc::clone(&self.handler),
            meter: Arc::clone(meter),
            consumer,
            message,
            max_deliveries: self.settings.max_deliveries,
            max_age,
            // Three reports before the server would deliver the message to another instance.
            progress_every: ack_wait / 3,
            abort: self.settings.abort.clone(),
        }));
    }

    /// Waits until no message is in progress.
    pub(super) async fn finish(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}
