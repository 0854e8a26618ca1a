//! Sessions on NATS: how commands connect, and how failures of NATS read.

use std::time::Duration;

use clap::Args;
use gavel_bus::topology::TopologySettings;
use gavel_bus::{Bus, ConnectError, NatsConfig};
use gavel_config::Env;
use gavel_describe::explanation::{Explanation, START_NATS};
use gavel_inspect::{InspectError, Inspector};
use gavel_runtime::EXIT_CONFIG;
use gavel_runtime::nats::{self, local_key};

use crate::exit::{self, CommandError};
use crate::output::escape_control;

/// How long a command waits for the connection to NATS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Options of all commands that connect to NATS. Secrets come from the environment: a list of processes shows arguments.
#[derive(Args, Clone)]
pub(crate) struct NatsOptions {
    /// NATS servers, separated by commas; overrides NATS_URL [default: nats://127.0.0.1:4222]
    #[arg(long = "nats", global = true, value_name = "URL")]
    url: Option<String>,
}

/// A session that may publish: for the commands that rejudge, retry and drop.
pub(crate) struct OperatorSession {
    pub(crate) bus: Bus,
    /// How long Convex may take to apply a callback that got no answer: the reporters' `REQUEST_TIMEOUT_MS` plus
    /// `RUNNING_LINGER_MS`.
    pub(crate) settle_time: Duration,
}

impl NatsOptions {
    /// Reads how to connect. `role` is one of the roles for people in `deploy/nats/accounts.conf`: `tap` may read live
    /// events, `ops` may also read stored ones and change things.
    pub(crate) fn config(&self, env: &mut Env, command: &str, role: &str) -> NatsConfig {
        if let Some(url) = &self.url {
            env.set("NATS_URL", url);
        }
        // The server's monitoring shows this name.
        local_key::add(NatsConfig { name: format!("gavel-{command}"), ..nats::read(env, role) })
    }

    /// Connects for reading.
    pub(crate) async fn inspector(&self, command: &str, role: &str) -> Result<Inspector, CommandError> {
        let mut env = Env::from_process();
        let config = self.config(&mut env, command, role);
        env.finish().map_err(|problems| CommandError::configuration(&problems))?;
        connect_inspector(&config).await
    }

    /// Connects for reading and publishing, as role `ops`.
    pub(crate) async fn operator(&self, command: &str) -> Result<OperatorSession, CommandError> {
        let mut env = Env::from_process();
        let config = self.config(&mut env, command, "ops");
        let settle_time = settle_time(&mut env);
        env.finish().map_err(|problems| CommandError::configuration(&problems))?;
        Ok(OperatorSession { bus: connect_bus(&config).await?, settle_time })
    }
}

/// How long Convex may take to apply a callback that got no answer.
pub(crate) fn settle_time(env: &mut Env) -> Duration {
    gavel_config::request_timeout(env) + gavel_convex::running_linger(env)
}

/// Connects a bus, and waits until the connection is up.
async fn connect_bus(config: &NatsConfig) -> Result<Bus, CommandError> {
    let bus = Bus::connect(config, TopologySettings::default()).await.map_err(anyhow::Error::from)?;
    match tokio::time::timeout(CONNECT_TIMEOUT, bus.connection().wait_connected()).await {
        Ok(()) => Ok(bus),
        Err(_) => Err(unreachable(config, &format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()))),
    }
}

/// Connects an inspector. Failures name the server.
pub(crate) async fn connect_inspector(config: &NatsConfig) -> Result<Inspector, CommandError> {
    Inspector::connect(config).await.map_err(|error| match &error {
        InspectError::Connect(ConnectError::Unreachable(source)) => unreachable(config, &source.to_string()),
        InspectError::Connect(ConnectError::Timeout(limit)) => {
            unreachable(config, &format!("no answer within {} s", limit.as_secs()))
        }
        _ => error.into(),
    })
}

fn unreachable(config: &NatsConfig, reason: &str) -> CommandError {
    // Everything before the last "@" may be a password.
    let host = config.url.rsplit_once('@').map_or(config.url.as_str(), |(_, host)| host);
    CommandError::new(exit::UNAVAILABLE, format!("cannot connect to NATS at {host}: {reason}"))
        .with_remedy(START_NATS)
}

/// Returns `USER@HOST`, for the record of who changed something.
pub(crate) fn operator_name() -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    escape_control(&format!("{user}@{}", host.trim()))
}

impl From<InspectError> for CommandError {
    fn from(error: InspectError) -> Self {
        let code = match error {
            InspectError::Connect(ConnectError::Url(_)) => EXIT_CONFIG,
            InspectError::Connect(ConnectError::Credentials(_) | ConnectError::Unauthorized(_))
            | InspectError::PermissionDenied(_) => exit::PERMISSION_DENIED,
            _ => exit::UNAVAILABLE,
        };
        let Explanation { message, remedy } = (&error).into();
        Self::new(code, message).with_remedy(remedy)
    }
}
