//! Tests of the judge's binary with a real nats-server and a real sandbox, for behaviour that is not visible at the ends
//! of the pipeline.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod handing_on;
mod help;
mod hidden_output;
mod isolation;
mod languages;
mod rig;
mod work;
