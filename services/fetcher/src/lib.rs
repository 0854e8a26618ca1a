//! The fetcher: fetches the test cases of queued submissions from Convex, stores them as bundles, and publishes ready
//! events.

mod config;
mod handler;
mod single_flight;

use std::net::SocketAddr;
use std::sync::Arc;

use gavel_bus::topology::Durable;
use gavel_bus::{ConsumeSettings, consume};
use gavel_convex::Convex;
use gavel_runtime::{Frame, Lifecycle, Offer, health};

pub use config::Config;
use handler::{Fetcher, Renewer};

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
        let (attached, attachment) = health::attachment("NATS or the queue of submissions");
        let (renewer_attached, renewer_attachment) =
            health::attachment("NATS or the line of missing test cases");
        let settings = |durable, slots| ConsumeSettings {
            durable,
            slots,
            max_deliveries: None,
            stop: lifecycle.stop.clone(),
            abort: lifecycle.abort.clone(),
        };
        let fetcher = Fetcher::new(frame.bus.clone(), convex.clone(), &config);
        let dependencies = Arc::new(move || vec![convex.status()]);
        let renewer = Box::pin(consume(
            frame.bus.clone(),
            Arc::new(Renewer(fetcher.clone())),
            settings(Durable::FetcherExpired, (config.slots / 8).max(1)),
            renewer_attached,
        ));
        let fetcher = Box::pin(consume(
            frame.bus.clone(),
            Arc::new(fetcher),
            settings(Durable::Fetcher, config.slots),
            attached,
        ));
        let work = async {
            tokio::join!(fetcher, renewer);
        };
        let checks = vec![attachment, renewer_attachment, frame.permitted()];
        let offer = Offer { dependencies, checks: checks.clone(), ..Offer::of(config.slots) };
        frame.offering(offer).run(health::router(checks), work).await
    }
}
