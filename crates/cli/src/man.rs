//! `gavel man`: manual pages, generated from the definitions of the commands.

use std::process::ExitCode;

use clap::{Args, Command};

use crate::exit::CommandError;

/// Print a manual page in roff format
///
/// To read it: gavel man | man -l -
#[derive(Args)]
pub(crate) struct Arguments {
    /// Command to print the page of [default: gavel itself]
    command: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, mut cli: Command) -> ExitCode {
    cli.build();
    let page = match &arguments.command {
        None => Some(&cli),
        Some(name) => cli.find_subcommand(name),
    };
    let Some(page) = page else {
        let name = arguments.command.as_deref().unwrap_or_default();
        return CommandError::usage(format!("unknown command {name:?}"))
            .with_remedy("\"gavel --help\" lists the commands.")
            .report("man");
    };
    // The reader may have closed the pipe.
    let _ = clap_mangen::Man::new(page.clone()).render(&mut std::io::stdout());
    ExitCode::SUCCESS
}
