//! `gavel tap`: prints submission events as they happen, and stored ones.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};
use futures::FutureExt as _;
use gavel_describe::filter::Filter;
use gavel_describe::tracker::Tracker;
use gavel_inspect::{LiveEvent, LiveEvents, Start};
use tokio::time::{Instant, timeout_at};

mod filter;
mod record;
mod show;

use filter::FilterOptions;
use record::{Entry, Record};
use show::{Format, Show};

use crate::event::{Event, Reading};
use crate::exit::{self, CommandError};
use crate::session::NatsOptions;
use crate::terminal::has_colours;
use crate::time::{format_duration, parse_duration};

/// Show submission events as they happen
///
/// Prints one event per line; times are in UTC. It only subscribes and reads: it takes no work from the services, and needs
/// no permission to publish.
#[derive(Args)]
#[command(
    after_long_help = "Examples:\n  gavel tap --since 10m --errors\n  gavel tap --stage judged --where 'durationMs > 5s'\n  \
    gavel tap --id ID --until verdict\n\n\
    Exit codes:\n  0   ended; with --until verdict: passed\n  1   with --until verdict: failed\n  \
    2   with --until verdict: error\n  3   the time of --timeout is over, or the events end without a verdict\n  \
    64  invalid arguments or configuration\n  65  --load: the file has invalid lines\n  66  --load: the file does not exist\n  \
    69  NATS is unreachable, or has no Gavel streams\n  73  --save: the file cannot be written\n  77  NATS denies permission"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(crate) struct Arguments {
    #[command(flatten)]
    nats: NatsOptions,
    /// Start with the events of the last TIME, such as 10m
    #[arg(long, value_parser = parse_duration, value_name = "TIME", conflicts_with = "all")]
    since: Option<Duration>,
    /// Start with all stored events (72 hours; "ready" only until a judge takes the submission)
    #[arg(long)]
    all: bool,
    /// Exit after the stored events
    #[arg(long)]
    no_follow: bool,
    #[command(flatten)]
    filter: FilterOptions,
    /// Exit after the first verdict that matches --id, --question, --lang and --kind
    #[arg(long, value_enum)]
    until: Option<Until>,
    /// Exit after this time, with exit code 3
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    timeout: Option<Duration>,
    /// Output format: pretty, jsonl, or template='{time} {stage} {id} {says}' with the fields of jsonl
    #[arg(long, short, value_name = "FORMAT", value_parser = Format::parse, default_value = "pretty")]
    output: Format,
    /// Print message headers
    #[arg(long)]
    headers: bool,
    /// Print source code, and the output of programs and compilers
    #[arg(long)]
    show_source: bool,
    /// Also write the printed events to a file, for --load
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Print the events of a saved file instead of live events
    #[arg(long, value_name = "FILE", conflicts_with_all = ["since", "all", "save"])]
    load: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Until {
    Verdict,
}

/// Prints events until the end.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    exit::run("tap", tap(arguments))
}

async fn tap(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    if arguments.no_follow && arguments.since.is_none() && !arguments.all {
        return Err(CommandError::usage(
            "--no-follow goes with --since or --all: without them there are no stored events to print",
        ));
    }
    let deadline = arguments.timeout.map(|time| Instant::now() + time);
    let mut printer = Printer::new(arguments, BufWriter::new(io::stdout().lock()))?;
    if let Some(path) = &arguments.load {
        for line in record::load(path)? {
            let ended = match line? {
                Entry::Event(event) => printer.event(&event)?,
                Entry::Notice(sentence) => printer.notice(&sentence)?,
            };
            if let Some(code) = ended {
                return Ok(ExitCode::from(code));
            }
        }
        return Ok(ExitCode::from(printer.end()?));
    }
    let begin = match arguments.since {
        Some(time) => Start::Since(SystemTime::now() - time),
        None if arguments.all => Start::All,
        None => Start::Now,
    };
    let role = if begin == Start::Now { "tap" } else { "ops" };
    let inspector = arguments.nats.inspector("tap", role).await?;
    let tap = inspector.live_events(begin, !arguments.no_follow).await?;
    if begin == Start::Now {
        eprintln!("gavel tap: listening");
    }
    follow(tap, printer, arguments, deadline).await
}

/// Prints live events. Writing blocks as long as the terminal does; the subscription continues on other threads.
async fn follow<W: Write>(
    mut tap: LiveEvents,
    mut printer: Printer<W>,
    arguments: &Arguments,
    deadline: Option<Instant>,
) -> Result<ExitCode, CommandError> {
    let mut tracker = Tracker::default();
    let reading = Reading { source: arguments.show_source, headers: arguments.headers };
    loop {
        let item = if let Some(item) = tap.next().now_or_never() {
            item
        } else {
            if let Some(code) = printer.flush() {
                return Ok(ExitCode::from(code));
            }
            let Ok(item) = until(deadline, tap.next()).await else {
                eprintln!("gavel tap: timeout");
                return Ok(ExitCode::from(exit::TIMEOUT));
            };
            item
        };
        let ended = match item {
            None => return Ok(ExitCode::from(printer.end()?)),
            Some(LiveEvent::Failed(error)) => {
                printer.flush();
                return Err(error.into());
            }
            Some(LiveEvent::Message(message)) => {
                let mut event = reading.read(&message);
                tracker.note(&mut event);
                printer.event(&event)?
            }
            Some(LiveEvent::CaughtUp) => {
                eprintln!("gavel tap: end of the stored events; listening");
                None
            }
            Some(LiveEvent::Dropped { messages: events }) => printer.notice(&format!(
                "{events} or more events were skipped, because they came faster than they could be printed; \
                 --since prints them"
            ))?,
            Some(LiveEvent::Disconnected) => printer.notice("connection to NATS lost; reconnecting")?,
            Some(LiveEvent::Reconnected { after }) => {
                let (lost, since) = (format_duration(after), after.as_secs() + 2);
                printer.notice(&format!(
                    "reconnected to NATS after {lost}; events in between were skipped, --since {since}s prints them"
                ))?
            }
        };
        if let Some(code) = ended {
            printer.flush();
            return Ok(ExitCode::from(code));
        }
    }
}

async fn until<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Result<T, ()> {
    match deadline {
        Some(deadline) => timeout_at(deadline, work).await.map_err(|_| ()),
        None => Ok(work.await),
    }
}

/// Prints and saves events. Methods return the exit code if the command is to end.
struct Printer<W> {
    show: Show<W>,
    record: Option<Record>,
    filter: Filter,
    until: Option<Until>,
}

impl<W: Write> Printer<W> {
    fn new(arguments: &Arguments, out: W) -> Result<Self, CommandError> {
        Ok(Self {
            show: Show::new(out, arguments.output.clone(), has_colours()),
            record: arguments.save.as_deref().map(Record::create).transpose()?,
            filter: arguments.filter.filter(),
            until: arguments.until,
        })
    }

    fn event(&mut self, event: &Event) -> Result<Option<u8>, CommandError> {
        if self.filter.matches(event) {
            if let Some(record) = &mut self.record {
                record.event(event)?;
            }
            if self.show.event(event).is_err() {
                return Ok(Some(0));
            }
        }
        if self.until.is_some() && event.stage == "judged" && self.filter.selects_submission(event) {
            self.flush();
            return Ok(Some(match event.status.as_deref() {
                Some("passed") => 0,
                Some("failed") => exit::FAILED,
                _ => exit::ERROR,
            }));
        }
        Ok(None)
    }

    fn notice(&mut self, sentence: &str) -> Result<Option<u8>, CommandError> {
        if let Some(record) = &mut self.record {
            record.notice(sentence)?;
        }
        Ok(self.show.notice(sentence).is_err().then_some(0))
    }

    /// If the reader has closed the pipe, as `head` does, the command ends successfully.
    fn flush(&mut self) -> Option<u8> {
        self.show.flush().is_err().then_some(0)
    }

    /// Called after the last event.
    fn end(&mut self) -> Result<u8, CommandError> {
        self.flush();
        if self.until.is_some() {
            return Err(CommandError::new(exit::TIMEOUT, "no verdict among these events"));
        }
        Ok(0)
    }
}
