//! `gavel streams`: creates the streams and consumers, for services that may not create them.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use gavel_bus::topology::{Durable, Stream, TopologySettings};
use gavel_bus::{Bus, MissingStream, NatsConfig};
use gavel_config::Env;
use gavel_runtime::nats::{self, local_key};

use crate::exit::CommandError;

/// Create the streams and consumers that are missing
///
/// Existing ones stay unchanged, except that what a later version needs is added. Use it where services may not create
/// streams (NATS_MAKE_STREAMS=false): run it before the services, as a user with that permission, with the variables of the
/// services (NATS_URL, NATS_NKEY, NATS_REPLICAS, NATS_STORE_BYTES, ACK_WAIT_MS).
#[derive(Args)]
#[command(
    after_long_help = "Exit codes:\n  0   all streams and consumers exist that the services need\n  64  invalid arguments or configuration\n  69  NATS is unreachable or denies permission"
)]
pub(crate) struct Arguments {
    /// Seconds to wait for NATS
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

/// Creates them and prints each stream with its consumers.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let mut env = Env::from_process();
    let config = local_key::add(nats::read(&mut env, "deploy"));
    let config = NatsConfig { is_topology_managed: false, ..config };
    let settings = nats::read_topology(&mut env);
    if let Err(problems) = env.finish() {
        return CommandError::configuration(&problems).report("streams");
    }
    let runtime = tokio::runtime::Runtime::new().expect("the machine has threads and descriptors");
    let timeout = Duration::from_secs(arguments.timeout);
    match runtime.block_on(create(&config, settings, timeout)) {
        Ok(missing) => {
            for stream in &missing {
                eprintln!("gavel streams: {stream}");
            }
            let exists = |stream: &Stream| missing.iter().all(|each| each.stream != *stream);
            for stream in Stream::ALL.into_iter().filter(exists) {
                let durables = Durable::ALL.into_iter().filter(|durable| durable.stream() == stream);
                let names: Vec<_> = durables.map(Durable::name).collect();
                println!("{:<12}{}", stream.name(), names.join(" "));
            }
            ExitCode::SUCCESS
        }
        Err(failure) => CommandError::from(failure).report("streams"),
    }
}

async fn create(
    config: &NatsConfig,
    settings: TopologySettings,
    timeout: Duration,
) -> anyhow::Result<Vec<MissingStream>> {
    let bus = Bus::connect(config, settings).await?;
    let created = tokio::time::timeout(timeout, bus.ensure_topology()).await;
    created
        .map_err(|_| match (bus.connection().check_permissions(), bus.check_topology()) {
            (Err(refusal), _) => anyhow!("{refusal}"),
            _ if !bus.is_connected() => {
                anyhow!("cannot connect to NATS: check NATS_URL, the credentials and NATS_CA")
            }
            (Ok(()), Err(problem)) => anyhow!("{problem}"),
            (Ok(()), Ok(())) => anyhow!("the server does not create them: check that JetStream is enabled"),
        })
        .with_context(|| format!("streams not created within {} s", timeout.as_secs()))
}
