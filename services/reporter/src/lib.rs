//! The reporter: notifies Convex that a submission is running, then sends its verdict.
//!
//! It has two consumer loops, one for `running` events and one for verdicts, so that no verdict waits behind a
//! `running` call. The claims of [`gavel_bus::Ledger`] keep their order at Convex, across any number of reporters,
//! unless Convex itself does ([`CallbackOrder`]).
//!
//! It also ends submissions that no fetcher takes for days: without a reporter, Convex would not be notified of them anyway.

mod attempts;
mod callback_ids;
mod config;
mod order;
mod own_claims;
mod policy;
mod result;
mod running;
mod window;

use std::sync::Arc;

use anyhow::Context as _;
use gavel_bus::Ledger;
use gavel_bus::topology::{Durable, Stream};
use gavel_convex::Convex;
use gavel_runtime::health::check;
use gavel_runtime::{Misconfigured, Service, ServiceInfo};

use attempts::CallbackAttempts;
pub use config::Config;
pub use order::{CallbackOrder, InvalidOrder};
use own_claims::OwnClaims;
use result::ResultReporter;
use running::RunningReporter;

/// Binds the port, starts to connect to NATS, and adds what the reporter does.
///
/// # Errors
/// Returns an error if the port is taken, or if a URL or credentials are invalid.
pub async fn bind(config: Config) -> anyhow::Result<Service> {
    let convex = Convex::new(&config.convex).context(Misconfigured("cannot call Convex".to_owned()))?;
    let mut service = Service::bind(&config.service).await?;
    let ledger = Ledger::new(service.bus.clone(), config.service.instance.clone());
    let attempts = CallbackAttempts::new(ledger.clone());
    let own_claims = OwnClaims::new();
    let running =
        RunningReporter::new(ledger.clone(), convex.clone(), attempts.clone(), own_claims.clone(), &config);
    let result = ResultReporter::new(ledger, convex.clone(), attempts, own_claims, &config);
    service.consume(Durable::ReporterRunning, (config.slots / 4).max(1), None, running);
    service.consume(Durable::ReporterJudged, config.slots, None, result);
    service.end_expiring_submissions();
    service.measure_queues();
    service.add_task(convex.clone().probe_while_open("reporter"));
    let seen = convex.clone();
    service.add_check(check(move || std::future::ready(seen.check_breaker())));
    service.probe_streams(&[Stream::Result, Stream::DeadLetter]);
    service.info = ServiceInfo {
        slots: config.slots,
        dependencies: Arc::new(move || vec![convex.status()]),
        ..ServiceInfo::default()
    };
    Ok(service)
}
