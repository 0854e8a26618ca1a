//! The ingress: takes a submission over HTTP and answers 202 once NATS has stored it.
//!
//! It never calls Convex, and it never says 202 for what is not stored: the action on the other side treats
//! anything but 202 as the submission's end (contract §1).

mod answer;
mod body;
mod config;
mod guard;
mod handler;
mod languages;
mod request;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use gavel_bus::topology::Stream;
use gavel_runtime::{Frame, Lifecycle, Offer, health};
use gavel_telemetry::table;

pub use config::Config;
use guard::Guard;
use languages::Judges;

/// The service, bound to its port.
pub struct App {
    frame: Frame,
    config: Config,
}

impl App {
    /// Takes the port and starts to connect.
    ///
    /// # Errors
    /// Where the port is taken, or the NATS URL or credentials can never work.
    pub async fn new(config: Config) -> anyhow::Result<Self> {
        Ok(Self { frame: Frame::open(&config.service).await?, config })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the kernel does not know.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.frame.address()
    }

    /// Serves until stopped.
    ///
    /// # Errors
    /// Where the service cannot begin.
    pub async fn run(self, lifecycle: Lifecycle) -> anyhow::Result<()> {
        let Self { frame, config } = self;
        let bus = frame.bus.clone();
        let ready = health::check(move || {
            let bus = bus.clone();
            async move { bus.check(Stream::Queued).await }
        });
        let checks = vec![ready, frame.permitted()];
        let state = handler::State {
            bus: frame.bus.clone(),
            guard: Guard::new(&config),
            max_source_bytes: config.max_source_bytes,
            judges: Judges::default(),
        };
        let state = Arc::new(state);
        // The first one must be seen as a rise.
        table::PUBLISHED.show(["ingress", "gavel.v1.Queued", "full"]);
        let router = Router::new()
            .route("/v1/judge-question", post(handler::judge_question))
            .route("/v1/languages", get(languages::languages))
            .merge(health::router(checks.clone()))
            .method_not_allowed_fallback(handler::method_not_allowed)
            .fallback(handler::not_found)
            .with_state(Arc::clone(&state));
        let bus = frame.bus.clone();
        let work = async move {
            tokio::select! {
                () = state.judges.listen(&bus) => {}
                () = lifecycle.stop.cancelled() => {}
            }
        };
        frame.offering(Offer { checks, ..Offer::of(0) }).run(router, Box::pin(work)).await
    }
}
