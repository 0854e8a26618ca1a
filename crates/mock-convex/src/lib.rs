//! A stand-in for the Convex app: the six endpoints that the services call, answered as the app's own functions
//! answer, strictness and missing guards included.
//!
//! The demo runs it when no real app is configured. Tests, benchmarks and chaos runs start it with questions of
//! their own, tell it to misbehave ([`MockConvex::fault`]), hold calls at a known moment ([`MockConvex::hold`]), wait
//! for what happens without sleeping ([`MockConvex::wait_for`]), and ask at the end whether anything went backwards
//! ([`MockConvex::running_after_result`]) or was told twice ([`MockConvex::distinct_results`]).
//!
//! It shares no code with the services, on purpose: a misreading of the contract must not cancel itself out.

mod book;
mod endpoint;
mod fault;
mod gate;
mod handle;
mod listener;
mod pages;
pub mod questions;
mod record;
mod serve;
mod server;
mod state;
mod store;
mod validate;
mod wait;

pub use endpoint::{Endpoint, Purpose, SubmissionKind};
pub use fault::{Fault, FaultId, Matcher, Nth};
pub use gate::Hold;
pub use handle::MockConvex;
pub use questions::Question;
pub use record::{Answer, Call};
pub use state::{Backwards, Late, Status, SubmissionState};
pub use store::Limits;
pub use wait::TimedOut;
