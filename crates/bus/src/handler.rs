//! What a service does with an event: the interface between the consumer loop and its handler.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gavel_domain::error::chain;
use gavel_domain::event::Stage;
use gavel_domain::text::is_unprintable;
use gavel_proto::WireEvent;
use tokio::sync::watch;

use crate::languages::LanguageTurns;
use crate::outgoing::{Outgoing, Trace};
use crate::topology::{ConsumerId, Stream};

/// An event as it is delivered to a handler.
pub struct Delivery<E> {
    /// The event.
    pub event: E,
    /// The request id and the trace context.
    pub trace: Trace,
    /// How many times the event was delivered, this time included, from 1.
    pub attempt: u64,
    /// When the server stored the event.
    pub stored_at: SystemTime,
    /// The consumer that delivered it.
    pub consumer: ConsumerId,
}

impl<E> Delivery<E> {
    /// How long ago the server stored the event.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.stored_at.elapsed().unwrap_or_default()
    }
}

/// Why an event failed: an error with its sources, as one line without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    text: String,
    /// The answer of another system, verbatim. It may contain what must not be logged.
    quote: Option<String>,
    /// The same for a learner.
    reason: Option<Cow<'static, str>>,
}

impl Cause {
    /// The longest text, and the longest quote, in bytes.
    const MAX_BYTES: usize = 2_000;

    /// A cause from text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: one_line(text), quote: None, reason: None }
    }

    /// The cause if the last of all permitted deliveries had no end. Its instance cannot say why.
    pub(crate) fn interrupted(stage: Stage, deliveries: u64) -> Self {
        let stage = stage.as_str();
        let last =
            if deliveries == 1 { "its delivery" } else { &format!("the last of {deliveries} deliveries") };
        Self::new(&format!("the {stage} was interrupted in {last}: killed, stopped, or cut off from NATS"))
            .with_reason(format!("the {stage} was interrupted"))
    }

    /// The cause if the handler panicked. Its message may contain anything, so it is only in the log.
    pub(crate) fn panicked(stage: Stage) -> Self {
        Self::new(&format!("the {} panicked: its log says where", stage.as_str()))
    }

    /// The cause if no service processes a message until its stream would soon delete it.
    #[must_use]
    pub fn expiring(stage: Stage, stream: Stream) -> Self {
        let (stage, stream) = (stage.as_str(), stream.name());
        Self::new(&format!("no {stage} has processed it, and {stream} would soon delete it"))
            .with_reason("the submission was not processed in time")
    }

    /// Sets what a learner may read of it: a clause without internals and without advice to the operator.
    #[must_use]
    pub fn with_reason(self, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// Adds the answer of another system. It goes into the dead letter and nowhere else.
    #[must_use]
    pub fn quoting(self, quote: Option<&str>) -> Self {
        Self { quote: quote.map(one_line), ..self }
    }

    /// The text, without the quote.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What a learner may read of it, as a clause; `None` if nothing is known that a learner could use.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The text with the quote, for the dead letter.
    pub(crate) fn in_full(&self) -> String {
        self.quote.as_ref().map_or_else(|| self.text.clone(), |quote| format!("{}: {quote}", self.text))
    }
}

fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect();
    line[..line.floor_char_boundary(Cause::MAX_BYTES)].to_owned()
}

impl<E: std::error::Error> From<E> for Cause {
    fn from(error: E) -> Self {
        Self::new(&chain(&error))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What the consumer loop must do with an event that was not processed.
#[derive(Clone, Debug)]
pub enum Failure {
    /// It failed: deliver it again after this time.
    Retry {
        /// How long to wait.
        after: Duration,
        /// Why.
        cause: Cause,
    },
    /// It cannot be processed yet, and nothing has failed: deliver it again after this time.
    Defer(Duration),
    /// It can never be processed: store it as a dead letter.
    Reject(Cause),
}

/// One step of the pipeline. It does not use the bus: the consumer loop publishes the events that it returns, waits for the
/// server's acknowledgement, and only then acknowledges its input.
pub trait Handler: Send + Sync + 'static {
    /// The event that it consumes.
    type Event: WireEvent + Send + Sync;

    /// The stage that its dead letters name.
    const STAGE: Stage;

    /// Returns the event that must be stored before the work starts. If the server refuses it because the submission has
    /// a verdict, the work is skipped.
    fn started_event(&self, _event: &Self::Event) -> Option<Outgoing> {
        None
    }

    /// Returns whether the handler can work at all, with its changes. While it is `false`, no messages are requested, so
    /// that none is delivered without effect.
    fn gate(&self) -> Option<watch::Receiver<bool>> {
        None
    }

    /// Returns the languages whose waiting submissions the loop should handle, too, in the same slots. They must have the
    /// same payload as the handler's own events.
    fn language_turns(&self) -> Option<Arc<LanguageTurns>> {
        None
    }

    /// Whether many deliveries of this event mean that the event itself is faulty. If not, the handler must make sure that
    /// the event ends.
    fn counts_deliveries(&self, _event: &Self::Event) -> bool {
        true
    }

    /// Does the work and returns the events to publish, in order.
    fn handle(
        &self,
        delivery: &Delivery<Self::Event>,
    ) -> impl Future<Output = Result<Vec<Outgoing>, Failure>> + Send;

    /// Returns the events to publish, after the dead letter, for an event that failed permanently.
    fn give_up(&self, event: &Self::Event, cause: &Cause) -> Vec<Outgoing>;
}
