//! The ingress: accepts a submission over HTTP and answers 202 once NATS has stored it.
//!
//! It never calls Convex, and it never answers 202 for a submission that is not stored: for the calling action, any
//! other status ends the submission (contract §1).

mod body;
mod config;
mod fields;
mod guard;
mod handler;
mod languages;
mod request;
mod response;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use gavel_bus::LiveInstances;
use gavel_bus::topology::Stream;
use gavel_runtime::{Service, health};
use gavel_telemetry::table;
use tracing::warn;

pub use config::Config;
use guard::Guard;

/// Binds the port, starts to connect to NATS, and adds what the ingress does.
///
/// # Errors
/// Returns an error if the port is taken, or if the NATS URL or credentials are invalid.
pub async fn bind(config: Config) -> anyhow::Result<Service> {
    let mut service = Service::bind(&config.service).await?;
    if config.is_open_to_everyone() {
        let address = config.service.http.listen;
        warn!(%address, "everyone who can reach this address can submit programs: set INGRESS_KEYS, or BIND_ADDRESS=127.0.0.1");
    }
    let bus = service.bus.clone();
    service.add_check(health::check(move || {
        let bus = bus.clone();
        async move { bus.check_stream(Stream::Queued).await }
    }));
    service.probe_streams(&[Stream::Queued]);
    for result in ["full", "store_failed", "unanswered"] {
        table::PUBLISHED.init(["ingress", "gavel.v1.Queued", result]);
    }

    let state = Arc::new(handler::State {
        bus: service.bus.clone(),
        guard: Guard::new(&config),
        max_source_bytes: config.max_source_bytes,
        judges: LiveInstances::default(),
    });
    let listener = Arc::clone(&state);
    service.add_task(async move { listener.judges.listen(&listener.bus, "judge").await });
    service.set_routes(move |health| {
        Router::new()
            .route("/v1/judge-question", post(handler::judge_question))
            .route("/v1/languages", get(handler::languages))
            .with_state(state)
            .merge(health)
            .method_not_allowed_fallback(handler::method_not_allowed)
            .fallback(handler::not_found)
    });
    Ok(service)
}
