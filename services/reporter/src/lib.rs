//! The reporter: notifies Convex that a submission is running, then sends its verdict.
//!
//! It has two consumer loops, one for `running` events and one for verdicts, so that no verdict waits behind a `running`
//! call. The claims of [`gavel_bus::Ledger`] keep their order at Convex, across any number of reporters.

mod attempts;
mod callback_ids;
mod config;
mod policy;
mod result;
mod running;
mod window;

use std::net::SocketAddr;
use std::sync::Arc;

use gavel_bus::topology::Durable;
use gavel_bus::{ConsumeSettings, Ledger, consume};
use gavel_convex::Convex;
use gavel_runtime::{Frame, Lifecycle, Offer, health};

use attempts::CallbackAttempts;
pub use config::Config;
use result::ResultReporter;
use running::RunningReporter;

/// The service, bound to its port.
pub struct App {
    frame: Frame,
    convex: Convex,
    config: Config,
}

impl App {
    /// Takes the port and starts to connect.
    ///
    /// # Errors
    /// Where the port is taken, or a URL or credentials can never work.
    pub async fn new(config: Config) -> anyhow::Result<Self> {
        let convex = Convex::new(&config.convex)?;
        Ok(Self { frame: Frame::open(&config.service).await?, convex, config })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the kernel does not know.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.frame.address()
    }

    /// Works until stopped.
    ///
    /// # Errors
    /// Where the service cannot begin.
    pub async fn run(self, lifecycle: Lifecycle) -> anyhow::Result<()> {
        let Self { frame, convex, config } = self;
        let ledger = Ledger::new(frame.bus.clone(), config.service.instance.clone());
        let attempts = CallbackAttempts::new();
        let running = RunningReporter::new(ledger.clone(), convex.clone(), attempts.clone(), &config);
        let result = ResultReporter::new(ledger, convex.clone(), attempts, &config);
        let dependencies = Arc::new(move || vec![convex.status()]);
        let settings = |durable, slots| ConsumeSettings {
            durable,
            slots,
            max_deliveries: None,
            stop: lifecycle.stop.clone(),
            abort: lifecycle.abort.clone(),
        };
        let (running_attached, running_check) = health::attachment("NATS or the line of begun submissions");
        let (result_attached, result_check) = health::attachment("NATS or the line of verdicts");
        let running = Box::pin(consume(
            frame.bus.clone(),
            Arc::new(running),
            settings(Durable::ReporterRunning, (config.slots / 4).max(1)),
            running_attached,
        ));
        let result = Box::pin(consume(
            frame.bus.clone(),
            Arc::new(result),
            settings(Durable::ReporterJudged, config.slots),
            result_attached,
        ));
        let work = async {
            tokio::join!(running, result);
        };
        let checks = vec![running_check, result_check, frame.permitted()];
        let offer = Offer { dependencies, checks: checks.clone(), ..Offer::of(config.slots) };
        frame.offering(offer).run(health::router(checks), work).await
    }
}
