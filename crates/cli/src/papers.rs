//! Shell completions and the manual page, made of the definitions that the commands are read by.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

/// Prints a shell's completions: source <(gavel completions bash)
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

/// Prints the manual page, in roff: gavel man | man -l -
#[derive(Args)]
pub(crate) struct Man {
    /// Of this command; by default of all.
    command: Option<String>,
}

pub(crate) fn completions(arguments: &Completions, mut cli: Command) -> ExitCode {
    clap_complete::generate(arguments.shell, &mut cli, "gavel", &mut std::io::stdout());
    ExitCode::SUCCESS
}

pub(crate) fn man(arguments: &Man, mut cli: Command) -> ExitCode {
    cli.build();
    let page = match &arguments.command {
        None => Some(&cli),
        Some(name) => cli.find_subcommand(name),
    };
    let Some(page) = page else {
        eprintln!("gavel man: there is no such command; gavel --help lists them");
        return ExitCode::from(gavel_runtime::EXIT_CONFIG);
    };
    // Whoever reads us may have gone away.
    let _ = clap_mangen::Man::new(page.clone()).render(&mut std::io::stdout());
    ExitCode::SUCCESS
}
