//! The whole pipeline on a real nats-server: the four binaries (or `gavel up`), a real sandbox, and mock Convex.

#![expect(clippy::unwrap_used, reason = "a test")]

mod backup;
mod collector;
mod comparison;
mod console;
mod crash;
mod dead;
mod doctor;
mod events;
mod expiry;
mod handing_on;
mod help;
mod judge0;
mod languages;
mod metrics;
mod mock_convex;
mod partitions;
mod pipeline;
mod poison;
mod previous_release;
mod rejudge;
mod repeat;
mod roles;
mod scrape;
mod secrets;
mod status;
mod storage;
mod streams;
mod submit;
mod tap;
mod trace;
mod traces;
mod untaken;
mod up;
mod verdicts;
