//! The words of telemetry, below everything that has something to tell.
//!
//! - [`table`] is the one table of metrics. Whoever counts names a row of it; whoever shows metrics asks it.
//! - [`call`] makes a call to another system and takes its measures.
//! - [`trace`] makes the spans that leave the process.
//!
//! Each series belongs to a service, by its label: in `gavel up` four of them share a process. No label's value is ever
//! an id, or anything else that a caller chooses.

mod call;
mod meter;
pub mod table;
pub mod trace;

pub use call::{Call, OK, call};
/// One series of a metric: cheap to use, dearer to get.
pub mod series {
    pub use metrics::{Counter, Gauge, Histogram};
}

pub use meter::{Counter, Gauge, Histogram, Kind, Row, SERVICE};

/// The services, as the label `service` names them.
pub const SERVICES: [&str; 4] = ["ingress", "fetcher", "judge", "reporter"];

/// The service of a client's name, such as `gavel-judge`; nothing where it is none of them, whose measures nobody asks
/// for.
#[must_use]
pub fn service_of(name: &str) -> &'static str {
    let word = name.strip_prefix("gavel-").unwrap_or(name);
    SERVICES.into_iter().find(|service| *service == word).unwrap_or_default()
}
