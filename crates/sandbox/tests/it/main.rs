//! The sandbox against real toolchains and real hostile programs. They need what the sandbox needs, and fail
//! where it cannot be had.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// Whether programs have ids of their own.
const AS_ROOT: bool = true;

mod cleanliness;
mod compiling;
mod isolation;
mod lifecycle;
mod outcomes;
mod streams;
mod support;
