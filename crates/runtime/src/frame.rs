//! What a running service stands in: its port, its connection to NATS, and the order in which they end.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::{Router, middleware};
use gavel_bus::Bus;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::health::{Check, check};
use crate::heartbeat::{Card, Offer};
use crate::metrics::{self, Metrics, UPKEEP_EVERY};
use crate::{ServiceConfig, http, observe};

/// How often to look for streams and consumers that are missing: a server that has lost its store comes back
/// without them.
const MAKE_EVERY: Duration = Duration::from_secs(10);

/// A service's port and connection.
pub struct Frame {
    /// The connection; it may not be up yet.
    pub bus: Bus,
    listener: TcpListener,
    service: &'static str,
    metrics: Metrics,
    card: Card,
    offer: Offer,
}

impl Frame {
    /// Takes the port and starts to connect. The streams and consumers that are missing are made as soon as
    /// NATS is there, and again where they go missing later, unless that is left to others.
    ///
    /// # Errors
    /// Where the port is taken, or the NATS URL or credentials can never work.
    pub async fn open(config: &ServiceConfig) -> anyhow::Result<Self> {
        // Before the first figure is told.
        metrics::record();
        let listen = config.http.listen;
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let bus = Bus::connect(&config.nats, config.topology).await?;
        let metrics = Metrics::of(config.service, bus.clone());
        let (card, offer) = (Card::new(config), Offer::of(0));
        Ok(Self { bus, listener, service: config.service, metrics, card, offer })
    }

    /// Where the service listens.
    ///
    /// # Errors
    /// Where the kernel does not know.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What the service says of itself while it works; nothing by default.
    #[must_use]
    pub fn offering(self, offer: Offer) -> Self {
        Self { offer, ..self }
    }

    /// Whether NATS lets us do what we try.
    #[must_use]
    pub fn permitted(&self) -> Check {
        let bus = self.bus.clone();
        check(move || std::future::ready(bus.permitted()))
    }

    /// Serves `router` for as long as `work` goes on, then lets open requests and buffered messages out.
    ///
    /// # Errors
    /// Where the kernel does not know our address.
    pub async fn run(self, router: Router, work: impl Future<Output = ()>) -> anyhow::Result<()> {
        info!(address = %self.address()?, "listening");
        let Self { bus, listener, service, metrics, card, offer } = self;
        let observe = middleware::from_fn(move |request, next| observe::observe(service, request, next));
        let router = router.merge(metrics.route()).layer(observe);
        let making = tokio::spawn({
            let bus = bus.clone();
            async move {
                loop {
                    bus.ensure_topology().await;
                    tokio::time::sleep(MAKE_EVERY).await;
                }
            }
        });
        let keeping_up = tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP_EVERY).await;
                metrics.keep_up();
            }
        });
        let showing = tokio::spawn(card.show(bus.clone(), offer));
        let done = CancellationToken::new();
        let worked = async {
            work.await;
            done.cancel();
        };
        tokio::join!(http::serve(listener, router, done.clone()), worked);
        making.abort();
        keeping_up.abort();
        showing.abort();
        bus.flush().await;
        info!("ended");
        Ok(())
    }
}
