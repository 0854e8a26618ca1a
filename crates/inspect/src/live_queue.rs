//! The queue between a live subscription and its reader: bounded by bytes, and messages that do not fit are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::inspector::InspectError;
use crate::message::Message;

/// The capacity of the queue, in KiB.
const CAPACITY_KIB: u32 = 64 << 10;

/// Something that a live subscription reports.
#[derive(Debug)]
pub enum LiveEvent {
    /// A message about a submission.
    Message(Message),
    /// Messages, at least this many, were dropped because the reader was too slow.
    Dropped {
        /// How many.
        messages: u64,
    },
    /// Everything stored has been returned; what follows is live.
    CaughtUp,
    /// The connection is lost; the client reconnects.
    Disconnected,
    /// The connection is established again. Messages in between were not received.
    Reconnected {
        /// How long it was lost.
        after: Duration,
    },
    /// The subscription ends with this error.
    Failed(InspectError),
}

/// The sending end.
#[derive(Clone)]
pub(crate) struct Sender {
    events: mpsc::UnboundedSender<(LiveEvent, OwnedSemaphorePermit)>,
    capacity: Arc<Semaphore>,
    dropped: Arc<AtomicU64>,
}

/// The receiving end.
pub(crate) struct Receiver {
    receiver: mpsc::UnboundedReceiver<(LiveEvent, OwnedSemaphorePermit)>,
    dropped: Arc<AtomicU64>,
}

pub(crate) fn queue() -> (Sender, Receiver) {
    queue_of(CAPACITY_KIB)
}

fn queue_of(kib: u32) -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let dropped = Arc::new(AtomicU64::new(0));
    let capacity = Arc::new(Semaphore::new(kib as usize));
    (Sender { events: sender, capacity, dropped: Arc::clone(&dropped) }, Receiver { receiver, dropped })
}

impl Sender {
    /// Sends once there is capacity; returns `false` if the receiver is gone.
    pub(crate) async fn send(&self, event: LiveEvent) -> bool {
        let permit = Arc::clone(&self.capacity).acquire_many_owned(weight(&event)).await;
        self.events.send((event, permit.expect("never closed"))).is_ok()
    }

    /// Sends, or counts the event as dropped if there is no capacity; returns `false` if the receiver is gone.
    pub(crate) fn try_send(&self, event: LiveEvent) -> bool {
        let Ok(mut permit) = Arc::clone(&self.capacity).try_acquire_many_owned(weight(&event)) else {
            self.count_dropped(1);
            return !self.events.is_closed();
        };
        let messages = self.dropped.swap(0, Ordering::Relaxed);
        // The dropped messages came before this one; their report needs no capacity.
        if messages > 0
            && let Some(empty) = permit.split(0)
        {
            let _ = self.events.send((LiveEvent::Dropped { messages }, empty));
        }
        self.events.send((event, permit)).is_ok()
    }

    /// Counts messages that were dropped before they came here.
    pub(crate) fn count_dropped(&self, messages: u64) {
        self.dropped.fetch_add(messages, Ordering::Relaxed);
    }

    /// Returns once the receiver is gone.
    pub(crate) async fn closed(&self) {
        self.events.closed().await;
    }
}

impl Receiver {
    /// Returns the next event; `None` once the sender is gone and the queue is empty. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<LiveEvent> {
        match self.receiver.try_recv() {
            Ok((event, _)) => return Some(event),
            Err(mpsc::error::TryRecvError::Empty | mpsc::error::TryRecvError::Disconnected) => {}
        }
        match self.dropped.swap(0, Ordering::Relaxed) {
            0 => self.receiver.recv().await.map(|(event, _)| event),
            messages => Some(LiveEvent::Dropped { messages }),
        }
    }
}

/// In KiB; at least one, so that a flood of empty messages is bounded, too.
fn weight(event: &LiveEvent) -> u32 {
    let LiveEvent::Message(message) = event else { return 1 };
    let headers: usize = message.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let bytes = message.payload.len() + message.subject.len() + headers;
    u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(CAPACITY_KIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: u8) -> LiveEvent {
        LiveEvent::Message(Message {
            at: std::time::SystemTime::UNIX_EPOCH,
            subject: format!("submission.queued.{n}"),
            headers: Vec::new(),
            payload: vec![0; 100].into(),
            sequence: None,
        })
    }

    fn describe(event: Option<LiveEvent>) -> String {
        match event {
            Some(LiveEvent::Message(message)) => message.subject.rsplit('.').next().unwrap().to_owned(),
            Some(LiveEvent::Dropped { messages }) => format!("{messages} dropped"),
            Some(_) => "other".to_owned(),
            None => "end".to_owned(),
        }
    }

    #[tokio::test]
    async fn dropped_messages_are_reported_where_they_are_missing() {
        let (sender, mut receiver) = queue_of(2);
        for n in 1..=5 {
            assert!(sender.try_send(message(n)));
        }
        assert_eq!(describe(receiver.next().await), "1");
        assert_eq!(describe(receiver.next().await), "2");
        // Nothing else has come, and the reader still learns what it has missed.
        assert_eq!(describe(receiver.next().await), "3 dropped");
        for n in 6..=8 {
            assert!(sender.try_send(message(n)));
        }
        assert_eq!(describe(receiver.next().await), "6");
        assert!(sender.try_send(message(9)));
        for wanted in ["7", "1 dropped", "9"] {
            assert_eq!(describe(receiver.next().await), wanted);
        }
        sender.count_dropped(4);
        drop(sender);
        assert_eq!(describe(receiver.next().await), "4 dropped");
        assert_eq!(describe(receiver.next().await), "end");
    }

    #[tokio::test]
    async fn sender_notices_that_the_receiver_is_gone() {
        let (sender, receiver) = queue_of(1);
        drop(receiver);
        assert!(!sender.try_send(message(1)));
        sender.closed().await;
    }
}
