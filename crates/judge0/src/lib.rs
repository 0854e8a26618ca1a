//! Judge0 as an engine.
//!
//! - [`Client`] makes the calls, one at a time, and says exactly what became of each.
//! - [`Judge0`] runs a question's tests: a window of them ahead of the one whose turn it is, one poll for all that
//!   is in flight, Judge0's own limits, and a [`Breaker`] for when it is away.
//!
//! What it delivers is what the sandbox delivers: executions, in the order of the tests. Judge0's `Accepted` and
//! `Wrong Answer` are both "it ran": outputs are compared by the caller's rules.

mod breaker;
mod call;
mod client;
mod judge0;
mod limits;
mod outcome;
mod poller;
mod post;
mod report;
mod run;
mod text;
mod upkeep;

pub use breaker::{Breaker, State};
pub use call::CallError;
pub use client::{Client, InvalidConfig, Judge0Config};
pub use judge0::{Fault, Judge0, Pace};
pub use limits::{Limits, Misfit, RunSettings};
pub use outcome::{Finished, interpret};
pub use post::{Entry, Posted};
pub use report::Report;
pub use run::{Job, Progress};
