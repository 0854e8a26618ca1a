//! The fetcher's own binary between a real nats-server and a Convex that misbehaves.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod crash;
mod deliver;
mod help;
mod last;
mod retry;
mod rig;
mod share;
mod start;
