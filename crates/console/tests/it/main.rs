//! The console on a real nats-server.

#![expect(clippy::unwrap_used, reason = "a test")]

mod changes;
mod console;
mod rig;
mod security;
