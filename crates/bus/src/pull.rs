//! Asking the server for messages: only as many as there are free slots.
//!
//! The client's own pull streams ask for the next batch by themselves, so a worker would hold messages that it
//! has not begun, burning their `ack_wait` and starving others; and its `batch()` with heartbeats can stall for
//! ever (0.51). Here each pull is ours: a request for so many messages, answered on our inbox by messages, by
//! heartbeats, and by a status when it ends early.

use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::context::{ConsumerInfoError, ConsumerInfoErrorKind};
use async_nats::jetstream::{self, Message};
use async_nats::{StatusCode, Subscriber};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, timeout_at};

use crate::bus::Bus;
use crate::timing::REQUEST_TIMEOUT;
use crate::topology::Durable;

#[cfg(test)]
mod tests;

/// Room for statuses and heartbeats that cross our farewell.
const SPARE: usize = 16;

/// Why a [`Puller`] is of no use any more; a new one is needed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error("NATS is not connected")]
    Disconnected,
    #[error("the consumer is not available")]
    Consumer(#[source] async_nats::Error),
    #[error("the consumer is not there: gavel streams makes it, as a user who may")]
    Missing,
    #[error("the server has forgotten the request")]
    Silence,
    #[error("the server ended the request: {0} {1}")]
    Status(StatusCode, String),
    #[error("the subscription has ended")]
    Ended,
}

/// Our requests to one consumer.
pub(crate) struct Puller {
    bus: Bus,
    inbox: String,
    subject: String,
    subscriber: Subscriber,
    /// Messages asked for and not yet received.
    outstanding: usize,
    /// All that the inbox has received, statuses included.
    received: u64,
    /// Whether the server has taken one of our requests.
    useful: bool,
    /// When the last request ends by itself.
    expires: Instant,
    /// When the server was last heard of, or asked.
    heard: Instant,
    /// The connection that our requests were made on.
    epoch: u64,
    ack_wait: Duration,
}

impl Puller {
    /// Looks the consumer up, making it where it is missing and ours to make, and subscribes to an inbox of our own.
    pub(crate) async fn open(bus: &Bus, durable: Durable) -> Result<Self, Lost> {
        let epoch = bus.state.borrow().epoch();
        if !bus.is_connected() {
            return Err(Lost::Disconnected);
        }
        let found = async {
            let stream = bus.context.get_stream_no_info(durable.stream().name()).await?;
            let consumer: PullConsumer = if bus.is_topology_managed {
                stream.get_consumer(durable.name()).await?
            } else {
                stream.get_or_create_consumer(durable.name(), durable.config(&bus.settings)).await?
            };
            Ok(consumer.cached_info().config.ack_wait)
        };
        let ack_wait = found
            .await
            .map_err(|error| if is_missing(&error) { Lost::Missing } else { Lost::Consumer(error) })?;
        let inbox = bus.client.new_inbox();
        let subscriber =
            bus.client.subscribe(inbox.clone()).await.map_err(|error| Lost::Consumer(error.into()))?;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", durable.stream().name(), durable.name());
        let (bus, now) = (bus.clone(), Instant::now());
        Ok(Self {
            bus,
            inbox,
            subject,
            subscriber,
            outstanding: 0,
            received: 0,
            useful: false,
            expires: now,
            heard: now,
            epoch,
            ack_wait,
        })
    }

    /// How long the server waits for a sign of life of a message in hand.
    pub(crate) fn ack_wait(&self) -> Duration {
        self.ack_wait
    }

    /// Messages asked for and not yet received.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Whether the server has ever answered a request with more than a refusal.
    pub(crate) fn was_useful(&self) -> bool {
        self.useful
    }

    /// Asks for `count` more messages.
    pub(crate) async fn request(&mut self, count: usize) -> Result<(), Lost> {
        let request = serde_json::json!({
            "batch": count,
            "expires": nanos(self.bus.pull_timing.expires),
            "idle_heartbeat": nanos(self.bus.pull_timing.heartbeat),
        });
        self.bus
            .client
            .publish_with_reply(self.subject.clone(), self.inbox.clone(), request.to_string().into())
            .await
            .map_err(|error| Lost::Consumer(error.into()))?;
        if self.outstanding == 0 {
            self.heard = Instant::now();
        }
        self.outstanding += count;
        self.expires = Instant::now() + self.bus.pull_timing.expires;
        Ok(())
    }

    /// The next message, or nothing where a request has ended without one. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, Lost> {
        let mut state = self.bus.state.clone();
        let message = tokio::select! {
            // A new connection has no memory of our requests.
            _ = state.wait_for(|now| now.epoch() != self.epoch) => return Err(Lost::Disconnected),
            next = timeout_at(self.heard + self.bus.pull_timing.silence, self.subscriber.next()) => {
                next.map_err(|_| Lost::Silence)?.ok_or(Lost::Ended)?
            }
        };
        self.heard = Instant::now();
        self.received += 1;
        self.useful |= matches!(
            message.status,
            None | Some(StatusCode::IDLE_HEARTBEAT | StatusCode::TIMEOUT | StatusCode::NOT_FOUND)
        );
        match message.status {
            None => {
                self.outstanding = self.outstanding.saturating_sub(1);
                return Ok(Some(jetstream::Message { message, context: self.bus.context.clone() }));
            }
            Some(StatusCode::IDLE_HEARTBEAT) => {
                // Each request has ended by then, whatever we have heard of it.
                if Instant::now() > self.expires + self.bus.pull_timing.silence {
                    return Err(Lost::Silence);
                }
            }
            Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => {
                let pending =
                    message.headers.as_ref().and_then(|headers| headers.get("Nats-Pending-Messages"));
                let pending = pending.and_then(|value| value.as_str().parse().ok());
                self.outstanding = self.outstanding.saturating_sub(pending.unwrap_or(self.outstanding));
            }
            Some(status) => {
                return Err(Lost::Status(status, message.description.clone().unwrap_or_default()));
            }
        }
        Ok(None)
    }

    /// Ends the requests and returns what was on its way. Handing it back before the server knows that we are
    /// gone would bring it straight back to us.
    pub(crate) async fn close(mut self) -> Vec<Message> {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        let is_ending = matches!(timeout_at(deadline, self.say_farewell()).await, Ok(true));
        let mut undelivered = Vec::new();
        loop {
            let next = self.subscriber.next();
            // Without a farewell nothing tells what is on its way; what is here is here.
            let next = if is_ending { timeout_at(deadline, next).await.ok() } else { next.now_or_never() };
            let Some(Some(message)) = next else { return undelivered };
            // Neither a status nor a message of our own, which nobody waits for an answer to.
            if message.status.is_none() && message.reply.is_some() {
                undelivered.push(jetstream::Message { message, context: self.bus.context.clone() });
            }
        }
    }

    /// Has the subscription end after so many messages that all on their way are among them, and fills up the
    /// number. The client's own `drain` drops what comes after the next turn of its loop (0.51); here the
    /// server and the client count to the same last message.
    async fn say_farewell(&mut self) -> bool {
        if !self.bus.is_connected() || self.bus.state.borrow().epoch() != self.epoch {
            return false;
        }
        // What was asked for may come, and a status of each request.
        let most = 2 * self.outstanding + SPARE;
        if self.subscriber.unsubscribe_after(self.received + most as u64).await.is_err() {
            return false;
        }
        for _ in 0..most {
            if self.bus.client.publish(self.inbox.clone(), Bytes::new()).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// Whether there is no such consumer; one that we may make is never missing.
fn is_missing(error: &async_nats::Error) -> bool {
    let kind = error.downcast_ref().map(ConsumerInfoError::kind);
    matches!(kind, Some(ConsumerInfoErrorKind::NotFound | ConsumerInfoErrorKind::StreamNotFound))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
