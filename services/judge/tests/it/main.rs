//! The judge's binary between a real nats-server and a real sandbox: what is not seen from the ends of the line.

#![expect(clippy::unwrap_used, reason = "a test")]

mod help;
mod isolation;
mod languages;
mod rig;
mod work;
