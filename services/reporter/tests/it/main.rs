//! The reporter's own binary between a real nats-server and a Convex that records and misbehaves.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod bodies;
mod crash;
mod dead;
mod generations;
mod help;
mod logs;
mod nats_trouble;
mod order;
mod pause;
mod rig;
mod signed;
mod trouble;
