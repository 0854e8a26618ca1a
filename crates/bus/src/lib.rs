//! What the services need from NATS.
//!
//! - [`topology`] is the one table of streams, subjects and consumers.
//! - [`Bus`] connects and publishes: each message has the [`Condition`] under which the server stores it.
//! - [`consume`] is the one consumer loop of all services; a [`Handler`] takes an event and returns the events to publish.
//! - [`Bundles`] stores test cases under the digest of their content.
//! - [`Bus::send_heartbeat`] and [`LiveInstances`] tell which instances are alive.
//! - [`Ledger`] orders the callbacks to Convex, across all reporters.
//!
//! What only people need, such as the history, dead letters and statistics, is in `gavel-inspect`.

mod bundles;
mod bus;
mod connection;
mod consume;
mod discards;
mod handler;
mod heartbeat;
pub mod identity;
mod languages;
mod ledger;
mod live_instances;
mod outgoing;
mod probe;
mod publish;
mod pull;
mod queue_depth;
mod refusal;
mod settle;
mod timing;
pub mod topology;
mod waiting;

pub use bundles::{BundleError, Bundles};
pub use bus::{Bus, MissingStream, TopologyError};
pub use connection::{ConnectError, Connection, ConnectionState, MIN_MAX_PAYLOAD, NatsConfig};
pub use consume::{ConsumeSettings, ConsumerState, consume, end_expiring};
pub use discards::StreamSnapshot;
pub use handler::{Cause, Delivery, Failure, Handler};
pub use heartbeat::{HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT, Heartbeats};
pub use languages::{LanguageTurns, Take};
pub use ledger::{Ledger, LedgerError, ResultClaim, RunningCallState, RunningClaim};
pub use live_instances::LiveInstances;
pub use outgoing::{Condition, Outgoing, Trace};
pub use probe::{StoreError, check_store};
pub use publish::{PublishError, Stored};
pub use queue_depth::QueueDepth;
pub use timing::REQUEST_TIMEOUT;
pub use waiting::{HandedOnLanguages, WaitingLanguage, waiting_languages};
