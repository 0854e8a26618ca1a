//! What every service starts with: configuration from the environment, logs, signals, health.
//!
//! A service's `main` is one call of [`run`]: read the configuration and report all that is wrong with it at
//! once, set up logging, work until told to stop, and exit 0; or 64 for a bad configuration, 1 for a failure.

pub mod health;
pub mod lifecycle;
mod lines;
pub mod nats;
pub mod service;
pub mod telemetry;

mod frame;
mod heartbeat;
mod http;
mod metrics;
mod observe;
mod otlp;
mod run;

pub use frame::Frame;
pub use heartbeat::Offer;
pub use lifecycle::Lifecycle;
pub use run::{EXIT_CONFIG, run, traced};
pub use service::{HttpConfig, ServiceConfig};
