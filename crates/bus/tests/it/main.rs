//! The guarantees of the bus against a real nats-server, also while the server is killed, frozen or full.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod bundles;
mod consume;
mod ending;
mod expiry;
mod failing;
mod gate;
mod languages;
mod ledger;
mod login;
mod outage;
mod publish;
mod storage;
mod support;
mod topology;
