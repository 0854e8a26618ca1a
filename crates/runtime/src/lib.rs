//! What every service starts with: configuration, logging, lifecycle, health.
//!
//! The `main` of a service is one call of [`run_service`]: read the configuration and report all problems together,
//! start logging, run until a signal, and exit with 0; 64 if the configuration or the machine must be changed first, 1 if
//! the service fails.
//!
//! A service itself is a [`Service`]: bind it, add its consumers and routes, run it.

pub mod health;
pub mod nats;
pub mod telemetry;

mod config;
mod entry_point;
mod expiry;
mod heartbeat;
mod http;
mod lifecycle;
mod ready;
mod service;
mod service_manager;
mod stream_probes;
mod version;

pub use config::{HttpConfig, ServiceConfig};
pub use entry_point::{EXIT_CONFIG, Misconfigured, report_failure, run_service, run_with_telemetry};
pub use heartbeat::ServiceInfo;
pub use http::connections::{Connection, Overloaded};
pub use http::server::{listen, serve};
pub use lifecycle::Lifecycle;
/// The allocator of the programs that run services: faster than that of the C library for many small allocations by
/// several threads. Each program sets it itself, since a program can have only one. The judge does not: idle, it
/// would take 14 MB more. Nor does the ingress: it would keep twice the memory after many slow clients.
pub use mimalloc::MiMalloc;
pub use service::Service;
pub use version::VERSION;
