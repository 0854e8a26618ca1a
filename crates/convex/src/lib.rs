//! The HTTP client for the Convex app (contract §2): it fetches test cases and sends the running and result
//! callbacks.
//!
//! It reports the exact outcome of each call. Whether to retry is decided by the services.

mod breaker;
mod call;
mod client;
mod config;
mod dependency;
mod permits;
mod probe;
mod response;
mod result;
mod retry_after;
mod sign;
mod testcases;

pub use breaker::BreakerOpen;
pub use call::{AnswerOrigin, CallError, FailureKind, PATHS};
pub use client::{Convex, NoPermit};
pub use config::{ConvexConfig, InvalidConfig, running_linger};
pub use permits::{CallPermit, CallPermits};
pub use result::result_body;
pub use sign::callback_id;
pub use testcases::{FetchError, FetchLimits, ParseErrorPosition};
