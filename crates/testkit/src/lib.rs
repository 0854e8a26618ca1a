//! What tests own: a real nats-server (or a cluster of them), a wire to it that can be cut, a double of Judge0, and
//! the services' own binaries, each ended with the test that started it.
//!
//! Nothing here sleeps to let something happen. A server is ready when it says so, a process is waited for by
//! its log lines and its end, and only for what nobody signals there is [`wait_until`]. Whatever the test's own
//! end is (return, panic, SIGKILL), no process and no data of it stay behind.

pub mod judge0;
pub mod nats;
pub mod process;
mod proxy;
mod wait;

pub use judge0::Judge0Double;
pub use nats::NatsServer;
pub use process::{LogLine, Mark, Process, Signal};
pub use proxy::Proxy;
pub use wait::{WaitError, wait_until};
