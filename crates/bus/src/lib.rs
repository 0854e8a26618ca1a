//! The only user of the NATS client.
//!
//! Everything that the pipeline means by "stored", "once", "in hand" and "handed back" is here:
//!
//! - [`topology`] is the one table of streams, subjects and consumers.
//! - [`Bus`] connects and publishes: each message has the [`Condition`] under which the server stores it.
//! - [`consume`] is the one loop of all services; a [`Handler`] takes an event and returns what to publish.
//! - [`Bundles`] keeps test cases, by content.
//! - [`Bus::announce`] says that a service is there, and [`Heartbeats`] who else is.
//! - [`Ledger`] keeps the order of the calls to Convex, across reporters.
//! - [`StoredDeadLetter`]s and [`Moment`]s are for people to look at; [`Generations`] judges again, or goes on from a letter.
//! - [`look`] is for people: it reads what moves and what is stored, and changes nothing.

mod bundles;
mod connect;
mod consume;
mod depth;
mod generations;
mod handler;
mod heartbeat;
mod history;
pub mod identity;
mod ledger;
mod letters;
pub mod look;
mod outgoing;
mod probe;
mod publish;
mod pull;
mod refusals;
mod settle;
pub mod topology;
mod watch;

pub use bundles::{BundleError, Bundles};
pub use connect::{Bus, ConnectError, NatsConfig};
pub use consume::{ConsumeSettings, ConsumerState, consume};
pub use generations::{BeginError, Begun, Generations};
pub use handler::{Cause, Delivery, Failure, Handler};
pub use heartbeat::{HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT, Heartbeats};
pub use history::{Moment, ReadError, Submitted};
pub use ledger::{Ledger, LedgerError, ResultClaim, RunningClaim, RunningFate};
pub use letters::{Content, DeadLetters, RemoveError, StoredDeadLetter};
pub use outgoing::{Condition, Outgoing, Trace};
pub use publish::{PublishError, Stored};
pub use watch::{Seen, Watch, WatchError};
