//! `gavel`: the command line.

mod completions;
mod dead;
mod decode;
mod doctor;
mod event;
mod exit;
mod keys;
mod man;
mod output;
mod rejudge;
mod session;
mod status;
mod streams;
mod submit;
mod tap;
mod terminal;
mod time;
mod trace;
mod up;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// Judges code submissions, on NATS `JetStream`.
#[derive(Parser)]
#[command(name = "gavel", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Up(up::Arguments),
    Submit(submit::Arguments),
    Dead(dead::Arguments),
    Rejudge(rejudge::Arguments),
    Tap(Box<tap::Arguments>),
    Trace(trace::Arguments),
    Decode(decode::Arguments),
    Streams(streams::Arguments),
    Keys(keys::Arguments),
    Status(status::Arguments),
    Doctor(doctor::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

fn main() -> ExitCode {
    // First of all: the sandbox starts its own processes from this very program.
    gavel_sandbox::init::enter_if_asked();
    match Cli::try_parse() {
        Ok(Cli { command: Command::Up(arguments) }) => up::run(&arguments),
        Ok(Cli { command: Command::Submit(arguments) }) => submit::run(&arguments),
        Ok(Cli { command: Command::Dead(arguments) }) => dead::run(&arguments),
        Ok(Cli { command: Command::Rejudge(arguments) }) => rejudge::run(&arguments),
        Ok(Cli { command: Command::Tap(arguments) }) => tap::run(&arguments),
        Ok(Cli { command: Command::Trace(arguments) }) => trace::run(&arguments),
        Ok(Cli { command: Command::Decode(arguments) }) => decode::run(&arguments),
        Ok(Cli { command: Command::Streams(arguments) }) => streams::run(&arguments),
        Ok(Cli { command: Command::Keys(arguments) }) => keys::run(&arguments),
        Ok(Cli { command: Command::Status(arguments) }) => status::run(&arguments),
        Ok(Cli { command: Command::Doctor(arguments) }) => doctor::run(&arguments),
        Ok(Cli { command: Command::Completions(arguments) }) => completions::run(&arguments, Cli::command()),
        Ok(Cli { command: Command::Man(arguments) }) => man::run(&arguments, Cli::command()),
        Err(message) => {
            // Help and version are no errors; a wrong use has one exit code in all our programs.
            let _ = message.print();
            if message.use_stderr() { ExitCode::from(gavel_runtime::EXIT_CONFIG) } else { ExitCode::SUCCESS }
        }
    }
}
