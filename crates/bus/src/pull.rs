//! Pull requests: only as many messages are requested as there are free slots.
//!
//! The client's own pull streams request the next batch by themselves, so a worker would hold messages that it has not
//! started, which uses up their `ack_wait` and keeps them from other workers; and its `batch()` with heartbeats can stall
//! forever (0.51). So the requests are sent here: each asks for a number of messages, and its inbox receives messages,
//! heartbeats, and a status if the request ends early.

use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::context::{ConsumerInfoError, ConsumerInfoErrorKind};
use async_nats::jetstream::{self, Message};
use async_nats::{StatusCode, Subscriber};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use crate::bus::Bus;
use crate::connection::ConnectionState;
use crate::timing::REQUEST_TIMEOUT;
use crate::topology::ConsumerId;

#[cfg(test)]
mod tests;

/// How long the event of a new connection may take that has answered a request already. The client drops events if too
/// many wait.
const EVENT_TIMEOUT: Duration = Duration::from_secs(1);
/// The most statuses and heartbeats that can arrive while the subscription ends.
const MAX_STATUS_MESSAGES: usize = 16;

/// Why a [`Puller`] cannot be used any more, so that a new one is needed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error("not connected to NATS")]
    Disconnected,
    #[error("the consumer is not available")]
    Consumer(#[source] async_nats::Error),
    #[error(
        "the consumer does not exist: create it with \"gavel streams\", as a user who has the permission"
    )]
    Missing,
    #[error("the server has lost the request")]
    Silence,
    #[error("the server ended the request: {0} {1}")]
    Status(StatusCode, String),
    #[error("the subscription has ended")]
    Ended,
}

/// The pull requests to one consumer.
pub(crate) struct Puller {
    bus: Bus,
    inbox: String,
    subject: String,
    subscriber: Subscriber,
    /// Messages requested and not yet received.
    outstanding: usize,
    /// Everything that the inbox has received, statuses included.
    received: u64,
    /// Whether the server has accepted one of the requests.
    useful: bool,
    /// When the last request ends by itself.
    expires: Instant,
    /// When the server last answered, or was first asked.
    heard: Instant,
    /// The epoch of the connection that the requests were sent on.
    epoch: u64,
    ack_wait: Duration,
}

impl Puller {
    /// Looks up the consumer and subscribes to a new inbox. A missing consumer is created, except a durable one if the
    /// topology is managed elsewhere.
    pub(crate) async fn open(bus: &Bus, consumer: impl Into<ConsumerId>) -> Result<Self, Lost> {
        let id = consumer.into();
        if !bus.is_connected() {
            return Err(Lost::Disconnected);
        }
        let found = async {
            let stream = bus.context.get_stream_no_info(id.stream().name()).await?;
            let consumer: PullConsumer = if bus.is_topology_managed && matches!(id, ConsumerId::Durable(_)) {
                stream.get_consumer(&id.name()).await?
            } else {
                stream.get_or_create_consumer(&id.name(), id.config(&bus.settings)).await?
            };
            Ok(consumer.cached_info().config.ack_wait)
        };
        let ack_wait = found
            .await
            .map_err(|error| if is_missing(&error) { Lost::Missing } else { Lost::Consumer(error) })?;
        // Otherwise the requests seem to be lost as soon as the event arrives, and a message that is delivered to them is.
        let mut state = bus.state.clone();
        let _ = timeout(EVENT_TIMEOUT, state.wait_for(ConnectionState::is_established)).await;
        let epoch = state.borrow().epoch();
        let inbox = bus.client.new_inbox();
        let subscriber =
            bus.client.subscribe(inbox.clone()).await.map_err(|error| Lost::Consumer(error.into()))?;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", id.stream().name(), id.name());
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

    /// How long the server waits for an acknowledgement or for progress before it delivers a message again.
    pub(crate) fn ack_wait(&self) -> Duration {
        self.ack_wait
    }

    /// Messages requested and not yet received.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Whether the server has ever accepted a request.
    pub(crate) fn was_useful(&self) -> bool {
        self.useful
    }

    /// Requests `count` more messages. The request waits at the server until they are published.
    pub(crate) async fn request(&mut self, count: usize) -> Result<(), Lost> {
        let request = serde_json::json!({
            "batch": count,
            "expires": nanos(self.bus.pull_timing.expires),
            "idle_heartbeat": nanos(self.bus.pull_timing.heartbeat),
        });
        self.send(count, &request).await
    }

    /// Requests up to `count` of the messages that are stored now.
    pub(crate) async fn request_available(&mut self, count: usize) -> Result<(), Lost> {
        self.send(count, &serde_json::json!({ "batch": count, "no_wait": true })).await
    }

    async fn send(&mut self, count: usize, request: &serde_json::Value) -> Result<(), Lost> {
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

    /// Returns the next message, or `None` if a heartbeat or status came instead. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, Lost> {
        let mut state = self.bus.state.clone();
        let message = tokio::select! {
            // The server forgets the requests of an earlier connection.
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
                // Each request has ended by then, even if its status was lost.
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

    /// Ends the requests and returns the messages that were still arriving. If they were handed back before the server has
    /// ended the requests, it would deliver them here again.
    pub(crate) async fn close(mut self) -> Vec<Message> {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        let is_ending = matches!(timeout_at(deadline, self.end_subscription()).await, Ok(true));
        let mut undelivered = Vec::new();
        loop {
            let next = self.subscriber.next();
            // If the subscription does not end, only messages that have arrived already are returned.
            let next = if is_ending { timeout_at(deadline, next).await.ok() } else { next.now_or_never() };
            let Some(Some(message)) = next else { return undelivered };
            // Neither a status nor one of the empty messages of `end_subscription`.
            if message.status.is_none() && message.reply.is_some() {
                undelivered.push(jetstream::Message { message, context: self.bus.context.clone() });
            }
        }
    }

    /// Makes the subscription end after a number of messages that includes those still arriving, and sends empty
    /// messages to reach that number. The client's own `drain` drops messages that arrive after the next turn of its loop
    /// (0.51); here the server and the client count to the same last message.
    async fn end_subscription(&mut self) -> bool {
        if !self.bus.is_connected() || self.bus.state.borrow().epoch() != self.epoch {
            return false;
        }
        // Each requested message may arrive, and a status for each request.
        let limit = 2 * self.outstanding + MAX_STATUS_MESSAGES;
        if self.subscriber.unsubscribe_after(self.received + limit as u64).await.is_err() {
            return false;
        }
        for _ in 0..limit {
            if self.bus.client.publish(self.inbox.clone(), Bytes::new()).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// Whether the consumer or its stream does not exist.
fn is_missing(error: &async_nats::Error) -> bool {
    let kind = error.downcast_ref().map(ConsumerInfoError::kind);
    matches!(kind, Some(ConsumerInfoErrorKind::NotFound | ConsumerInfoErrorKind::StreamNotFound))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
