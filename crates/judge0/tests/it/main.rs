//! The client against recorded answers of a real Judge0, and against a double that is built on them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod breaker;
mod limits;
mod recorded;
mod replay;
mod support;
mod trouble;
mod window;
