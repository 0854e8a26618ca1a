//! The testkit with real processes and a real server.
#![expect(clippy::unwrap_used, reason = "test helpers fail by panicking, as tests do")]

mod nats;
mod process;
mod roles;
