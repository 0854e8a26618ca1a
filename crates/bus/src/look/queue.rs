//! What was heard and not yet looked at: bounded by its bytes, and what does not fit is counted, not forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::tap::Item;

/// What may wait, in KiB.
const ROOM_KIB: u32 = 64 << 10;

/// The end that hears.
pub(super) struct In {
    sender: mpsc::UnboundedSender<(Item, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
    lost: Arc<AtomicU64>,
}

/// The end that looks.
pub(super) struct Out {
    receiver: mpsc::UnboundedReceiver<(Item, OwnedSemaphorePermit)>,
    lost: Arc<AtomicU64>,
}

pub(super) fn queue() -> (In, Out) {
    queue_of(ROOM_KIB)
}

fn queue_of(kib: u32) -> (In, Out) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let lost = Arc::new(AtomicU64::new(0));
    let room = Arc::new(Semaphore::new(kib as usize));
    (In { sender, room, lost: Arc::clone(&lost) }, Out { receiver, lost })
}

impl In {
    /// Puts it in once there is room; false where nobody looks any more.
    pub(super) async fn wait(&self, item: Item) -> bool {
        let room = Arc::clone(&self.room).acquire_many_owned(weight(&item)).await;
        self.sender.send((item, room.expect("never closed"))).is_ok()
    }

    /// Puts it in, or counts it as lost; false where nobody looks any more.
    pub(super) fn offer(&self, item: Item) -> bool {
        let Ok(mut room) = Arc::clone(&self.room).try_acquire_many_owned(weight(&item)) else {
            self.lose(1);
            return !self.sender.is_closed();
        };
        let events = self.lost.swap(0, Ordering::Relaxed);
        // What was lost was before this one, and the word of it takes no room of its own.
        if events > 0
            && let Some(none) = room.split(0)
        {
            let _ = self.sender.send((Item::Lost { events }, none));
        }
        self.sender.send((item, room)).is_ok()
    }

    /// Counts what was lost before it came here.
    pub(super) fn lose(&self, events: u64) {
        self.lost.fetch_add(events, Ordering::Relaxed);
    }

    /// Returns once nobody looks any more.
    pub(super) async fn closed(&self) {
        self.sender.closed().await;
    }
}

impl Out {
    /// The next thing; nothing once it is over.
    pub(super) async fn next(&mut self) -> Option<Item> {
        match self.receiver.try_recv() {
            Ok((item, _)) => return Some(item),
            Err(mpsc::error::TryRecvError::Empty | mpsc::error::TryRecvError::Disconnected) => {}
        }
        match self.lost.swap(0, Ordering::Relaxed) {
            0 => self.receiver.recv().await.map(|(item, _)| item),
            events => Some(Item::Lost { events }),
        }
    }
}

/// At least one, so that a flood of empty messages is bounded, too.
fn weight(item: &Item) -> u32 {
    let Item::Event(message) = item else { return 1 };
    let headers: usize = message.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let bytes = message.payload.len() + message.subject.len() + headers;
    u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(ROOM_KIB)
}

#[cfg(test)]
mod tests {
    use super::super::Message;
    use super::*;

    fn event(n: u8) -> Item {
        Item::Event(Message {
            at: std::time::SystemTime::UNIX_EPOCH,
            subject: format!("submission.queued.{n}"),
            headers: Vec::new(),
            payload: vec![0; 100].into(),
            sequence: None,
        })
    }

    fn word(item: Option<Item>) -> String {
        match item {
            Some(Item::Event(message)) => message.subject.rsplit('.').next().unwrap().to_owned(),
            Some(Item::Lost { events }) => format!("{events} lost"),
            Some(_) => "other".to_owned(),
            None => "over".to_owned(),
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_is_counted_at_its_place() {
        let (input, mut output) = queue_of(2);
        for n in 1..=5 {
            assert!(input.offer(event(n)));
        }
        assert_eq!(word(output.next().await), "1");
        assert_eq!(word(output.next().await), "2");
        // Nothing else has come, and the reader still learns what it has missed.
        assert_eq!(word(output.next().await), "3 lost");
        for n in 6..=8 {
            assert!(input.offer(event(n)));
        }
        assert_eq!(word(output.next().await), "6");
        assert!(input.offer(event(9)));
        for wanted in ["7", "1 lost", "9"] {
            assert_eq!(word(output.next().await), wanted);
        }
        input.lose(4);
        drop(input);
        assert_eq!(word(output.next().await), "4 lost");
        assert_eq!(word(output.next().await), "over");
    }

    #[tokio::test]
    async fn nobody_to_look_is_noticed() {
        let (input, output) = queue_of(1);
        drop(output);
        assert!(!input.offer(event(1)));
        input.closed().await;
    }
}
