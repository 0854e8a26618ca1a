//! One slot, lent to one submission.

mod toolchain_check;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gavel_domain::{Execution, LanguageId, Outcome};
use rustix::fs::Mode;
use rustix::io::Errno;
use tokio::sync::OwnedSemaphorePermit;

use crate::host::cache;
use crate::host::capture::{Capture, Captured};
use crate::host::compiler_output::{self, Failure, INTERNAL_ERROR};
use crate::host::elf;
use crate::host::error::SandboxError;
use crate::host::memfd;
use crate::host::messages;
use crate::host::outcome::{self, Evidence};
use crate::host::pool::{Pool, SlotPermit};
use crate::host::program::{Compilation, Program};
use crate::host::slot::{FinishedRun, RunStreams, RunningSlot, Slot};
use crate::host::speedup;
use crate::host::toolchain::ServedLanguage;
use crate::language::{Language, Speedup, is_program_path};
use crate::protocol::limits::RunLimits;
use crate::protocol::wire::{
    ArtefactRequest, ArtefactStatus, FileLocation, FileSpec, KillReason, ProcessExit, RunRequest,
};

/// The largest program that a compiler may create, in bytes.
const MAX_PROGRAM_BYTES: u64 = 64 << 20;
const MIB: u64 = 1 << 20;
/// Said if the compiler succeeds and there is nothing to run.
const NO_PROGRAM: &str = "The source was compiled, but not to a program that can run. Is it a library, or is its main function missing?";
/// Said on standard error if the kernel refuses to execute the program.
const NOT_EXECUTABLE: &str = "The program cannot be started: its file is not a valid executable.";
/// A run that waits longer than this for a CPU is worth a line in the log.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// One slot, lent to one submission: compile once, run many times, each time in a clean box. Dropping the workspace
/// unloads the program and frees the slot for the next submission; dropping the future of a run stops the run.
#[derive(Debug)]
pub struct Workspace {
    pool: Arc<Pool>,
    /// `Some` until the drop.
    permit: Option<SlotPermit>,
    /// The id of the program that the slot holds.
    loaded: Option<u64>,
    /// Wakes the next waiting workspace when dropped, after the slot's permit has been released.
    _available: OwnedSemaphorePermit,
}

/// A run that is about to start.
struct PreparedRun<'a> {
    request: RunRequest,
    limits: &'a RunLimits,
    stdin: OwnedFd,
    /// The contents of [`RunRequest::files`].
    contents: Vec<BorrowedFd<'a>>,
    /// The expected standard output.
    expected: &'a [u8],
    /// Whether standard error goes to standard output.
    merge_stderr: bool,
    /// A second CPU for the run.
    spare_cpu: Option<usize>,
}

impl Workspace {
    pub(crate) fn new(pool: Arc<Pool>, permit: SlotPermit, available: OwnedSemaphorePermit) -> Self {
        Self { pool, permit: Some(permit), loaded: None, _available: available }
    }

    /// The slots of the sandbox that this one belongs to.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Compiles the source, or returns the program that was compiled from the same source before. The source of an
    /// interpreted language is stored as it is: its errors appear when it runs.
    ///
    /// # Errors
    /// Returns [`SandboxError::NotServed`] if the language is not in [`crate::Sandbox::languages`], and another
    /// [`SandboxError`] if the sandbox fails. If the source or its compiler is at fault, the result is
    /// [`Compilation::Failed`].
    pub async fn compile(
        &mut self,
        language: LanguageId,
        source: &[u8],
    ) -> Result<Compilation, SandboxError> {
        let served = self.pool.toolchains.served(language)?.clone();
        let entry = Arc::clone(&served.entry);
        if entry.compile.is_empty() {
            let source = memfd::sealed("source", source).map_err(prepare("source"))?;
            let speedup = speedup::usable(&entry).await;
            return Ok(Compilation::Ready(Program::new(entry, speedup, source)));
        }
        let key = cache::key(&entry, self.pool.toolchains.version(language), source);
        let programs = self.pool.programs.clone();
        // The future of a compilation is large.
        match programs.get(key, Box::pin(self.compile_uncached(&served, source))).await {
            Some(compiled) => compiled,
            None => self.compile_uncached(&served, source).await,
        }
    }

    async fn compile_uncached(
        &mut self,
        served: &ServedLanguage,
        source: &[u8],
    ) -> Result<Compilation, SandboxError> {
        let ServedLanguage { entry, front_end } = served;
        let front_end = front_end.as_ref().map(Program::file);
        let source = memfd::sealed("source", source).map_err(prepare("source"))?;
        self.drop_dead_slot();
        let (limits, speedup) = (entry.compile_limits(), speedup::usable(entry).await);
        let changes_messages = speedup.as_ref().is_some_and(|speedup| speedup.changes_messages);
        // The messages of the first command: the others stand for older standards of the language.
        let mut messages = None;
        for command in entry.compile_commands() {
            let faster = speedup.as_ref().map(|speedup| speedup.added_to_compile(command));
            let command = faster.as_ref().unwrap_or(command);
            let finished = self.run_compiler(entry, command, &limits, front_end, source.as_fd()).await?;
            let is_rejected = is_rejected(&finished);
            // gold writes a megabyte where the usual linker writes ten lines.
            let has_other_messages = changes_messages && finished.stdout.overflowed;
            match compiled(entry, speedup.as_ref(), &limits, finished)? {
                Compilation::Failed { output } if is_rejected => messages = messages.or(Some(output)),
                Compilation::Failed { .. } if messages.is_some() || has_other_messages => break,
                compilation => return Ok(compilation),
            }
        }
        if changes_messages {
            // Also in case that the speedup is the reason.
            let finished =
                self.run_compiler(entry, &entry.compile, &limits, front_end, source.as_fd()).await?;
            return compiled(entry, speedup.as_ref(), &limits, finished);
        }
        Ok(Compilation::Failed { output: messages.unwrap_or_default() })
    }

    async fn run_compiler(
        &mut self,
        entry: &Language,
        command: &[String],
        limits: &RunLimits,
        front_end: Option<&OwnedFd>,
        source: BorrowedFd<'_>,
    ) -> Result<FinishedRun, SandboxError> {
        let name = entry.source.clone();
        let mut files = vec![FileSpec { location: FileLocation::WorkDir, name, mode: 0o644 }];
        let mut contents = vec![source];
        if let Some(front_end) = front_end {
            let name = entry.artefact.clone();
            files.push(FileSpec { location: FileLocation::ProgramDir, name, mode: 0o555 });
            contents.push(front_end.as_fd());
        }
        let spare_cpu = if entry.compiler_has_threads { self.pool.idle_cpu() } else { None };
        self.execute_again_if_lost(|_| {
            let request = RunRequest {
                argv: command.to_vec(),
                env: entry.env(limits),
                files: files.clone(),
                limits: limits.resources(),
                artefact: Some(ArtefactRequest {
                    name: entry.artefact.clone(),
                    max_bytes: MAX_PROGRAM_BYTES,
                }),
                has_spare_cpu: false,
            };
            let (stdin, contents) = (input(b"")?, contents.clone());
            Ok(PreparedRun { request, limits, stdin, contents, expected: b"", merge_stderr: true, spare_cpu })
        })
        .await
    }

    /// Runs the program on one input, without an expected output.
    ///
    /// # Errors
    /// Returns a [`SandboxError`] if the sandbox fails. Whatever the program does is in the [`Execution`].
    pub async fn run(
        &mut self,
        program: &Program,
        stdin: Bytes,
        limits: &RunLimits,
    ) -> Result<Execution, SandboxError> {
        self.run_expecting(program, &stdin, limits, b"").await
    }

    /// Runs the program on one input. As long as its standard output matches `expected`, the bytes are counted
    /// ([`Execution::matched_bytes`]) and not kept: a correct answer of any size takes no memory.
    ///
    /// # Errors
    /// Returns a [`SandboxError`] if the sandbox fails. Whatever the program does is in the [`Execution`].
    pub async fn run_expecting(
        &mut self,
        program: &Program,
        stdin: &[u8],
        limits: &RunLimits,
        expected: &[u8],
    ) -> Result<Execution, SandboxError> {
        let language = program.language();
        let granted = language.with_runtime_overhead(limits);
        let file = FileSpec {
            location: FileLocation::ProgramDir,
            name: language.program_file().to_owned(),
            mode: if language.compile.is_empty() { 0o444 } else { 0o555 },
        };
        self.drop_dead_slot();
        let run = self.execute_again_if_lost(|loaded| {
            let is_loaded = loaded == Some(program.id());
            let request = RunRequest {
                argv: program.run_command(limits),
                env: language.env(limits),
                files: if is_loaded { Vec::new() } else { vec![file.clone()] },
                limits: granted.resources(),
                artefact: None,
                has_spare_cpu: false,
            };
            let contents = if is_loaded { Vec::new() } else { vec![program.file().as_fd()] };
            let (limits, stdin) = (&granted, input(stdin)?);
            Ok(PreparedRun {
                request,
                limits,
                stdin,
                contents,
                expected,
                merge_stderr: false,
                spare_cpu: None,
            })
        });
        let finished = run.await?;
        let is_slot_kept = self.permit.as_ref().is_some_and(|permit| permit.slot.is_some());
        // The kernel may refuse so low a limit before the program was copied.
        let is_loaded = is_slot_kept && finished.report.exit != ProcessExit::MemoryLimitTooLow;
        self.loaded = is_loaded.then(|| program.id());
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
        let Captured { mut matched_bytes, bytes: mut stdout, .. } = finished.stdout;
        if language.drop_byte_order_marks {
            matched_bytes = messages::drop_byte_order_marks(&expected[..matched_bytes], &mut stdout);
        }
        let stderr = match finished.report.exit {
            ProcessExit::NotExecuted(_) => NOT_EXECUTABLE.into(),
            _ => messages::without_program_dir(finished.stderr.bytes),
        };
        Ok(Execution { outcome, matched_bytes, stdout, stderr, usage })
    }

    /// Drops the slot if its init has exited meanwhile, so that the next run builds it again and loads its program.
    fn drop_dead_slot(&mut self) {
        let permit = self.permit.as_mut().expect("the permit is there until the drop");
        if permit.slot.take_if(|slot| !slot.is_alive()).is_some() {
            tracing::warn!(
                slot = permit.slot_index,
                "the init of a sandbox slot has exited; the slot is built again"
            );
            self.loaded = None;
        }
    }

    /// Does [`Self::execute`], and again in a new slot if the init exits. The cause may be a program at its memory limit, on
    /// a judge that cannot protect the init, without `CAP_SYS_RESOURCE`: between the end of the program and the release of
    /// its memory, the kernel looks for another process to kill, and there is only the init. `prepare` is called with the id
    /// of the program that the slot holds.
    async fn execute_again_if_lost<'a>(
        &mut self,
        prepare: impl Fn(Option<u64>) -> Result<PreparedRun<'a>, SandboxError>,
    ) -> Result<FinishedRun, SandboxError> {
        match self.execute(prepare(self.loaded)?).await {
            Err(SandboxError::Lost(reason)) => {
                tracing::warn!(reason, "the init of a sandbox slot exited during a run, which is repeated");
                self.execute(prepare(None)?).await
            }
            finished => finished,
        }
    }

    /// Sends one request to this workspace's slot and waits for the end of the run. Builds the slot again if the last
    /// one is unusable. Dropping this future stops the run, and the next one waits until nothing is left of it.
    async fn execute(&mut self, prepared: PreparedRun<'_>) -> Result<FinishedRun, SandboxError> {
        self.loaded = None;
        let permit = self.permit.as_mut().expect("the permit is there until the drop");
        if let Some(slot) = &mut permit.slot
            && !slot.is_usable().await
        {
            permit.slot = None;
        }
        let slot = match permit.slot.take() {
            Some(slot) => slot,
            None => Slot::build(&self.pool.builder, permit.slot_index).await?,
        };
        let capture = |limit, mode, expected, what| {
            Capture::new(limit, slot.uid(), mode, expected).map_err(prepare(what))
        };
        let both = Mode::RUSR | Mode::WUSR;
        // A source that includes `/dev/stdout` would let its compiler wait for its own output until the time limit.
        let stdout_mode = if prepared.merge_stderr { Mode::WUSR } else { both };
        let stdout = capture(prepared.limits.stdout_bytes, stdout_mode, prepared.expected, "stdout")?;
        let (stderr, stderr_end) = capture(prepared.limits.stderr_bytes, both, b"", "stderr")?;
        let stderr = (stderr, (!prepared.merge_stderr).then_some(stderr_end));
        let streams = RunStreams { stdin: prepared.stdin, stdout, stderr };
        let program = prepared.request.argv.first().cloned().unwrap_or_default();
        let running = RunningSlot::new(slot, &mut permit.slot);
        let (slot, finished) =
            running.run(prepared.request, streams, &prepared.contents, prepared.spare_cpu).await;
        let finished = finished?;
        match finished.report.exit {
            ProcessExit::NotExecuted(_) if is_program_path(&program) => {}
            // Whatever is wrong, a new slot may not have it.
            ProcessExit::NotStarted(errno) | ProcessExit::NotExecuted(errno) => {
                return Err(SandboxError::Launch { program, errno: Errno::from_raw_os_error(errno) });
            }
            _ => {}
        }
        if !finished.report.unusable {
            permit.slot = Some(slot);
        }
        let waited = Duration::from_nanos(finished.report.waiting_ns);
        if finished.report.kill_reason == Some(KillReason::Starved) {
            return Err(SandboxError::Starved { program, waited });
        }
        if waited > LONG_WAIT {
            tracing::debug!(?waited, "a run waited for a CPU");
        }
        Ok(finished)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            if let Some(slot) = &permit.slot {
                slot.unload_program();
            }
            self.pool.release(permit);
        }
    }
}

/// Whether the compiler ended by itself and rejected the source, so that another command may accept it.
fn is_rejected(FinishedRun { report, stdout, .. }: &FinishedRun) -> bool {
    let is_failure = matches!(report.exit, ProcessExit::Exited(code) if code != 0);
    is_failure && report.kill_reason.is_none() && !report.out_of_memory && !stdout.overflowed
}

/// The result of a compilation, from the run of the compiler. `speedup` is for the program.
fn compiled(
    language: &Arc<Language>,
    speedup: Option<&Speedup>,
    limits: &RunLimits,
    finished: FinishedRun,
) -> Result<Compilation, SandboxError> {
    let FinishedRun { report, mut stdout, artefact, .. } = finished;
    let evidence = Evidence {
        limits,
        stdout_overflowed: stdout.overflowed,
        stderr_overflowed: false,
        stderr: b"",
        out_of_memory: None,
        image_bytes: 0,
    };
    let outcome = outcome::decide(&report, &evidence);
    let failure =
        if outcome.is_success() { Failure::Source } else { compiler_output::clean(&mut stdout.bytes) };
    let note = match (outcome, report.artefact, artefact) {
        (Outcome::Exited { code: 0 }, ArtefactStatus::Sent, Some(file)) => {
            let mut file = File::from(file);
            if language.is_native() && !elf::is_executable(&file) {
                NO_PROGRAM.to_owned()
            } else if let Some(copy) =
                memfd::sealed_copy("program", &mut file, MAX_PROGRAM_BYTES).map_err(prepare("program"))?
            {
                return Ok(Compilation::Ready(Program::new(Arc::clone(language), speedup.cloned(), copy)));
            } else {
                too_large()
            }
        }
        (Outcome::Exited { code: 0 }, ArtefactStatus::TooLarge, _)
        | (Outcome::Signaled { signal: libc::SIGXFSZ }, ..) => too_large(),
        (Outcome::Exited { code: 0 }, ..) => NO_PROGRAM.to_owned(),
        (Outcome::OutputLimit { .. }, ..) if failure == Failure::Source => {
            "The compiler wrote too much.".to_owned()
        }
        (Outcome::Exited { .. } | Outcome::OutputLimit { .. }, ..) => match failure {
            Failure::Source => String::new(),
            Failure::FileTooLarge => too_large(),
            Failure::Other(sentence) => sentence.to_owned(),
        },
        (Outcome::Signaled { .. }, ..) => INTERNAL_ERROR.to_owned(),
        (Outcome::TimeLimit { .. }, ..) => "The compilation took too long.".to_owned(),
        (Outcome::MemoryLimit, ..) => "The compilation used too much memory.".to_owned(),
    };
    let mut output = stdout.bytes;
    if !note.is_empty() {
        if output.last().is_some_and(|byte| *byte != b'\n') {
            output.push(b'\n');
        }
        output.extend(note.bytes());
    }
    Ok(Compilation::Failed { output })
}

fn too_large() -> String {
    format!("The program or a file of its compilation is larger than {} MiB.", MAX_PROGRAM_BYTES / MIB)
}

/// A program's input: a sealed file in memory that no other run sees, opened read-only. Nothing blocks if the program
/// never reads or closes it. Without input it is empty: the inode of `/dev/null` belongs to the host.
fn input(stdin: &[u8]) -> Result<OwnedFd, SandboxError> {
    let file = memfd::sealed("stdin", stdin).map_err(prepare("stdin"))?;
    memfd::reader(&file).map_err(|errno| prepare("stdin")(errno.into()))
}

fn prepare(what: &'static str) -> impl FnOnce(io::Error) -> SandboxError {
    move |source| SandboxError::Prepare { what, source }
}
