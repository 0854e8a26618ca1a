//! How commands end: exit codes, and the error that a command prints before it exits.

use std::process::ExitCode;

use gavel_config::ConfigError;
use gavel_runtime::EXIT_CONFIG;

use crate::output::escape_lines;

// Exit codes. From 64 on they are those of sysexits.h.

/// The submission failed, or `doctor` found a problem, or some submissions were refused.
pub(crate) const FAILED: u8 = 1;
/// The submission ended with status `error`.
pub(crate) const ERROR: u8 = 2;
/// There was no result before the timeout.
pub(crate) const TIMEOUT: u8 = 3;
/// Input cannot be decoded (`EX_DATAERR`).
pub(crate) const INVALID_DATA: u8 = 65;
/// The submission or the file does not exist (`EX_NOINPUT`).
pub(crate) const NOT_FOUND: u8 = 66;
/// NATS or the ingress is unreachable, or NATS has no Gavel streams (`EX_UNAVAILABLE`).
pub(crate) const UNAVAILABLE: u8 = 69;
/// A file cannot be written (`EX_CANTCREAT`).
pub(crate) const CANNOT_WRITE: u8 = 73;
/// The credentials are invalid, or lack a permission (`EX_NOPERM`).
pub(crate) const PERMISSION_DENIED: u8 = 77;

/// The reason why a command failed.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) code: u8,
    /// What failed, with its value.
    pub(crate) message: String,
    /// What to do about it, as full sentences.
    pub(crate) remedy: Option<String>,
}

impl CommandError {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), remedy: None }
    }

    /// An error in the arguments or the environment variables.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(EXIT_CONFIG, message)
    }

    /// All problems of the environment variables.
    pub(crate) fn configuration(problems: &ConfigError) -> Self {
        Self::usage(format!("invalid configuration:\n{problems}"))
    }

    pub(crate) fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Prints the error on standard error and returns its exit code.
    pub(crate) fn report(&self, command: &str) -> ExitCode {
        let remedy = self.remedy.as_ref().map_or_else(String::new, |remedy| format!(". {remedy}"));
        eprintln!("gavel {command}: {}{remedy}", escape_lines(&self.message));
        ExitCode::from(self.code)
    }
}

/// Failures of the network and of NATS.
impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> Self {
        Self::new(UNAVAILABLE, format!("{error:#}"))
    }
}

/// Whether a command did everything that was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandOutcome {
    /// Everything was done.
    Done,
    /// Some of it was refused.
    Refused,
}

impl CommandOutcome {
    /// The outcome of both together.
    pub(crate) fn and(self, other: Self) -> Self {
        if self == Self::Done { other } else { self }
    }
}

impl From<CommandOutcome> for ExitCode {
    fn from(outcome: CommandOutcome) -> Self {
        match outcome {
            CommandOutcome::Done => Self::SUCCESS,
            CommandOutcome::Refused => Self::from(FAILED),
        }
    }
}

/// Runs a command to its end and reports its error, if it fails.
pub(crate) fn run<T>(command: &str, work: impl Future<Output = Result<T, CommandError>>) -> ExitCode
where
    ExitCode: From<T>,
{
    let runtime = tokio::runtime::Runtime::new().expect("the machine has threads and descriptors");
    match runtime.block_on(work) {
        Ok(outcome) => outcome.into(),
        Err(error) => error.report(command),
    }
}
