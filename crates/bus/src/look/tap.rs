//! A tap: what was, in order, and then what is, without a gap or a double in between.
//!
//! What is heard has no sequence number. So the streams are read to their end first; then the subscription is
//! made; and then they are read on from where they were left. Only what this last reading brings can be heard
//! again, so only that is remembered. A server hears a message before it stores it, so one that was heard by
//! nobody may be stored just after that reading: a little later the streams are read once more.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::{Duration, SystemTime};

use async_nats::Subscriber;
use futures::StreamExt as _;
use tokio::time::{Instant, sleep_until};

use super::queue::{In, Out, queue};
use super::{Look, LookError, Message, OF_SUBMISSIONS, Reader, sent_headers};

/// All that is said about submissions.
const EVERYTHING: &str = "submission.>";
/// After what time everything is stored that was published before the subscription.
const SETTLING: Duration = Duration::from_secs(2);

/// What is seen through a tap.
#[derive(Debug)]
pub enum Item {
    /// A message.
    Event(Message),
    /// So many messages, at least, were not taken in time and are not shown.
    Lost {
        /// How many.
        events: u64,
    },
    /// All that was stored has been shown; from here on it is what happens.
    CaughtUp,
    /// The connection is gone; it is being made again.
    Away,
    /// The connection is there again. What was said meanwhile was not heard.
    Back {
        /// For how long it was gone.
        after: Duration,
    },
    /// It cannot go on.
    Failed(LookError),
}

/// Where a tap begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With what happens from now on. Needs no right to publish anything.
    Now,
    /// With what was stored since then.
    Since(SystemTime),
    /// With all that is stored.
    All,
}

/// Messages about submissions, from now on or from before.
pub struct Tap {
    queue: Out,
}

impl Tap {
    /// The next thing to be seen; nothing once it is over.
    pub async fn next(&mut self) -> Option<Item> {
        self.queue.next().await
    }
}

impl Look {
    /// Opens a tap. What is published once this has returned is seen by a tap that follows.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn tap(&self, begin: Begin, follow: bool) -> Result<Tap, LookError> {
        let (input, queue) = queue();
        let look = self.clone();
        let since = match begin {
            Begin::Now => {
                let subscriber = self.subscribe().await?;
                tokio::spawn(async move {
                    let ended = look.hear(&input, subscriber, Doubles::default(), None).await;
                    end(&input, ended).await;
                });
                return Ok(Tap { queue });
            }
            Begin::Since(time) => Some(time),
            Begin::All => None,
        };
        let mut history = History::new(self, since);
        // The first word tells whether there are streams at all, and whether we may read them.
        history.earliest().await?;
        tokio::spawn(async move {
            let ended = look.replay(&input, history, follow).await;
            end(&input, ended).await;
        });
        Ok(Tap { queue })
    }

    async fn subscribe(&self) -> Result<Subscriber, LookError> {
        let subscriber = self.client.subscribe(EVERYTHING).await.map_err(|_| LookError::Silent)?;
        self.settled().await?;
        self.deafness(EVERYTHING).map_or(Ok(subscriber), Err)
    }

    async fn replay(&self, input: &In, mut history: History, follow: bool) -> Result<(), LookError> {
        while let Some(message) = history.next().await? {
            if !input.wait(Item::Event(message)).await {
                return Ok(());
            }
        }
        if !follow {
            return Ok(());
        }
        let subscriber = self.subscribe().await?;
        let mut doubles = Doubles::default();
        history.again();
        while let Some(message) = history.next().await? {
            doubles.read(&message);
            if !input.wait(Item::Event(message)).await {
                return Ok(());
            }
        }
        input.wait(Item::CaughtUp).await;
        self.hear(input, subscriber, doubles, Some(history)).await
    }

    /// Passes on what is heard.
    async fn hear(
        &self,
        input: &In,
        mut subscriber: Subscriber,
        mut doubles: Doubles,
        mut history: Option<History>,
    ) -> Result<(), LookError> {
        let mut line = self.line.clone();
        let mut known = line.borrow_and_update().clone();
        let mut away = None;
        let settled = Instant::now() + SETTLING;
        loop {
            tokio::select! {
                heard = subscriber.next() => {
                    let Some(heard) = heard else { return Err(LookError::Silent) };
                    let message = Message {
                        at: SystemTime::now(),
                        subject: heard.subject.to_string(),
                        headers: sent_headers(heard.headers.as_ref()),
                        payload: heard.payload,
                        sequence: None,
                    };
                    if doubles.heard(&message, history.is_some()) {
                        continue;
                    }
                    if !input.offer(Item::Event(message)) {
                        return Ok(());
                    }
                }
                () = sleep_until(settled), if history.is_some() => {
                    if let Some(mut late) = history.take() {
                        late.again();
                        while let Some(message) = late.next().await? {
                            if !doubles.was_heard(&message) {
                                // It may be on its way to us, too.
                                doubles.read(&message);
                                input.wait(Item::Event(message)).await;
                            }
                        }
                    }
                    doubles.heard.clear();
                }
                changed = line.changed() => {
                    if changed.is_err() {
                        return Err(LookError::Silent);
                    }
                    if let Some(deaf) = self.deafness(EVERYTHING) {
                        return Err(deaf);
                    }
                    let now = line.borrow_and_update().clone();
                    input.lose(now.dropped - known.dropped);
                    if now.lost > known.lost {
                        away.get_or_insert_with(Instant::now);
                        input.wait(Item::Away).await;
                    }
                    if now.made > known.made && let Some(since) = away.take() {
                        input.wait(Item::Back { after: since.elapsed() }).await;
                    }
                    known = now;
                }
                () = input.closed() => return Ok(()),
            }
        }
    }
}

async fn end(input: &In, ended: Result<(), LookError>) {
    if let Err(error) = ended {
        input.wait(Item::Failed(error)).await;
    }
}

/// The streams of a submission's life, merged by time.
struct History {
    readers: Vec<Reader>,
}

impl History {
    fn new(look: &Look, since: Option<SystemTime>) -> Self {
        Self { readers: OF_SUBMISSIONS.map(|stream| look.read(stream, EVERYTHING, since)).into() }
    }

    async fn earliest(&mut self) -> Result<Option<usize>, LookError> {
        let mut earliest: Option<(SystemTime, usize)> = None;
        for (n, reader) in self.readers.iter_mut().enumerate() {
            if let Some(at) = reader.peek().await?
                && earliest.is_none_or(|(first, _)| at < first)
            {
                earliest = Some((at, n));
            }
        }
        Ok(earliest.map(|(_, n)| n))
    }

    async fn next(&mut self) -> Result<Option<Message>, LookError> {
        match self.earliest().await? {
            Some(n) => self.readers[n].next().await,
            None => Ok(None),
        }
    }

    fn again(&mut self) {
        for reader in &mut self.readers {
            reader.again();
        }
    }
}

/// What may be seen twice around the turn from what was to what is.
#[derive(Default)]
struct Doubles {
    hasher: RandomState,
    /// Read and not yet heard.
    read: HashMap<u64, u32>,
    /// Heard and not yet read.
    heard: HashMap<u64, u32>,
}

impl Doubles {
    fn key(&self, message: &Message) -> u64 {
        self.hasher.hash_one((&message.subject, &message.payload))
    }

    fn read(&mut self, message: &Message) {
        *self.read.entry(self.key(message)).or_default() += 1;
    }

    /// Whether what is heard was read already. If not it is noted, where it may still be read.
    fn heard(&mut self, message: &Message, may_be_read: bool) -> bool {
        if self.read.is_empty() && !may_be_read {
            return false;
        }
        let key = self.key(message);
        let was_read = take(&mut self.read, key);
        if !was_read && may_be_read {
            *self.heard.entry(key).or_default() += 1;
        }
        was_read
    }

    fn was_heard(&mut self, message: &Message) -> bool {
        let key = self.key(message);
        take(&mut self.heard, key)
    }
}

fn take(counts: &mut HashMap<u64, u32>, key: u64) -> bool {
    match counts.get_mut(&key) {
        Some(count) => {
            *count -= 1;
            if *count == 0 {
                counts.remove(&key);
            }
            true
        }
        None => false,
    }
}
