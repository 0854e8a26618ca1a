//! `gavel completions`: shell completions, generated from the definitions of the commands.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

/// Print the completion script of a shell
///
/// For bash: source <(gavel completions bash)
#[derive(Args)]
pub(crate) struct Arguments {
    /// Shell to print the script for
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments, mut cli: Command) -> ExitCode {
    clap_complete::generate(arguments.shell, &mut cli, "gavel", &mut std::io::stdout());
    ExitCode::SUCCESS
}
