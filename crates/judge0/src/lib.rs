//! Judge0 as an engine.
//!
//! - [`Judge0Client`] makes single calls and reports exactly how each one failed.
//! - [`Judge0`] runs the tests of a question. It sends a window of tests ahead of the current one, polls all tests in
//!   flight together, respects Judge0's limits, and has a [`Breaker`] for the time when Judge0 is unreachable.
//!
//! Like the sandbox, it delivers executions in the order of the tests. Judge0's `Accepted` and `Wrong Answer` both mean
//! that the program ran: the caller compares the outputs by its own rules.

mod blank;
mod breaker;
mod call;
mod canary;
mod client;
mod deletion;
mod judge0;
mod limits;
mod outcome;
mod poller;
mod post;
mod report;
mod run;
mod shared;
mod stall;
mod text;
mod tuning;
mod upkeep;
mod workers;

pub use breaker::{Breaker, BreakerState};
pub use call::Judge0Error;
pub use client::{InvalidJudge0Config, Judge0Client, Judge0Config};
pub use judge0::Judge0;
pub use limits::{Judge0Limits, LimitMismatch, RunSettings};
pub use outcome::{TestResult, interpret};
pub use post::{BatchEntry, EntryResult};
pub use report::Judge0Report;
pub use tuning::Tuning;
