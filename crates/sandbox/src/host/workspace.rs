//! One slot, lent to one submission.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use gavel_domain::{Execution, LanguageId, Outcome};
use rustix::io::Errno;
use tokio::sync::OwnedSemaphorePermit;

use crate::host::cache;
use crate::host::capture::{Capture, Captured};
use crate::host::error::SandboxError;
use crate::host::memfd;
use crate::host::outcome::{self, Evidence};
use crate::host::program::{Compilation, Program};
use crate::host::sandbox::{Pool, Seat};
use crate::host::slot::{Finished, Slot, Streams};
use crate::language::Language;
use crate::protocol::limits::RunLimits;
use crate::protocol::wire::{Collect, Collected, End, FileSpec, Order, Place};

/// The largest program that a compiler may make, in bytes.
const MAX_PROGRAM_BYTES: u64 = 64 << 20;
const MIB: u64 = 1 << 20;

/// One slot, lent to one submission: compile once, run many times, each time in a clean box. Dropping it cleans
/// the slot and hands it to the next; dropping the future of a run ends the run.
#[derive(Debug)]
pub struct Workspace {
    pool: Arc<Pool>,
    /// Always there until the drop.
    seat: Option<Seat>,
    /// The program that the slot holds.
    loaded: Option<u64>,
    _permit: OwnedSemaphorePermit,
}

/// What became of asking a toolchain for its version.
pub(crate) enum Toolchain {
    /// There is none.
    Missing,
    /// It is there, and does not work in here; this is what it said.
    Broken(String),
    /// What it printed.
    Works(String),
}

/// A run that is about to start.
struct Start<'a> {
    order: Order,
    limits: &'a RunLimits,
    stdin: OwnedFd,
    contents: Vec<BorrowedFd<'a>>,
    expected: &'a [u8],
    merged: bool,
}

impl Workspace {
    pub(crate) fn new(pool: Arc<Pool>, seat: Seat, permit: OwnedSemaphorePermit) -> Self {
        Self { pool, seat: Some(seat), loaded: None, _permit: permit }
    }

    /// Makes a program of the source, or takes the one that the same source made before. An interpreted language's source is only kept: its errors show when it
    /// runs.
    ///
    /// # Errors
    /// [`SandboxError::NotServed`] for a language that is not in [`crate::Sandbox::languages`]; other faults are the
    /// engine's. What the source or its compiler did wrong is [`Compilation::Failed`].
    pub async fn compile(
        &mut self,
        language: LanguageId,
        source: &[u8],
    ) -> Result<Compilation, SandboxError> {
        let entry = Arc::clone(self.pool.language(language)?);
        if entry.compile.is_empty() {
            let source = memfd::sealed("source", source).map_err(prepare("source"))?;
            return Ok(Compilation::Ready(Program::new(entry, source)));
        }
        let key = cache::key(&entry, self.pool.version(language), source);
        let programs = self.pool.programs.clone();
        match programs.get(key, self.compile_anew(Arc::clone(&entry), source)).await {
            Some(compiled) => compiled,
            None => self.compile_anew(entry, source).await,
        }
    }

    async fn compile_anew(
        &mut self,
        entry: Arc<Language>,
        source: &[u8],
    ) -> Result<Compilation, SandboxError> {
        let source = memfd::sealed("source", source).map_err(prepare("source"))?;
        let limits = entry.compile_limits();
        let order = Order {
            argv: entry.compile.clone(),
            env: entry.env(&limits),
            files: vec![FileSpec { place: Place::Work, name: entry.source.clone(), mode: 0o644 }],
            caps: limits.caps(),
            collect: Some(Collect { name: entry.artefact.clone(), max_bytes: MAX_PROGRAM_BYTES }),
        };
        let contents = vec![source.as_fd()];
        let start =
            Start { order, limits: &limits, stdin: no_input()?, contents, expected: b"", merged: true };
        let finished = self.finish(start).await?;
        compiled(entry, &limits, finished)
    }

    /// Runs the program on one input, with nothing expected of it.
    ///
    /// # Errors
    /// Faults of the engine only; whatever the program did is in the [`Execution`].
    pub async fn run(
        &mut self,
        program: &Program,
        stdin: Bytes,
        limits: &RunLimits,
    ) -> Result<Execution, SandboxError> {
        self.run_expecting(program, stdin, limits, b"").await
    }

    /// Runs the program on one input. For as long as it writes to standard output what is expected, that is not kept but
    /// counted ([`Execution::matched_bytes`]): a right answer of any size takes no memory.
    ///
    /// # Errors
    /// Faults of the engine only; whatever the program did is in the [`Execution`].
    pub async fn run_expecting(
        &mut self,
        program: &Program,
        stdin: Bytes,
        limits: &RunLimits,
        expected: &[u8],
    ) -> Result<Execution, SandboxError> {
        let language = program.language();
        let granted = language.granted(limits);
        let file = FileSpec {
            place: Place::Program,
            name: language.program_file().to_owned(),
            mode: if language.compile.is_empty() { 0o444 } else { 0o555 },
        };
        let known = self.loaded == Some(program.id());
        let order = Order {
            argv: language.run_command(limits),
            env: language.env(limits),
            files: if known { Vec::new() } else { vec![file] },
            caps: granted.caps(),
            collect: None,
        };
        let contents = if known { Vec::new() } else { vec![program.file().as_fd()] };
        let stdin = input(&stdin)?;
        let start = Start { order, limits: &granted, stdin, contents, expected, merged: false };
        let finished = self.finish(start).await?;
        let kept = self.seat.as_ref().is_some_and(|seat| seat.slot.is_some());
        self.loaded = kept.then(|| program.id());
        let evidence = Evidence {
            limits: &granted,
            stdout_overflowed: finished.stdout.overflowed,
            stderr_overflowed: finished.stderr.overflowed,
            stderr: &finished.stderr.bytes,
            out_of_memory: language.out_of_memory.as_ref(),
            image_bytes: program.image_bytes(),
        };
        let outcome = outcome::decide(&finished.report, &evidence);
        let usage = outcome::usage(&finished.report);
        let Captured { matched_bytes, bytes: stdout, .. } = finished.stdout;
        Ok(Execution { outcome, matched_bytes, stdout, stderr: finished.stderr.bytes, usage })
    }

    /// Asks a language's toolchain for its version.
    pub(crate) async fn toolchain(&mut self, language: &Language) -> Result<Toolchain, SandboxError> {
        if !std::path::Path::new(&language.toolchain).exists() {
            return Ok(Toolchain::Missing);
        }
        let limits = RunLimits::VERSION;
        let order = Order {
            argv: language.version.clone(),
            env: language.env(&limits),
            files: Vec::new(),
            caps: limits.caps(),
            collect: None,
        };
        let start = Start {
            order,
            limits: &limits,
            stdin: no_input()?,
            contents: Vec::new(),
            expected: b"",
            merged: true,
        };
        let finished = match self.finish(start).await {
            Err(fault @ SandboxError::Launch { .. }) => return Ok(Toolchain::Broken(fault.to_string())),
            finished => finished?,
        };
        let text = String::from_utf8_lossy(&finished.stdout.bytes).trim().to_owned();
        if finished.report.end == End::Exited(0) && !text.is_empty() {
            return Ok(Toolchain::Works(text));
        }
        let last: String = text.lines().last().unwrap_or("it printed nothing").chars().take(200).collect();
        Ok(Toolchain::Broken(format!("{last} ({:?})", finished.report.end)))
    }

    /// Runs one order in this workspace's slot, building the slot anew where the last one is spent. While the
    /// order is under way the slot is in this future, and dies with it.
    async fn finish(&mut self, start: Start<'_>) -> Result<Finished, SandboxError> {
        self.loaded = None;
        let seat = self.seat.as_mut().expect("the seat is there until the drop");
        let slot = match seat.slot.take() {
            Some(slot) => slot,
            None => Slot::build(&self.pool.factory, seat.index).await?,
        };
        let capture =
            |limit, expected, what| Capture::new(limit, slot.uid(), expected).map_err(prepare(what));
        let stdout = capture(start.limits.stdout_bytes, start.expected, "stdout")?;
        let (stderr, stderr_end) = capture(start.limits.stderr_bytes, b"", "stderr")?;
        let stderr = (stderr, (!start.merged).then_some(stderr_end));
        let streams = Streams { stdin: start.stdin, stdout, stderr };
        let program = start.order.argv.first().cloned().unwrap_or_default();
        let finished = slot.run(start.order, streams, &start.contents).await?;
        if !finished.report.spent {
            seat.slot = Some(slot);
        }
        if let End::NotStarted(errno) = finished.report.end {
            return Err(SandboxError::Launch { program, errno: Errno::from_raw_os_error(errno) });
        }
        Ok(finished)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.take() {
            if let Some(slot) = &seat.slot {
                slot.wipe();
            }
            self.pool.give_back(seat);
        }
    }
}

/// What a compiler's run means.
fn compiled(
    language: Arc<Language>,
    limits: &RunLimits,
    finished: Finished,
) -> Result<Compilation, SandboxError> {
    let Finished { report, stdout, file, .. } = finished;
    let evidence = Evidence {
        limits,
        stdout_overflowed: stdout.overflowed,
        stderr_overflowed: false,
        stderr: b"",
        out_of_memory: None,
        image_bytes: 0,
    };
    let sentence = match (outcome::decide(&report, &evidence), report.collected, file) {
        (Outcome::Exited { code: 0 }, Collected::Sent, Some(file)) => {
            let copy = memfd::sealed_copy("program", &mut File::from(file), MAX_PROGRAM_BYTES);
            if let Some(copy) = copy.map_err(prepare("program"))? {
                return Ok(Compilation::Ready(Program::new(language, copy)));
            }
            too_large()
        }
        (Outcome::Exited { code: 0 }, Collected::TooLarge, _)
        | (Outcome::Signaled { signal: libc::SIGXFSZ }, ..) => too_large(),
        (Outcome::Exited { code: 0 }, ..) => "The compiler left no program.".to_owned(),
        (Outcome::Exited { .. }, ..) => String::new(),
        (Outcome::Signaled { signal }, ..) => format!("The compiler was ended by signal {signal}."),
        (Outcome::TimeLimit { .. }, ..) => "The compilation took too long.".to_owned(),
        (Outcome::MemoryLimit, ..) => "The compilation took too much memory.".to_owned(),
        (Outcome::OutputLimit { .. }, ..) => "The compiler wrote too much.".to_owned(),
    };
    let mut output = stdout.bytes;
    if !sentence.is_empty() {
        if output.last().is_some_and(|byte| *byte != b'\n') {
            output.push(b'\n');
        }
        output.extend(sentence.bytes());
    }
    Ok(Compilation::Failed { output })
}

fn too_large() -> String {
    format!("The program or a file of its compilation is larger than {} MiB.", MAX_PROGRAM_BYTES / MIB)
}

/// A program's input: a file in memory that nobody can change, opened for reading only. A program that never
/// reads it, or closes it, hinders nobody.
fn input(stdin: &Bytes) -> Result<OwnedFd, SandboxError> {
    if stdin.is_empty() {
        return no_input();
    }
    let file = memfd::sealed("stdin", stdin).map_err(prepare("stdin"))?;
    memfd::reader(&file).map_err(|errno| prepare("stdin")(errno.into()))
}

fn no_input() -> Result<OwnedFd, SandboxError> {
    File::open("/dev/null").map(OwnedFd::from).map_err(prepare("stdin"))
}

fn prepare(what: &'static str) -> impl FnOnce(io::Error) -> SandboxError {
    move |source| SandboxError::Prepare { what, source }
}
