//! The reporter: tells Convex that a submission is running, then what came of it.
//!
//! Two loops, one for what has begun and one for verdicts, so that no verdict waits behind a `running`. Their
//! order at Convex is kept by the claims of [`gavel_bus::Ledger`], across any number of reporters.

mod callback;
mod config;
mod policy;
mod result;
mod running;
mod tries;
mod window;

use std::net::SocketAddr;
use std::sync::Arc;

use gavel_bus::topology::Durable;
use gavel_bus::{ConsumeSettings, Ledger, consume};
use gavel_convex::Convex;
use gavel_runtime::{Frame, Lifecycle, Offer, health};

pub use config::Config;
use result::ResultReporter;
use running::RunningReporter;
use tries::Tries;

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
        let tries = Tries::new();
        let running = RunningReporter::new(ledger.clone(), convex.clone(), tries.clone(), &config);
        let result = ResultReporter::new(ledger, convex.clone(), tries, &config);
        let dependencies = Arc::new(move || vec![convex.seen()]);
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
