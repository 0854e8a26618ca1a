//! `gavel man`: manual pages, generated from the definitions of the commands.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command};

use crate::exit::{CANNOT_WRITE, CommandError};

/// Print a manual page in roff format
///
/// To read it: gavel man | man -l -
#[derive(Args)]
pub(crate) struct Arguments {
    /// Command to print the page of, such as "dead list" [default: gavel itself]
    command: Vec<String>,
    /// Write the pages of all commands to files in this directory, which must exist
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "command")]
    out: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, cli: Command) -> ExitCode {
    let done = match &arguments.out {
        None => print(&arguments.command, cli),
        Some(directory) => write_all(directory, cli),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report("man"),
    }
}

fn print(command: &[String], mut cli: Command) -> Result<(), CommandError> {
    cli.build();
    let Some(page) = command.iter().try_fold(&cli, |parent, name| parent.find_subcommand(name)) else {
        return Err(CommandError::usage(format!("unknown command {:?}", command.join(" ")))
            .with_remedy("\"gavel --help\" lists the commands."));
    };
    // The reader may have closed the pipe.
    let _ = clap_mangen::Man::new(page.clone()).render(&mut std::io::stdout());
    Ok(())
}

fn write_all(directory: &Path, cli: Command) -> Result<(), CommandError> {
    clap_mangen::generate_to(cli, directory).map_err(|error| {
        CommandError::new(
            CANNOT_WRITE,
            format!("cannot write manual pages to {}: {error}", directory.display()),
        )
    })
}
