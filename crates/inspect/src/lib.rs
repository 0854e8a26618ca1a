//! What people need from NATS, and no service does: reading the pipeline, and rejudging.
//!
//! - [`Inspector`] is a read-only view: stored messages, statistics, heartbeats and live events.
//! - [`Rejudger`] creates new generations of submissions. The only other changes are [`Inspector::remove_dead_letter`],
//!   [`Inspector::correct_topology`], [`Inspector::restore`], and the probes of [`Inspector::check_store`], which expire.
//!
//! Live events come from a plain subscription; stored messages are read with direct gets, which need neither a
//! consumer nor the permission to create one, and which also work on a work queue. So no worker is ever disturbed.

mod backup;
mod dead_letters;
mod first_event;
mod heartbeats;
mod history;
mod inspector;
mod live;
mod live_queue;
mod message;
mod nats_program;
mod reader;
mod rejudge;
mod rejudge_run;
mod snapshot;
mod topology;

pub use backup::BackupError;
pub use dead_letters::{DeadLetterContent, DeadLetters, RemoveError, StoredDeadLetter, to_retry};
pub use history::{Claim, StoredAttempt, Timeline};
pub use inspector::{InspectError, Inspector};
pub use live::{LiveEvents, Start, StoredMessages};
pub use live_queue::LiveEvent;
pub use message::Message;
pub use nats_program::{NoNatsServer, find_nats_server, nats_version};
pub use reader::Reader;
pub use rejudge::{NewGeneration, RejudgeError, Rejudger};
pub use rejudge_run::{RejudgePlan, Since};
pub use snapshot::{ConsumerStats, QueuePosition, Snapshot, StreamStats};
pub use topology::{CorrectionError, Corrections, Difference};
