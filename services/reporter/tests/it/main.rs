//! Tests of the reporter's binary with a real nats-server and a mock Convex that records calls and injects faults.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod bodies;
mod breaker;
mod convex_faults;
mod crash;
mod dead;
mod generations;
mod guarded;
mod help;
mod logs;
mod nats_faults;
mod order;
mod pause;
mod rig;
mod signed;
