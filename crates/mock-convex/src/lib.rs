//! A mock of the Convex app: the six endpoints that the services call, answered as the app's own functions answer,
//! including their strictness and their missing checks; or, with [`MockConvex::guard_order`], as an app answers that keeps
//! the order of the callbacks itself.
//!
//! `gavel up` runs it if no real app is configured. Tests, benches and chaos runs start it with their own questions,
//! inject faults ([`MockConvex::fault`]), hold calls at a known moment ([`MockConvex::hold`]), wait for events without
//! sleeping ([`MockConvex::wait_for`]), and check at the end that no status went backwards
//! ([`MockConvex::running_after_result`]) and no submission got two verdicts ([`MockConvex::distinct_results`]).
//!
//! It shares no code with the services, on purpose: a misreading of the contract must not cancel itself out.

mod endpoint;
mod fault;
mod guard;
mod hold;
mod listener;
mod mock;
mod pages;
pub mod questions;
mod record;
mod serve;
mod server;
mod state;
mod store;
mod submissions;
mod validate;
mod wait;

pub use endpoint::{Endpoint, Purpose, SubmissionKind};
pub use fault::{FaultId, HttpFault, Matcher, Nth};
pub use hold::Hold;
pub use mock::MockConvex;
pub use questions::Question;
pub use record::{Answer, ReceivedCall};
pub use state::{LateRunning, Lateness, Status, SubmissionState};
pub use store::Limits;
pub use wait::TimedOut;
