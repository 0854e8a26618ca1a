//! `gavel tap`: what moves on the line, as it moves, and what has moved.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};
use futures::FutureExt as _;
use gavel_inspect::{LiveEvent, LiveEvents, Start};
use tokio::time::{Instant, timeout_at};

mod expression;
mod filter;
mod memory;
mod record;
mod show;

use filter::Filter;
use memory::Memory;
use record::{Line, Record};
use show::{Format, Show};

use crate::event::{Event, Reading};
use crate::exit::{self, CommandError};
use crate::session::NatsOptions;
use crate::terminal::has_colours;
use crate::time::{format_duration, parse_duration};

/// Shows the events of submissions as they happen, one a line. It only listens: no worker is disturbed, and a
/// user who may publish nothing can run it.
///
/// Times are UTC. Exit codes: with --until verdict 0 passed, 1 failed, 2 error, 3 no verdict in time; 64 wrong
/// use, 65 a file that is none, 66 no such file, 69 NATS cannot be reached, 77 NATS does not let us.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Arguments {
    #[command(flatten)]
    nats: NatsOptions,
    /// Begin with what has happened since then, such as 10m.
    #[arg(long, value_parser = parse_duration, value_name = "TIME", conflicts_with = "all")]
    since: Option<Duration>,
    /// Begin with all that is stored (72 hours; what a judge has taken is no longer under "ready").
    #[arg(long)]
    all: bool,
    /// End with what is stored.
    #[arg(long)]
    no_follow: bool,
    #[command(flatten)]
    filter: Filter,
    /// End with the first verdict of what is looked for (by --id, --question, --lang, --kind).
    #[arg(long, value_enum)]
    until: Option<Until>,
    /// End after this time, with exit code 3.
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    timeout: Option<Duration>,
    /// pretty, jsonl, or template='{time} {stage} {id} {says}' with the fields of jsonl.
    #[arg(long, short, value_parser = Format::parse, default_value = "pretty")]
    output: Format,
    /// Show headers.
    #[arg(long)]
    headers: bool,
    /// Show sources, and what programs and compilers said.
    #[arg(long)]
    show_source: bool,
    /// Write what is shown to a file as well, for --load.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Show what was saved instead of what happens.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["since", "all", "save"])]
    load: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Until {
    Verdict,
}

/// Shows until the end.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    exit::run("tap", tap(arguments))
}

async fn tap(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    if arguments.no_follow && arguments.since.is_none() && !arguments.all {
        return Err(CommandError::new(gavel_runtime::EXIT_CONFIG, "--no-follow goes with --since or --all"));
    }
    let deadline = arguments.timeout.map(|time| Instant::now() + time);
    let mut screen = Screen::new(arguments, BufWriter::new(io::stdout().lock()))?;
    if let Some(path) = &arguments.load {
        for line in record::load(path)? {
            let ended = match line? {
                Line::Event(event) => screen.event(&event)?,
                Line::Notice(sentence) => screen.notice(&sentence)?,
            };
            if let Some(code) = ended {
                return Ok(ExitCode::from(code));
            }
        }
        return Ok(ExitCode::from(screen.end()?));
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
    watch(tap, screen, arguments, deadline).await
}

/// Writing may block for as long as the terminal likes: the tap goes on meanwhile, on threads of its own.
async fn watch<W: Write>(
    mut tap: LiveEvents,
    mut screen: Screen<'_, W>,
    arguments: &Arguments,
    deadline: Option<Instant>,
) -> Result<ExitCode, CommandError> {
    let mut memory = Memory::default();
    let reading = Reading { source: arguments.show_source, headers: arguments.headers };
    loop {
        let item = if let Some(item) = tap.next().now_or_never() {
            item
        } else {
            if let Some(code) = screen.flush() {
                return Ok(ExitCode::from(code));
            }
            let Ok(item) = until(deadline, tap.next()).await else {
                eprintln!("gavel tap: the time is up");
                return Ok(ExitCode::from(exit::TIMEOUT));
            };
            item
        };
        let ended = match item {
            None => return Ok(ExitCode::from(screen.end()?)),
            Some(LiveEvent::Failed(error)) => {
                screen.flush();
                return Err(error.into());
            }
            Some(LiveEvent::Message(message)) => {
                let mut event = reading.read(&message);
                memory.note(&mut event);
                screen.event(&event)?
            }
            Some(LiveEvent::CaughtUp) => {
                eprintln!("gavel tap: that was the past; listening");
                None
            }
            Some(LiveEvent::Dropped { messages: events }) => screen.notice(&format!(
                "{events} or more events are not shown here: they came faster than they could be written; \
                 --since shows them again"
            ))?,
            Some(LiveEvent::Disconnected) => screen.notice("NATS is gone; waiting for it")?,
            Some(LiveEvent::Reconnected { after }) => {
                let (gone, reach) = (format_duration(after), after.as_secs() + 2);
                screen.notice(&format!(
                    "NATS is back after {gone}; what happened meanwhile is not shown here, --since {reach}s shows it"
                ))?
            }
        };
        if let Some(code) = ended {
            screen.flush();
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

/// Where events are shown and saved. Each step tells the exit code, where it is the last one.
struct Screen<'a, W> {
    show: Show<W>,
    record: Option<Record>,
    filter: &'a Filter,
    until: Option<Until>,
}

impl<'a, W: Write> Screen<'a, W> {
    fn new(arguments: &'a Arguments, out: W) -> Result<Self, CommandError> {
        Ok(Self {
            show: Show::new(out, arguments.output.clone(), has_colours()),
            record: arguments.save.as_deref().map(Record::create).transpose()?,
            filter: &arguments.filter,
            until: arguments.until,
        })
    }

    fn event(&mut self, event: &Event) -> Result<Option<u8>, CommandError> {
        if self.filter.fits(event) {
            if let Some(record) = &mut self.record {
                record.event(event)?;
            }
            if self.show.event(event).is_err() {
                return Ok(Some(0));
            }
        }
        if self.until.is_some() && event.stage == "judged" && self.filter.is_about(event) {
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

    /// Whoever reads us may have gone away, as `head` does: that is an end like any other.
    fn flush(&mut self) -> Option<u8> {
        self.show.flush().is_err().then_some(0)
    }

    /// The end of what there is.
    fn end(&mut self) -> Result<u8, CommandError> {
        self.flush();
        if self.until.is_some() {
            return Err(CommandError::new(exit::TIMEOUT, "there is no verdict among these"));
        }
        Ok(0)
    }
}
