//! `gavel streams`: makes the streams and consumers, for services that may not.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use gavel_bus::topology::{Durable, Stream, TopologySettings};
use gavel_bus::{Bus, NatsConfig};
use gavel_config::Env;
use gavel_runtime::{EXIT_CONFIG, nats};

use crate::exit;

/// Makes the streams and consumers that are missing, and leaves those that exist as they are.
///
/// For a NATS on which services may not make them (`NATS_MAKE_STREAMS=false`): run it as the user who may, before the
/// services, with the variables of the services (`NATS_URL`, `NATS_NKEY`, `NATS_REPLICAS`, `NATS_STORE_BYTES`,
/// `ACK_WAIT_MS`). Exit codes: 0 they are there, 64 wrong use, 69 NATS cannot be reached or does not let us.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How long to wait for NATS, in seconds.
    #[arg(long, default_value_t = 30)]
    timeout: u64,
}

/// Makes them.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let mut env = Env::from_process();
    let config = NatsConfig { is_topology_managed: false, ..nats::read(&mut env, "deploy") };
    let settings = nats::read_topology(&mut env);
    if let Err(problems) = env.finish() {
        eprintln!("gavel streams: the configuration has problems:\n{problems}");
        return ExitCode::from(EXIT_CONFIG);
    }
    let runtime = tokio::runtime::Runtime::new().expect("the machine has threads and descriptors");
    let patience = Duration::from_secs(arguments.timeout);
    match runtime.block_on(make(&config, settings, patience)) {
        Ok(()) => {
            for stream in Stream::ALL {
                let durables = Durable::ALL.into_iter().filter(|durable| durable.stream() == stream);
                let names: Vec<_> = durables.map(Durable::name).collect();
                println!("{:<12}{}", stream.name(), names.join(" "));
            }
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("gavel streams: {failure:#}");
            ExitCode::from(exit::UNAVAILABLE)
        }
    }
}

async fn make(config: &NatsConfig, settings: TopologySettings, patience: Duration) -> anyhow::Result<()> {
    let bus = Bus::connect(config, settings).await?;
    let made = tokio::time::timeout(patience, bus.ensure_topology()).await;
    made.map_err(|_| match bus.connection().check_permissions() {
        Err(refusal) => anyhow!("{refusal}"),
        Ok(()) if bus.is_connected() => anyhow!("NATS does not make them; does it have JetStream, and room?"),
        Ok(()) => anyhow!("NATS cannot be reached; are NATS_URL, the credentials and NATS_CA right?"),
    })
    .with_context(|| format!("not done within {} s", patience.as_secs()))
}
