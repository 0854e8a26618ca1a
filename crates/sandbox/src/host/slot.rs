//! A slot as the judge sees it: the process of its init and the socket to it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::host::async_fd;
use crate::host::capture::{Capture, Captured};
use crate::host::error::{SandboxError, SlotError};
use crate::host::init_process::{self, InitProcess};
use crate::host::slot_builder::SlotBuilder;
use crate::host::slot_ids::SlotIds;
use crate::protocol::channel::{Channel, ChannelError};
use crate::protocol::wire::{FromInit, ProcessExit, RunReport, RunRequest, ToInit};

/// How long an init may take to answer after a run's last limit on time, and to start: cleaning up after a run with
/// thousands of processes and files takes a while.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an init may take to report a run that was stopped. After that the slot is built again.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// Runs shorter than this are not read while they write: until then their output waits in the pipe.
const SHORT_RUN: Duration = Duration::from_millis(4);

/// A slot that is ready for requests. Dropping it kills everything in it.
#[derive(Debug)]
pub(crate) struct Slot {
    channel: AsyncFd<Channel>,
    ids: SlotIds,
    init: InitProcess,
    /// Whether the init has a run that it has not reported.
    is_running: bool,
}

/// The slot of a run in progress. If the run is dropped, it is stopped, and the slot returns to its place.
pub(crate) struct RunningSlot<'a> {
    slot: Option<Slot>,
    place: &'a mut Option<Slot>,
}

/// A run that has ended.
pub(crate) struct FinishedRun {
    pub(crate) report: RunReport,
    pub(crate) stdout: Captured,
    pub(crate) stderr: Captured,
    /// The file that [`RunRequest::artefact`] asked for.
    pub(crate) artefact: Option<OwnedFd>,
}

/// The streams of a run that is about to start.
pub(crate) struct RunStreams<'a> {
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: (Capture<'a>, OwnedFd),
    /// Without an end to write to, standard error goes to standard output.
    pub(crate) stderr: (Capture<'a>, Option<OwnedFd>),
}

impl Slot {
    /// Builds the slot with this index.
    pub(crate) async fn build(builder: &Arc<SlotBuilder>, slot_index: usize) -> Result<Self, SlotError> {
        let shared = Arc::clone(builder);
        let started = tokio::task::spawn_blocking(move || init_process::start(&shared, slot_index)).await;
        let (channel, init) = started.map_err(|error| SlotError::NoAnswer(error.to_string()))??;
        let interest = Interest::READABLE | Interest::WRITABLE;
        let channel = async_fd::register(channel, interest).map_err(SlotError::Spawn)?;
        let pidfd = init.pidfd().and_then(|pidfd| async_fd::register(pidfd, Interest::READABLE));
        tokio::spawn(init_process::reap_on_exit(Arc::downgrade(builder), pidfd.map_err(SlotError::Spawn)?));
        let slot = Self { channel, ids: builder.slot_ids(slot_index), init, is_running: false };
        match tokio::time::timeout(RESPONSE_TIMEOUT, slot.receive()).await {
            Ok(Ok((FromInit::Ready, _))) => Ok(slot),
            Ok(Ok((FromInit::Failed { step, errno }, _))) => Err(SlotError::Step { step, errno }),
            Ok(Ok((FromInit::Report(_), _))) => Err(SlotError::NoAnswer("unexpected message".to_owned())),
            Ok(Err(error)) => Err(SlotError::NoAnswer(error.to_string())),
            Err(_) => Err(SlotError::NoAnswer(format!("no message within {} s", RESPONSE_TIMEOUT.as_secs()))),
        }
    }

    /// Sends one request and captures the streams until the report.
    async fn run(
        &mut self,
        request: RunRequest,
        streams: RunStreams<'_>,
        files: &[BorrowedFd<'_>],
    ) -> Result<FinishedRun, SandboxError> {
        let RunStreams { stdin, stdout: (stdout, stdout_end), stderr: (stderr, stderr_end) } = streams;
        let error_fd = stderr_end.as_ref().map_or(stdout_end.as_fd(), AsFd::as_fd);
        let ends = [stdin.as_fd(), stdout_end.as_fd(), error_fd];
        let fds: Vec<_> = ends.into_iter().chain(files.iter().copied()).collect();
        let limits = &request.limits;
        let longest = Duration::from_nanos(limits.wall_ns.saturating_add(limits.waiting_ns));
        self.send(&ToInit::Run(request), &fds).await?;
        self.is_running = true;
        drop((stdin, stdout_end, stderr_end));
        let timeout = longest.saturating_add(RESPONSE_TIMEOUT);
        match tokio::time::timeout(timeout, self.capture(stdout, stderr)).await {
            Ok(ended) => {
                self.is_running = false;
                ended
            }
            Err(_) => Err(SandboxError::Stuck { grace_seconds: RESPONSE_TIMEOUT.as_secs() }),
        }
    }

    /// Waits for the report of a run that was stopped, if there is one. Returns whether the slot is clean and starts
    /// programs.
    pub(crate) async fn is_usable(&mut self) -> bool {
        if !self.is_running {
            return true;
        }
        let reported = tokio::time::timeout(STOP_TIMEOUT, self.report()).await;
        self.is_running = false;
        let Ok(Ok((report, _))) = reported else { return false };
        !report.unusable && !matches!(report.exit, ProcessExit::NotStarted(_))
    }

    /// Tells the init to end its run, if there is one. Does not wait for it. Returns whether the message was sent.
    fn stop_run(&self) -> bool {
        !self.is_running || self.channel.get_ref().send(&ToInit::StopRun, &[]).is_ok()
    }

    /// Whether its init is running.
    pub(crate) fn is_alive(&self) -> bool {
        self.init.is_alive()
    }

    /// The host's id of the slot's programs, or `None` if it is the judge's own.
    pub(crate) fn uid(&self) -> Option<u32> {
        self.ids.programs_outside()
    }

    /// Tells the init to remove the loaded program. Does not wait for it.
    pub(crate) fn unload_program(&self) {
        // If this message cannot be sent, the next request fails.
        let _ = self.channel.get_ref().send(&ToInit::UnloadProgram, &[]);
    }

    async fn capture(
        &self,
        mut stdout: Capture<'_>,
        mut stderr: Capture<'_>,
    ) -> Result<FinishedRun, SandboxError> {
        let (report, artefact) = if let Ok(reported) = tokio::time::timeout(SHORT_RUN, self.report()).await {
            reported?
        } else {
            stdout = stdout.register().map_err(SandboxError::Capture)?;
            stderr = stderr.register().map_err(SandboxError::Capture)?;
            self.capture_until_report(&mut stdout, &mut stderr).await?
        };
        let stdout = stdout.finish().map_err(SandboxError::Capture)?;
        let stderr = stderr.finish().map_err(SandboxError::Capture)?;
        Ok(FinishedRun { report, stdout, stderr, artefact })
    }

    async fn capture_until_report(
        &self,
        stdout: &mut Capture<'_>,
        stderr: &mut Capture<'_>,
    ) -> Result<(RunReport, Option<OwnedFd>), SandboxError> {
        let mut stopped = false;
        loop {
            let filled = tokio::select! {
                biased;
                reported = self.report() => return reported,
                filled = stdout.fill(), if stdout.is_open() => filled,
                filled = stderr.fill(), if stderr.is_open() => filled,
            };
            filled.map_err(SandboxError::Capture)?;
            if !stopped && (stdout.has_overflowed() || stderr.has_overflowed()) {
                self.send(&ToInit::StopRun, &[]).await?;
                stopped = true;
            }
        }
    }

    async fn report(&self) -> Result<(RunReport, Option<OwnedFd>), SandboxError> {
        match self.receive().await {
            Ok((FromInit::Report(report), fds)) => Ok((report, fds.into_iter().next())),
            Ok(_) => Err(SandboxError::Lost("unexpected message".to_owned())),
            Err(error) => Err(SandboxError::Lost(error.to_string())),
        }
    }

    async fn send(&self, message: &ToInit, fds: &[BorrowedFd<'_>]) -> Result<(), SandboxError> {
        loop {
            match self.channel.get_ref().send(message, fds) {
                Ok(()) => return Ok(()),
                Err(error) if error.would_block() => {
                    let ready = self.channel.writable().await;
                    ready.map_err(|error| SandboxError::Lost(error.to_string()))?.clear_ready();
                }
                Err(error) => return Err(SandboxError::Lost(error.to_string())),
            }
        }
    }

    async fn receive(&self) -> Result<(FromInit, Vec<OwnedFd>), ChannelError> {
        loop {
            let ready = self.channel.readable().await;
            let mut ready = ready.map_err(|_| ChannelError::Closed)?;
            match self.channel.get_ref().recv() {
                Err(error) if error.would_block() => ready.clear_ready(),
                other => return other,
            }
        }
    }
}

impl<'a> RunningSlot<'a> {
    /// `place` is where the slot returns to if the run is dropped.
    pub(crate) fn new(slot: Slot, place: &'a mut Option<Slot>) -> Self {
        Self { slot: Some(slot), place }
    }

    /// Runs one request, and returns the slot with the result. `spare_cpu` is a second CPU for it.
    pub(crate) async fn run(
        mut self,
        mut request: RunRequest,
        streams: RunStreams<'_>,
        files: &[BorrowedFd<'_>],
        spare_cpu: Option<usize>,
    ) -> (Slot, Result<FinishedRun, SandboxError>) {
        let slot = self.slot.as_mut().expect("the slot is there until the end of the run");
        let spare_cpu = spare_cpu.and_then(|cpu| slot.init.add_cpu(cpu));
        request.has_spare_cpu = spare_cpu.is_some();
        let finished = slot.run(request, streams, files).await;
        let slot = self.slot.take().expect("the slot is there until the end of the run");
        (slot, finished)
    }
}

impl Drop for RunningSlot<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take()
            && slot.stop_run()
        {
            *self.place = Some(slot);
        }
    }
}
