//! The connection of the commands that look at the line, and what each of its failures means to a person.

use std::process::ExitCode;

use clap::Args;
use gavel_boot::Env;
use gavel_bus::NatsConfig;
use gavel_bus::look::{Look, LookError};

use crate::exit;
use crate::operate::nats_of;

/// Where NATS is; the same for every command that looks.
#[derive(Args, Clone)]
pub(crate) struct Link {
    /// The NATS servers, instead of `NATS_URL`; how to log in to them is by the variables of the services.
    #[arg(long)]
    nats: Option<String>,
}

/// Why a command ends without having done what it is for.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) code: u8,
    pub(crate) sentence: String,
}

impl Stop {
    pub(crate) fn new(code: u8, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into() }
    }
}

impl Link {
    /// Connects, under a name that the server's monitoring shows.
    pub(crate) async fn connect(&self, command: &str) -> Result<Look, Stop> {
        let mut env = Env::of_process();
        let config = nats_of(self.nats.as_deref(), "tap", &mut env);
        env.finish().map_err(|problems| Stop::new(gavel_boot::EXIT_CONFIG, problems.to_string()))?;
        Ok(Look::connect(&NatsConfig { name: format!("gavel-{command}"), ..config }).await?)
    }
}

impl From<LookError> for Stop {
    fn from(error: LookError) -> Self {
        let sentence = match &error {
            LookError::Url(_) => "NATS_URL is not valid; it is like nats://HOST:4222".to_owned(),
            LookError::Unreachable(_) | LookError::Silent => {
                "NATS cannot be reached; is gavel up, and NATS_URL right?".to_owned()
            }
            LookError::Credentials => {
                "NATS refuses the credentials; NATS_URL must name a user that this server knows".to_owned()
            }
            LookError::Denied(said) => format!(
                "NATS does not let this user do that ({said}); a live tap needs to subscribe to submission.>, \
                 history, trace and status need $JS.API.DIRECT.GET.*, $JS.API.STREAM.INFO.* and \
                 $JS.API.CONSUMER.INFO.*.* as well"
            ),
            LookError::NoStream(name) => format!(
                "this NATS has no stream {name}: the line was never up on it, or NATS_URL is another server's"
            ),
            LookError::NoConsumer(name) => {
                format!("this NATS has no consumer {name}: start the services, they make it")
            }
            LookError::Odd(said) => format!("NATS answers {said}"),
        };
        let code = match error {
            LookError::Url(_) => gavel_boot::EXIT_CONFIG,
            LookError::Credentials | LookError::Denied(_) => exit::DENIED,
            _ => exit::UNAVAILABLE,
        };
        Self { code, sentence }
    }
}

/// Runs a command that looks, and says why it stopped.
pub(crate) fn run(command: &str, work: impl Future<Output = Result<ExitCode, Stop>>) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("the machine has threads and descriptors");
    match runtime.block_on(work) {
        Ok(code) => code,
        Err(stop) => {
            eprintln!("gavel {command}: {}", crate::plain::harmless(&stop.sentence));
            ExitCode::from(stop.code)
        }
    }
}
