//! Mock Convex over real HTTP: its answers, its records, its injected faults.
#![expect(clippy::unwrap_used, reason = "test helpers fail by panicking, as tests do")]

mod contract;
mod faults;
mod rig;
mod samples;
mod wait;
