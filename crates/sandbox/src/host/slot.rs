//! A slot from the judge's side: its init's process, its socket, its cgroup.

mod start;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::host::capture::{Capture, Captured};
use crate::host::cgroup::{Cgroups, SlotGroup};
use crate::host::config::SandboxConfig;
use crate::host::cores::Cores;
use crate::host::error::{SandboxError, SlotError};
use crate::host::slot_ids::SlotIds;
use crate::protocol::channel::{Channel, ChannelError};
use crate::protocol::ids::Ids;
use crate::protocol::wire::{FromInit, Order, Report, ToInit};

/// How long a slot may take to answer beyond a run's wall time, and to come up: a run of thousands of
/// processes and files takes a while to clear away.
const GRACE: Duration = Duration::from_secs(10);
/// How long to wait for the kernel to end what is left, which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Runs shorter than this are not watched while they write: what they write by then waits in the pipe.
const QUICK: Duration = Duration::from_millis(4);

/// Makes slots, and buries them.
#[derive(Debug)]
pub(crate) struct Factory {
    /// Without any, the inits sample what their programs use.
    cgroups: Option<Cgroups>,
    ids: Ids,
    /// The processors that slots are pinned to.
    cores: Cores,
    pub(crate) config: SandboxConfig,
    /// The init's executable, sealed.
    program: OwnedFd,
    /// Files and directories outside `/usr` that toolchains need.
    mounts: Vec<String>,
    /// Inits that were told to end, with their groups.
    graves: Mutex<Vec<Grave>>,
    generation: std::sync::atomic::AtomicU64,
}

#[derive(Debug)]
struct Grave {
    pidfd: OwnedFd,
    group: Option<SlotGroup>,
}

/// A slot that is ready for orders. Dropping it ends everything in it.
#[derive(Debug)]
pub(crate) struct Slot {
    channel: AsyncFd<Channel>,
    ids: SlotIds,
    _init: Init,
}

/// The init's process. Dropping it kills it, and the kernel all that is below it.
#[derive(Debug)]
struct Init {
    factory: Arc<Factory>,
    buried: Option<Grave>,
}

/// A run that is over.
pub(crate) struct Finished {
    pub(crate) report: Report,
    pub(crate) stdout: Captured,
    pub(crate) stderr: Captured,
    /// What the order wanted collected.
    pub(crate) file: Option<OwnedFd>,
}

/// The streams of a run that is to start.
pub(crate) struct Streams<'a> {
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: (Capture<'a>, OwnedFd),
    /// Without an end to write to, standard error goes where standard output goes.
    pub(crate) stderr: (Capture<'a>, Option<OwnedFd>),
}

impl Slot {
    /// Builds the slot of this seat.
    pub(crate) async fn build(factory: &Arc<Factory>, seat: usize) -> Result<Self, SlotError> {
        let starting = Arc::clone(factory);
        let started = tokio::task::spawn_blocking(move || start::start(&starting, seat)).await;
        let (channel, init) = started.map_err(|error| SlotError::NoAnswer(error.to_string()))??;
        let channel = watch(channel, Interest::READABLE | Interest::WRITABLE).map_err(SlotError::Spawn)?;
        let slot = Self { channel, ids: factory.ids(seat), _init: init };
        match tokio::time::timeout(GRACE, slot.receive()).await {
            Ok(Ok((FromInit::Ready, _))) => Ok(slot),
            Ok(Ok((FromInit::Failed { step, errno }, _))) => Err(SlotError::Step { step, errno }),
            Ok(Ok((FromInit::Report(_), _))) => Err(SlotError::NoAnswer("out of turn".to_owned())),
            Ok(Err(error)) => Err(SlotError::NoAnswer(error.to_string())),
            Err(_) => Err(SlotError::NoAnswer(format!("nothing within {} s", GRACE.as_secs()))),
        }
    }

    /// Gives one order and captures the streams until the report.
    pub(crate) async fn run(
        &self,
        order: Order,
        streams: Streams<'_>,
        files: &[BorrowedFd<'_>],
    ) -> Result<Finished, SandboxError> {
        let Streams { stdin, stdout: (stdout, stdout_end), stderr: (stderr, stderr_end) } = streams;
        let error_fd = stderr_end.as_ref().map_or(stdout_end.as_fd(), AsFd::as_fd);
        let ends = [stdin.as_fd(), stdout_end.as_fd(), error_fd];
        let fds: Vec<_> = ends.into_iter().chain(files.iter().copied()).collect();
        let wall = Duration::from_nanos(order.caps.wall_ns);
        self.send(&ToInit::Order(order), &fds).await?;
        drop((stdin, stdout_end, stderr_end));
        match tokio::time::timeout(wall.saturating_add(GRACE), self.capture(stdout, stderr)).await {
            Ok(ended) => ended,
            Err(_) => Err(SandboxError::Stuck { grace_seconds: GRACE.as_secs() }),
        }
    }

    /// The host's id of the slot's programs, where it is not the judge's own.
    pub(crate) fn uid(&self) -> Option<u32> {
        self.ids.programs_outside()
    }

    /// Forgets the loaded program, some time soon.
    pub(crate) fn wipe(&self) {
        // A slot that cannot take even this fails at its next order.
        let _ = self.channel.get_ref().send(&ToInit::Wipe, &[]);
    }

    async fn capture(
        &self,
        mut stdout: Capture<'_>,
        mut stderr: Capture<'_>,
    ) -> Result<Finished, SandboxError> {
        let (report, file) = if let Ok(reported) = tokio::time::timeout(QUICK, self.report()).await {
            reported?
        } else {
            stdout = stdout.watch().map_err(SandboxError::Capture)?;
            stderr = stderr.watch().map_err(SandboxError::Capture)?;
            self.capture_until_report(&mut stdout, &mut stderr).await?
        };
        let stdout = stdout.finish().map_err(SandboxError::Capture)?;
        let stderr = stderr.finish().map_err(SandboxError::Capture)?;
        Ok(Finished { report, stdout, stderr, file })
    }

    async fn capture_until_report(
        &self,
        stdout: &mut Capture<'_>,
        stderr: &mut Capture<'_>,
    ) -> Result<(Report, Option<OwnedFd>), SandboxError> {
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
                self.send(&ToInit::Stop, &[]).await?;
                stopped = true;
            }
        }
    }

    async fn report(&self) -> Result<(Report, Option<OwnedFd>), SandboxError> {
        match self.receive().await {
            Ok((FromInit::Report(report), fds)) => Ok((report, fds.into_iter().next())),
            Ok(_) => Err(SandboxError::Lost("out of turn".to_owned())),
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

/// Puts a descriptor under the runtime's watch.
#[expect(unsafe_code, reason = "the runtime relies on the descriptor staying what it is")]
pub(crate) fn watch<T: AsRawFd>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: both types that this crate watches, `Channel` and `OwnedFd`, own one open descriptor, always name
    // the same, and neither close nor replace it while they live.
    Ok(unsafe { AsyncFd::register_with_interest(owner, interest) }?)
}

impl Drop for Init {
    fn drop(&mut self) {
        if let Some(grave) = self.buried.take() {
            // It may have ended by itself.
            let _ = pidfd_send_signal(&grave.pidfd, Signal::KILL);
            self.factory.lock_graves().push(grave);
        }
    }
}

impl Factory {
    /// Reaps what has ended and removes its groups. Whether nothing is left to reap.
    pub(crate) fn sweep(&self) -> bool {
        let mut graves = self.lock_graves();
        graves.retain(|grave| !grave.is_empty());
        graves.is_empty()
    }

    /// Sweeps until nothing is left, but not for ever. Blocks.
    pub(crate) fn sweep_all(&self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while !self.sweep() {
            if Instant::now() >= deadline {
                return false;
            }
            self.wait_for_one(Duration::from_millis(5));
        }
        true
    }

    /// Waits until an init has ended; a group that is still busy has no such signal.
    fn wait_for_one(&self, at_most: Duration) {
        let pidfd = self.lock_graves().first().and_then(|grave| grave.pidfd.try_clone().ok());
        let timeout = Timespec::try_from(at_most).ok();
        let mut polled: Vec<_> = pidfd.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        if poll(&mut polled, timeout.as_ref()).is_ok_and(|ready| ready > 0) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn lock_graves(&self) -> std::sync::MutexGuard<'_, Vec<Grave>> {
        self.graves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every slot refers to its factory, so that none is left to be made or ended here.
impl Drop for Factory {
    fn drop(&mut self) {
        self.sweep_all();
    }
}

impl Grave {
    fn is_empty(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        // Nothing to wait for is as good: somebody else has reaped it.
        let reaped = !matches!(waitid(WaitId::PidFd(self.pidfd.as_fd()), options), Ok(None));
        reaped && self.group.as_ref().is_none_or(SlotGroup::remove)
    }
}
