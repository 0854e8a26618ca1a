//! The way to NATS of the commands, and what each failure of those that look at the line means to a person.

use std::process::ExitCode;

use clap::Args;
use gavel_bus::NatsConfig;
use gavel_bus::look::{Look, LookError};
use gavel_config::Env;
use gavel_runtime::nats;

use crate::exit;

/// Where NATS is. What is secret comes by the environment, where no list of processes shows it.
#[derive(Args, Clone)]
pub(crate) struct Link {
    /// The NATS servers, instead of `NATS_URL`; how to log in to them is by the variables of the services.
    #[arg(long, global = true)]
    nats: Option<String>,
}

/// Why a command ends without having done what it is for.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) code: u8,
    /// What is wrong, in one plain sentence.
    pub(crate) sentence: String,
    /// What may help.
    pub(crate) remedy: Option<&'static str>,
}

impl Stop {
    pub(crate) fn new(code: u8, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into(), remedy: None }
    }
}

impl Link {
    /// Where NATS is, and who we are to it: one of the roles that `deploy/nats/accounts.conf` gives people, which are
    /// `tap`, and `ops`, who may look back and change things. The name is what the server's monitoring shows.
    pub(crate) fn read(&self, env: &mut Env, command: &str, role: &str) -> NatsConfig {
        if let Some(url) = &self.nats {
            env.set("NATS_URL", url);
        }
        NatsConfig { name: format!("gavel-{command}"), ..nats::read(env, role) }
    }

    /// Connects, to look.
    pub(crate) async fn connect(&self, command: &str, role: &str) -> Result<Look, Stop> {
        let mut env = Env::from_process();
        let config = self.read(&mut env, command, role);
        env.finish().map_err(|problems| Stop::new(gavel_runtime::EXIT_CONFIG, problems.to_string()))?;
        Ok(Look::connect(&config).await?)
    }
}

impl From<LookError> for Stop {
    fn from(error: LookError) -> Self {
        let (sentence, remedy) = match &error {
            LookError::Url(_) => ("NATS_URL is not valid".to_owned(), "it is like nats://HOST:4222"),
            LookError::Unreachable(_) | LookError::Silent => {
                ("NATS cannot be reached".to_owned(), "is gavel up, and NATS_URL right?")
            }
            LookError::Credentials => (
                "NATS refuses the credentials".to_owned(),
                "NATS_NKEY, NATS_CREDS or NATS_USER must be of a user that this server knows",
            ),
            LookError::Denied(said) => (
                format!("NATS does not let this user do that ({said})"),
                "NATS_NKEY=tap.nk does for a live tap; history, trace, status and doctor take ops.nk, \
                 or a user with the rights that docs/operations.md lists",
            ),
            LookError::NoJetStream => (
                "this NATS has no JetStream".to_owned(),
                "start nats-server with --jetstream, and enable it for the account",
            ),
            LookError::NoStream(name) => (
                format!("this NATS has no stream {name}"),
                "the line was never up on it, or NATS_URL is another server's",
            ),
            LookError::NoConsumer(name) => (
                format!("this NATS has no consumer {name}"),
                "start the services, or run gavel streams: they make it",
            ),
            LookError::Odd(said) => (format!("NATS answers {said}"), "see the log of nats-server"),
        };
        let code = match error {
            LookError::Url(_) => gavel_runtime::EXIT_CONFIG,
            LookError::Credentials | LookError::Denied(_) => exit::DENIED,
            _ => exit::UNAVAILABLE,
        };
        Self { code, sentence, remedy: Some(remedy) }
    }
}

/// Runs a command that looks, and says why it stopped.
pub(crate) fn run(command: &str, work: impl Future<Output = Result<ExitCode, Stop>>) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("the machine has threads and descriptors");
    match runtime.block_on(work) {
        Ok(code) => code,
        Err(stop) => {
            let remedy = stop.remedy.map_or_else(String::new, |remedy| format!("; {remedy}"));
            eprintln!("gavel {command}: {}{remedy}", crate::plain::harmless(&stop.sentence));
            ExitCode::from(stop.code)
        }
    }
}
