//! The client and the engine against recorded answers of a real Judge0, and against a mock built from them.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod blame;
mod breaker;
mod deletion;
mod failures;
mod limits;
mod recorded;
mod replay;
mod stall;
mod support;
mod window;
