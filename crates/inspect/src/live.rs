//! A live subscription: first the stored messages, in order, then the live ones, without gaps or duplicates.
//!
//! Live messages have no sequence number. So the streams are first read to their end; then the subscription is made;
//! then the streams are read on from where they were left. Only messages of this second reading can also be received
//! live, so only these are remembered. The server delivers a message live before it stores it, so one that was published
//! just before the subscription may be stored just after that reading: a little later the streams are read once more.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::{Duration, SystemTime};

use async_nats::Subscriber;
use futures::StreamExt as _;
use gavel_bus::ConnectionState;
use gavel_bus::topology::{self, Stream};
use gavel_domain::SubmissionId;
use gavel_domain::event::Waiting;
use gavel_proto::WireEvent as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::inspector::{InspectError, Inspector};
use crate::live_queue::{LiveEvent, Receiver, Sender, queue};
use crate::message::Message;
use crate::reader::Reader;

/// All messages about submissions.
const ALL_SUBMISSIONS: &str = "submission.>";
/// The streams that hold them.
const SUBMISSION_STREAMS: [Stream; 5] =
    [Stream::Queued, Stream::Ready, Stream::Waiting, Stream::Result, Stream::DeadLetter];
/// After this time, everything that was published before the subscription is stored.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// Where a live subscription starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With messages that are published from now on. Needs no permission to publish.
    Now,
    /// With messages stored since this time.
    Since(SystemTime),
    /// With all stored messages.
    All,
}

/// Messages about submissions, live or from the history.
pub struct LiveEvents {
    receiver: Receiver,
}

impl LiveEvents {
    /// Returns the next event; `None` after the last one. Cancel safe.
    pub async fn next(&mut self) -> Option<LiveEvent> {
        self.receiver.next().await
    }
}

impl Inspector {
    /// Subscribes to the messages of all submissions. If `follow` is false, the subscription ends with the stored ones.
    /// With `follow`, every message that is published after this has returned is received.
    ///
    /// # Errors
    /// Returns an error if the server refuses the subscription, does not answer, or has no streams to read.
    pub async fn live_events(&self, start: Start, follow: bool) -> Result<LiveEvents, InspectError> {
        let since = match start {
            Start::Now => return self.follow([ALL_SUBMISSIONS.to_owned()]).await,
            Start::Since(time) => Some(time),
            Start::All => None,
        };
        let mut stored = StoredMessages::new(self, since);
        // The first read shows whether the streams exist, and whether this user may read them.
        stored.earliest().await?;
        let (sender, receiver) = queue();
        let inspector = self.clone();
        tokio::spawn(async move {
            let ended = inspector.replay(&sender, stored, follow).await;
            finish(&sender, ended).await;
        });
        Ok(LiveEvents { receiver })
    }

    /// Reads the stored messages of all submissions since a time.
    #[must_use]
    pub fn stored_messages(&self, since: SystemTime) -> StoredMessages {
        StoredMessages::new(self, Some(since))
    }

    /// Subscribes to the messages of a submission's first generation. Every message that is published after this has
    /// returned is received.
    ///
    /// # Errors
    /// Returns an error if the server refuses the subscription or does not answer.
    pub async fn live_events_of(&self, id: &SubmissionId) -> Result<LiveEvents, InspectError> {
        let while_waiting = topology::subject(Waiting::NAME, format_args!("*.{id}"));
        self.follow([topology::subject("*", id), while_waiting]).await
    }

    async fn follow<const N: usize>(&self, subjects: [String; N]) -> Result<LiveEvents, InspectError> {
        let (sender, receiver) = queue();
        for subject in subjects {
            let (inspector, sender) = (self.clone(), sender.clone());
            let subscription = self.subscribe(&subject).await?;
            tokio::spawn(async move {
                let ended =
                    inspector.receive(&sender, &subject, subscription, Duplicates::default(), None).await;
                finish(&sender, ended).await;
            });
        }
        Ok(LiveEvents { receiver })
    }

    async fn subscribe(&self, subject: &str) -> Result<Subscription, InspectError> {
        let mut state = self.connection_state();
        let known = state.borrow_and_update().clone();
        let opened = self.client().subscribe(subject.to_owned()).await;
        let messages = opened.map_err(|_| InspectError::NoAnswer)?;
        self.round_trip().await?;
        self.check_subscription(subject)?;
        Ok(Subscription { messages, state, known })
    }

    async fn replay(
        &self,
        sender: &Sender,
        mut stored: StoredMessages,
        follow: bool,
    ) -> Result<(), InspectError> {
        while let Some(message) = stored.next().await? {
            if !sender.send(LiveEvent::Message(message)).await {
                return Ok(());
            }
        }
        if !follow {
            return Ok(());
        }
        let subscription = self.subscribe(ALL_SUBMISSIONS).await?;
        let mut duplicates = Duplicates::default();
        stored.resume();
        while let Some(message) = stored.next().await? {
            duplicates.add_read(&message);
            if !sender.send(LiveEvent::Message(message)).await {
                return Ok(());
            }
        }
        sender.send(LiveEvent::CaughtUp).await;
        self.receive(sender, ALL_SUBMISSIONS, subscription, duplicates, Some(stored)).await
    }

    /// Passes on what the subscription receives.
    async fn receive(
        &self,
        sender: &Sender,
        subject: &str,
        subscription: Subscription,
        mut duplicates: Duplicates,
        mut stored: Option<StoredMessages>,
    ) -> Result<(), InspectError> {
        let Subscription { mut messages, mut state, mut known } = subscription;
        let mut disconnected_at = None;
        let settled_at = Instant::now() + SETTLE_TIME;
        loop {
            tokio::select! {
                received = messages.next() => {
                    let Some(received) = received else { return Err(InspectError::NoAnswer) };
                    let message = Message::received(received);
                    if duplicates.is_received_again(&message, stored.is_some()) {
                        continue;
                    }
                    if !sender.try_send(LiveEvent::Message(message)) {
                        return Ok(());
                    }
                }
                () = sleep_until(settled_at), if stored.is_some() => {
                    if let Some(mut stored) = stored.take() {
                        stored.resume();
                        while let Some(message) = stored.next().await? {
                            if !duplicates.was_received(&message) {
                                // It may still be received live.
                                duplicates.add_read(&message);
                                sender.send(LiveEvent::Message(message)).await;
                            }
                        }
                    }
                    duplicates.received.clear();
                }
                changed = state.changed() => {
                    if changed.is_err() {
                        return Err(InspectError::NoAnswer);
                    }
                    self.check_subscription(subject)?;
                    let now = state.borrow_and_update().clone();
                    sender.count_dropped(now.dropped - known.dropped);
                    if now.disconnects > known.disconnects {
                        disconnected_at.get_or_insert_with(Instant::now);
                        sender.send(LiveEvent::Disconnected).await;
                    }
                    if now.connects > known.connects && let Some(since) = disconnected_at.take() {
                        // The client reports a connection before the server knows its subscriptions. Without an answer
                        // the connection is lost again, which is the next change.
                        let _ = self.round_trip().await;
                        sender.send(LiveEvent::Reconnected { after: since.elapsed() }).await;
                    }
                    known = now;
                }
                () = sender.closed() => return Ok(()),
            }
        }
    }
}

/// A subscription, with the state of the connection from before it was opened, so that no disconnect is missed.
struct Subscription {
    messages: Subscriber,
    state: watch::Receiver<ConnectionState>,
    known: ConnectionState,
}

async fn finish(sender: &Sender, ended: Result<(), InspectError>) {
    if let Err(error) = ended {
        sender.send(LiveEvent::Failed(error)).await;
    }
}

/// The stored messages about submissions, merged by time.
pub struct StoredMessages {
    readers: Vec<Reader>,
}

impl StoredMessages {
    fn new(inspector: &Inspector, since: Option<SystemTime>) -> Self {
        let reader = |stream| inspector.read(stream, ALL_SUBMISSIONS, since);
        Self { readers: SUBMISSION_STREAMS.map(reader).into() }
    }

    /// The index of the reader with the earliest message.
    async fn earliest(&mut self) -> Result<Option<usize>, InspectError> {
        let mut earliest: Option<(SystemTime, usize)> = None;
        for (n, reader) in self.readers.iter_mut().enumerate() {
            if let Some(at) = reader.peek_time().await?
                && earliest.is_none_or(|(first, _)| at < first)
            {
                earliest = Some((at, n));
            }
        }
        Ok(earliest.map(|(_, n)| n))
    }

    /// Returns the next message; `None` at the present end. After an error it may be called again, and no message is left out.
    ///
    /// # Errors
    /// Returns an error if a stream cannot be read.
    pub async fn next(&mut self) -> Result<Option<Message>, InspectError> {
        match self.earliest().await? {
            Some(n) => self.readers[n].next().await,
            None => Ok(None),
        }
    }

    /// Whether the streams still have the sequence numbers that were read. A server that has lost its store begins again with
    /// 1, and its messages would be taken for ones that were read.
    ///
    /// # Errors
    /// Returns an error if a stream is missing or cannot be read.
    pub async fn can_continue(&self) -> Result<bool, InspectError> {
        for reader in &self.readers {
            if !reader.can_continue().await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes [`StoredMessages::next`] read on after the end, as far as messages were stored since.
    pub fn resume(&mut self) {
        for reader in &mut self.readers {
            reader.resume();
        }
    }
}

/// Messages that may be seen twice, where the history ends and the live messages start.
#[derive(Default)]
struct Duplicates {
    hasher: RandomState,
    /// Read, and not yet received.
    read: HashMap<u64, u32>,
    /// Received, and not yet read.
    received: HashMap<u64, u32>,
}

impl Duplicates {
    fn hash(&self, message: &Message) -> u64 {
        self.hasher.hash_one((&message.subject, &message.payload))
    }

    fn add_read(&mut self, message: &Message) {
        *self.read.entry(self.hash(message)).or_default() += 1;
    }

    /// Whether a received message was read before. If not, and if it may still be read, it is remembered.
    fn is_received_again(&mut self, message: &Message, may_be_read: bool) -> bool {
        if self.read.is_empty() && !may_be_read {
            return false;
        }
        let hash = self.hash(message);
        let was_read = remove_one(&mut self.read, hash);
        if !was_read && may_be_read {
            *self.received.entry(hash).or_default() += 1;
        }
        was_read
    }

    fn was_received(&mut self, message: &Message) -> bool {
        let hash = self.hash(message);
        remove_one(&mut self.received, hash)
    }
}

fn remove_one(counts: &mut HashMap<u64, u32>, hash: u64) -> bool {
    match counts.get_mut(&hash) {
        Some(count) => {
            *count -= 1;
            if *count == 0 {
                counts.remove(&hash);
            }
            true
        }
        None => false,
    }
}
