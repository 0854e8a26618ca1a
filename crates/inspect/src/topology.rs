//! Comparing the streams and consumers on the server with the topology, and correcting them.

mod difference;
mod rules;
mod update;

pub use difference::Difference;
pub use update::{CorrectionError, Corrections};
