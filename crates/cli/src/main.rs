//! `gavel`: the command line.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments of commands and options are help texts: they show backticks"
)]

mod backup;
mod completions;
mod console;
mod dead;
mod decode;
mod doctor;
mod exit;
mod keys;
mod man;
mod mock_convex;
mod output;
mod rejudge;
mod session;
mod status;
mod streams;
mod submit;
mod tap;
mod terminal;
mod trace;
mod up;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use gavel_describe::{event, time};

#[global_allocator]
static ALLOCATOR: gavel_runtime::MiMalloc = gavel_runtime::MiMalloc;

/// Judge code submissions on NATS JetStream
///
/// "gavel up" runs the whole pipeline on this machine, "gavel submit" submits a program to it, and the other commands
/// inspect and operate a running pipeline. Commands connect to NATS with the environment variables of the services
/// (NATS_URL, NATS_NKEY, NATS_CREDS, NATS_USER, NATS_CA, …).
#[derive(Parser)]
#[command(name = "gavel", version = gavel_runtime::VERSION)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Up(up::Arguments),
    Submit(submit::Arguments),
    Tap(Box<tap::Arguments>),
    Trace(trace::Arguments),
    Status(status::Arguments),
    Doctor(doctor::Arguments),
    Dead(dead::Arguments),
    Rejudge(rejudge::Arguments),
    Console(console::Arguments),
    Decode(decode::Arguments),
    Streams(streams::Arguments),
    Backup(backup::BackupArguments),
    Restore(backup::RestoreArguments),
    Keys(keys::Arguments),
    MockConvex(mock_convex::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

fn main() -> ExitCode {
    // Must come first: the sandbox starts its own processes from this program.
    gavel_sandbox::init::enter_if_asked();
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(message) => {
            // "--help" and "--version" are no errors. All programs of Gavel exit with the same code on wrong usage.
            let _ = message.print();
            return if message.use_stderr() {
                ExitCode::from(gavel_runtime::EXIT_CONFIG)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match command {
        Command::Up(arguments) => up::run(&arguments),
        Command::Submit(arguments) => submit::run(&arguments),
        Command::Tap(arguments) => tap::run(&arguments),
        Command::Trace(arguments) => trace::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Dead(arguments) => dead::run(&arguments),
        Command::Rejudge(arguments) => rejudge::run(&arguments),
        Command::Console(arguments) => console::run(&arguments),
        Command::Decode(arguments) => decode::run(&arguments),
        Command::Streams(arguments) => streams::run(&arguments),
        Command::Backup(arguments) => backup::back_up(&arguments),
        Command::Restore(arguments) => backup::restore(&arguments),
        Command::Keys(arguments) => keys::run(&arguments),
        Command::MockConvex(arguments) => mock_convex::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments, Cli::command()),
        Command::Man(arguments) => man::run(&arguments, Cli::command()),
    }
}
