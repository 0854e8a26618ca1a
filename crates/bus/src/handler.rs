//! What a service does with an event, as the loop sees it.

use std::fmt;
use std::time::{Duration, SystemTime};

use gavel_domain::event::Stage;
use gavel_proto::WireEvent;
use tokio::sync::watch;

use crate::outgoing::{Outgoing, Trace};

/// An event in hand.
pub struct Delivery<E> {
    /// The event.
    pub event: E,
    /// What follows the submission.
    pub trace: Trace,
    /// How many times the event was delivered, this time included, from 1.
    pub attempt: u64,
    /// When the server stored the event.
    pub stored_at: SystemTime,
}

impl<E> Delivery<E> {
    /// How long ago the server stored the event.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.stored_at.elapsed().unwrap_or_default()
    }
}

/// Why something failed, for people: an error with its sources, in one line without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    text: String,
    /// What the other side said, word for word. It may hold what logs must not.
    quote: Option<String>,
}

impl Cause {
    /// The longest text, and the longest quote, that is kept, in bytes.
    const MAX_BYTES: usize = 2_000;

    /// A cause in a person's words.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: one_line(text), quote: None }
    }

    /// Adds what the other side said. It goes into the dead letter and nowhere else.
    #[must_use]
    pub fn quoting(self, quote: Option<&str>) -> Self {
        Self { quote: quote.map(one_line), ..self }
    }

    /// The text, without the quote.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text with the quote, for the dead letter.
    pub(crate) fn in_full(&self) -> String {
        self.quote.as_ref().map_or_else(|| self.text.clone(), |quote| format!("{}: {quote}", self.text))
    }
}

fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line[..line.floor_char_boundary(Cause::MAX_BYTES)].to_owned()
}

impl<E: std::error::Error> From<E> for Cause {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        Self::new(&text)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What the loop must do with an event that was not processed.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Bring it again after this time.
    Retry {
        /// How long to wait.
        after: Duration,
        /// Why.
        cause: Cause,
    },
    /// Bring it again after this time; nothing has gone wrong.
    Later(Duration),
    /// It can never be processed: it goes to the dead letters.
    Reject(Cause),
}

/// One step of the pipeline. It does not see the bus: the loop publishes what it returns, waits for the
/// server's acknowledgement, and only then acknowledges the event.
pub trait Handler: Send + Sync + 'static {
    /// What it consumes.
    type Event: WireEvent + Send + Sync;

    /// The name under which dead letters show it.
    const STAGE: Stage;

    /// What must be stored before the work begins. Where the server refuses it because the submission has its
    /// verdict, there is nothing left to do.
    fn announcement(&self, _event: &Self::Event) -> Option<Outgoing> {
        None
    }

    /// Says when nothing can be worked on: while it shows false, no messages are asked for, so that none is
    /// delivered in vain.
    fn gate(&self) -> Option<watch::Receiver<bool>> {
        None
    }

    /// Whether the number of its deliveries tells that something is wrong with this event. Where it does not, the
    /// handler itself must see to it that the event comes to an end.
    fn counts_deliveries(&self, _event: &Self::Event) -> bool {
        true
    }

    /// Does the work and returns what to publish, in order.
    fn handle(
        &self,
        delivery: &Delivery<Self::Event>,
    ) -> impl Future<Output = Result<Vec<Outgoing>, Failure>> + Send;

    /// What to publish, beside the dead letter, for an event that is given up.
    fn give_up(&self, event: &Self::Event, cause: &Cause) -> Vec<Outgoing>;
}
