//! The judge: compiles each ready submission once, runs it on the tests, and publishes the verdict.

mod config;
mod engine;
mod handler;
mod languages;

use std::sync::Arc;

use gavel_bus::topology::{Durable, Stream};
use gavel_runtime::{Service, ServiceInfo, health};

pub use config::Config;
pub use engine::{Engine, EngineChoice, EngineName, Engines, Judge0Engine, Routes, SandboxEngine};
use handler::Judge;
use languages::Languages;

/// Binds the port, starts to connect to NATS, and adds what the judge does.
///
/// # Errors
/// Returns an error if the port is taken, or if the NATS URL or credentials are invalid.
pub async fn bind(config: Config, engine: impl Engine) -> anyhow::Result<Service> {
    let mut service = Service::bind(&config.service).await?;
    let engine = Arc::new(engine);
    let waiting = Arc::new(Languages::new(Arc::clone(&engine), &config));
    let (languages, dependencies) = (Arc::clone(&engine), Arc::clone(&engine));
    service.info = ServiceInfo {
        slots: config.slots,
        languages: Arc::new(move || languages.languages()),
        dependencies: Arc::new(move || dependencies.dependencies()),
    };
    service.add_check(dependency_check(&engine));
    service.probe_streams(&[Stream::Ready, Stream::Waiting, Stream::Result, Stream::DeadLetter]);
    let (bus, listener, watcher) = (service.bus.clone(), Arc::clone(&waiting), Arc::clone(&waiting));
    service.add_task(async move {
        tokio::join!(listener.listen(&bus), watcher.watch(&bus));
    });
    let judge = Judge::new(service.bus.clone(), engine, waiting, &config);
    service.consume(Durable::Judge, config.slots, Some(config.max_deliveries), judge);
    Ok(service)
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
