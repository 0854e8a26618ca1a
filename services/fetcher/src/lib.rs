//! The fetcher: fetches the test cases of queued submissions from Convex, stores them as bundles, and publishes ready
//! events.
//!
//! It also makes dead letters of verdicts that no reporter takes for days.

mod config;
mod handler;
mod single_flight;

use std::sync::Arc;

use anyhow::Context as _;
use gavel_bus::topology::{Durable, Stream};
use gavel_convex::Convex;
use gavel_runtime::health::check;
use gavel_runtime::{Misconfigured, Service, ServiceInfo};

pub use config::Config;
use handler::{Fetcher, Renewer};

/// Binds the port, starts to connect to NATS, and adds what the fetcher does.
///
/// # Errors
/// Returns an error if the port is taken, or if a URL or credentials are invalid.
pub async fn bind(config: Config) -> anyhow::Result<Service> {
    let convex = Convex::new(&config.convex).context(Misconfigured("cannot call Convex".to_owned()))?;
    let mut service = Service::bind(&config.service).await?;
    let fetcher = Fetcher::new(service.bus.clone(), convex.clone(), &config);
    service.consume(Durable::Fetcher, config.slots, None, fetcher.clone());
    service.consume(Durable::FetcherExpired, (config.slots / 8).max(1), None, Renewer(fetcher));
    service.add_task(convex.clone().probe_while_open("fetcher"));
    let seen = convex.clone();
    service.add_check(check(move || std::future::ready(seen.check_breaker())));
    service.probe_streams(&[Stream::Ready, Stream::Result, Stream::DeadLetter, Stream::Bundles]);
    service.end_expiring_verdicts();
    service.info = ServiceInfo {
        slots: config.slots,
        dependencies: Arc::new(move || vec![convex.status()]),
        ..ServiceInfo::default()
    };
    Ok(service)
}
