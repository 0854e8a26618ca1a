//! For tests: a real nats-server (or a cluster of them), a proxy in front of it that can be cut, mock Judge0, the
//! services' own binaries, and events and questions to begin with. All of it ends with the test that started it.
//!
//! Most tests of a service begin with a [`Rig`]. Nothing here sleeps as synchronisation: a server is ready when it
//! logs that, a process is awaited by its log lines and its exit, and [`wait_until`] polls only for a state that
//! nothing signals. However a test ends (return, panic, SIGKILL), it leaves no process and no data behind.

use std::time::Duration;

mod busy;
mod events;
pub mod fixtures;
mod jetstream;
pub mod judge0;
pub mod nats;
pub mod process;
mod proxy;
pub mod rig;
mod service;
mod slow;
mod small_disk;
mod wait;

pub use busy::BusyProcesses;
pub use events::Events;
pub use jetstream::JetStream;
pub use judge0::MockJudge0;
pub use nats::NatsServer;
pub use process::{LogLine, Mark, Process, Signal};
pub use proxy::Proxy;
pub use rig::Rig;
pub use service::ServiceProcess;
pub use slow::SlowConnections;
pub use small_disk::{DiskError, SmallDisk};
pub use wait::{WaitError, wait_until};

/// The longest that a test waits for one thing on a loaded machine. Only a test that fails waits this long.
pub const TEST_TIMEOUT: Duration = Duration::from_mins(1);
