//! The stand-in over real HTTP: what it answers, what it records, how it misbehaves.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod contract;
mod misbehaviour;
mod samples;
mod support;
mod waiting;
