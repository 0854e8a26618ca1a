//! Metrics and traces, for every crate that measures something.
//!
//! - [`table`] is the one table of metrics: code that measures uses a row of it, `/metrics` describes all rows.
//! - [`measure_call`] measures a call to another system.
//! - [`trace`] makes the spans that are exported to a collector.
//!
//! The label `service` of each series names the service it belongs to: in `gavel up` four services share a process. No
//! label value is an id, or anything else that a caller can choose.

mod call;
mod meter;
pub mod series;
pub mod table;
pub mod trace;

pub use call::{CallLabels, OK, measure_call};
pub use meter::{Counter, Gauge, Histogram, Kind, Row, SERVICE};

/// The services, as the label `service` names them.
pub const SERVICES: [&str; 4] = ["ingress", "fetcher", "judge", "reporter"];

/// Returns the service that a client name such as `gavel-judge` stands for, or an empty string for other clients,
/// whose metrics are not exported.
#[must_use]
pub fn service_of(client_name: &str) -> &'static str {
    let name = client_name.strip_prefix("gavel-").unwrap_or(client_name);
    SERVICES.into_iter().find(|service| *service == name).unwrap_or_default()
}
