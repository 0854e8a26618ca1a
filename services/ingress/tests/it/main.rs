//! The ingress binary with a real nats-server: each row of contract §1, and failures around it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod accept;
mod guard;
mod help;
mod http;
mod kill;
mod logs;
mod outage;
mod rig;
mod schema;
mod service_manager;
mod slow;
mod start;
mod stop;
mod wire;
