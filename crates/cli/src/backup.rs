//! `gavel backup` and `gavel restore`: copies of all streams in files.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use gavel_bus::topology::Stream;
use gavel_inspect::{BackupError, Inspector};

use crate::exit::{self, CommandError, CommandOutcome};
use crate::output::print_line;
use crate::session::NatsOptions;

const ROLE: &str = "deploy";

/// Copy all streams to files
///
/// Writes the messages of all streams and the positions of their consumers to a new directory, as "nats stream backup" does.
/// Services may run meanwhile: what they take while it is copied is judged again after a restore. If they take messages faster
/// than a stream can be copied, stop them and repeat.
///
/// The files contain sources and hidden tests. Only their owner may read them.
#[derive(Args)]
#[command(
    after_long_help = "Exit codes:\n  0   all streams are copied\n  1   a stream cannot be copied\n  64  invalid arguments or \
    configuration\n  69  NATS is unreachable, or has no Gavel streams\n  73  the directory exists or cannot be written\n  77  NATS \
    denies permission"
)]
pub(crate) struct BackupArguments {
    #[command(flatten)]
    nats: NatsOptions,
    /// Directory to create
    directory: PathBuf,
}

/// Create all streams from a backup
///
/// Creates the streams of a backup with their messages, on a server that has none of them. Stop all services before: they
/// create missing streams. Start them afterwards; they continue with the work that was not done when the backup was made.
#[derive(Args)]
#[command(
    after_long_help = "Exit codes:\n  0   all streams of the backup exist\n  1   a stream exists already, or cannot be \
    created\n  64  invalid arguments or configuration\n  66  the directory is not a backup\n  69  NATS is unreachable\n  77  NATS \
    denies permission"
)]
pub(crate) struct RestoreArguments {
    #[command(flatten)]
    nats: NatsOptions,
    /// Directory that "gavel backup" has written
    directory: PathBuf,
}

/// Runs `gavel backup`.
pub(crate) fn back_up(arguments: &BackupArguments) -> ExitCode {
    exit::run("backup", write(arguments))
}

/// Runs `gavel restore`.
pub(crate) fn restore(arguments: &RestoreArguments) -> ExitCode {
    exit::run("restore", read(arguments))
}

async fn write(arguments: &BackupArguments) -> Result<CommandOutcome, CommandError> {
    let inspector = arguments.nats.inspector("backup", ROLE).await?;
    let directory = &arguments.directory;
    if directory.exists() {
        return Err(cannot_write(directory, &io::Error::from(ErrorKind::AlreadyExists)));
    }
    // It gets its name when it is complete.
    let mut partial = directory.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let created = fs::DirBuilder::new().mode(0o700).create(&partial);
    created.map_err(|error| cannot_write(&partial, &error))?;
    let copied = copy(&inspector, &partial).await;
    if copied.is_err() {
        // Created above. If it stays, the next backup names it.
        let _ = fs::remove_dir_all(&partial);
    }
    copied?;
    fs::rename(&partial, directory).map_err(|error| cannot_write(directory, &error))?;
    Ok(CommandOutcome::Done)
}

/// Copies the streams in the order of the pipeline: work that moves to a later stream meanwhile is in both copies, never in
/// neither.
async fn copy(inspector: &Inspector, directory: &Path) -> Result<(), CommandError> {
    for stream in Stream::ALL {
        let copied = inspector.back_up(stream, &directory.join(stream.name())).await;
        print_count(stream, copied.map_err(|error| failed(stream, error, exit::CANNOT_WRITE))?);
    }
    Ok(())
}

async fn read(arguments: &RestoreArguments) -> Result<CommandOutcome, CommandError> {
    let directory = &arguments.directory;
    if !directory.join(Stream::Queued.name()).is_dir() {
        let message = format!("{} is not a backup", directory.display());
        return Err(CommandError::new(exit::NOT_FOUND, message));
    }
    let inspector = arguments.nats.inspector("restore", ROLE).await?;
    let existing = inspector.existing_streams().await?;
    if !existing.is_empty() {
        let names: Vec<_> = existing.into_iter().map(Stream::name).collect();
        let message = format!("NATS has streams already: {}", names.join(", "));
        let remedy = "Restore to a server without them, or delete them with \"nats stream rm\" after stopping the services.";
        return Err(CommandError::new(exit::FAILED, message).with_remedy(remedy));
    }
    for stream in Stream::ALL {
        let restored = inspector.restore(stream, &directory.join(stream.name())).await;
        print_count(stream, restored.map_err(|error| failed(stream, error, exit::NOT_FOUND))?);
    }
    Ok(CommandOutcome::Done)
}

fn print_count(stream: Stream, messages: Option<u64>) {
    if let Some(messages) = messages {
        let plural = if messages == 1 { "" } else { "s" };
        print_line(&format!("{:<14}{messages} message{plural}", stream.name()));
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> CommandError {
    CommandError::new(exit::CANNOT_WRITE, format!("cannot write {}: {error}", path.display()))
}

/// The error of one stream. `file_code` is the exit code if a file is the reason.
fn failed(stream: Stream, error: BackupError, file_code: u8) -> CommandError {
    let message = format!("stream {}: {error}", stream.name());
    match error {
        BackupError::Inspect(error) => error.into(),
        BackupError::File(_) | BackupError::Invalid(_) => CommandError::new(file_code, message),
        BackupError::Busy => CommandError::new(exit::FAILED, message)
            .with_remedy("Stop the services, repeat the command, and start them again."),
        _ => CommandError::new(exit::FAILED, message),
    }
}
