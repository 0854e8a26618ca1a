//! The HTTP client for the Convex app: test cases in, running and result out (contract §2).
//!
//! It says exactly what became of each call, and decides nothing: whether to try again is the service's
//! business.

mod call;
mod client;
mod config;
mod in_flight;
mod probe;
mod result;
mod seen;
mod sign;
mod testcases;

pub use call::{CallError, PATHS};
pub use client::Convex;
pub use config::{ConvexConfig, InvalidConfig, running_linger};
pub use in_flight::{InFlight, Slot};
pub use result::result_body;
pub use sign::callback_id;
pub use testcases::{FetchError, FetchLimits};
