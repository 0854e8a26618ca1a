//! The judge: ready → running → compile once, run the tests → judged.

mod config;
mod engine;
mod handler;

use std::net::SocketAddr;
use std::sync::Arc;

use gavel_bus::topology::Durable;
use gavel_bus::{ConsumeSettings, consume};
use gavel_runtime::{Frame, Lifecycle, Offer, health};

pub use config::Config;
pub use engine::{Engine, EngineChoice, EngineName, Engines, Judge0Engine, Routes, SandboxEngine};
use handler::Judge;

/// The service, bound to its port.
pub struct App<E> {
    frame: Frame,
    engine: E,
    config: Config,
}

impl<E: Engine> App<E> {
    /// Takes the port and starts to connect.
    ///
    /// # Errors
    /// Where the port is taken, or the NATS URL or credentials can never work.
    pub async fn new(config: Config, engine: E) -> anyhow::Result<Self> {
        Ok(Self { frame: Frame::open(&config.service).await?, engine, config })
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
        let Self { frame, engine, config } = self;
        let (attached, attachment) = health::attachment("NATS or the queue of ready submissions");
        let settings = ConsumeSettings {
            durable: Durable::Judge,
            slots: config.slots,
            max_deliveries: Some(config.max_deliveries),
            stop: lifecycle.stop,
            abort: lifecycle.abort,
        };
        let engine = Arc::new(engine);
        let checks = vec![attachment, frame.permitted(), dependency_check(&engine)];
        let (languages, dependencies) = (Arc::clone(&engine), Arc::clone(&engine));
        let offer = Offer {
            slots: config.slots,
            languages: Arc::new(move || languages.languages()),
            dependencies: Arc::new(move || dependencies.dependencies()),
            checks: checks.clone(),
        };
        let handler = Arc::new(Judge::new(frame.bus.clone(), engine, &config));
        let work = Box::pin(consume(frame.bus.clone(), handler, settings, attached));
        frame.offering(offer).run(health::router(checks), work).await
    }
}

/// A check that fails if the engine has a problem with an external service.
fn dependency_check<E: Engine>(engine: &Arc<E>) -> health::Check {
    let engine = Arc::clone(engine);
    health::check(move || {
        let problems: Vec<String> =
            engine.dependencies().into_iter().filter_map(|dependency| dependency.problem).collect();
        async move { if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) } }
    })
}
