//! One run of a process: its signals and its exit.
//!
//! A thread waits for the exit without reaping, then reaps while it holds the lock that guards signals. So a signal
//! never reaches another process that was given the same id.

use std::{
    io,
    process::{Command, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::sync::watch;

use super::{logs::Logs, spawn};

#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    /// Locked while a signal is sent and while the process is reaped; true from then on.
    reaped: Arc<Mutex<bool>>,
    status: watch::Receiver<Option<ExitStatus>>,
    /// Pipes of its output that are still open.
    pipes: watch::Receiver<u8>,
    waiter: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Child {
    /// Starts a command whose output is piped, and copies that into the log.
    pub(super) fn start(command: Command, logs: &Arc<Logs>) -> io::Result<Self> {
        let mut child = spawn::spawn(command)?;
        let pid = Pid::from_child(&child);
        let pipes = watch::Sender::new(2);
        let open = pipes.subscribe();
        if let Some(stdout) = child.stdout.take() {
            logs.follow(stdout, pipes.clone())?;
        }
        if let Some(stderr) = child.stderr.take() {
            logs.follow(stderr, pipes)?;
        }
        let reaped = Arc::new(Mutex::new(false));
        let (tell, status) = watch::channel(None);
        let lock = Arc::clone(&reaped);
        let reap = move || {
            // Any error except an interruption means that it is not a child of this process any more.
            while waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
                .is_err_and(interrupted)
            {}
            let mut reaped = lock.lock().unwrap_or_else(PoisonError::into_inner);
            let status = child.wait().expect("this thread alone reaps it");
            *reaped = true;
            tell.send_replace(Some(status));
        };
        let waiter = thread::Builder::new().name("testkit-reaper".into()).spawn(reap)?;
        Ok(Self { pid, reaped, status, pipes: open, waiter: Mutex::new(Some(waiter)) })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub(super) fn exit_status(&self) -> Option<ExitStatus> {
        *self.status.borrow()
    }

    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if *reaped {
            return Ok(());
        }
        kill_process(self.pid, signal)?;
        if signal == Signal::STOP {
            // The signal is delivered asynchronously, but the caller relies on the process being stopped.
            let stopped = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while waitid(WaitId::Pid(self.pid), stopped).is_err_and(interrupted) {}
        }
        Ok(())
    }

    /// Waits until the process has exited and is reaped.
    pub(super) async fn exited(&self) -> ExitStatus {
        let mut status = self.status.clone();
        let ended =
            status.wait_for(Option::is_some).await.expect("the reaper reports the exit before it ends");
        ended.expect("it was waited for")
    }

    /// Waits until the process has exited and all its output is in the log.
    pub(super) async fn drained(&self) -> ExitStatus {
        let status = self.exited().await;
        let mut pipes = self.pipes.clone();
        // A process that it left behind may hold the pipes open; its output does not count.
        let closed = pipes.wait_for(|open| *open == 0);
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), closed).await;
        status
    }

    /// Kills and reaps the process, without waiting for anything else.
    pub(super) fn end(&self) {
        // It fails only if the process has exited already.
        let _ = self.signal(Signal::KILL);
        let waiter = self.waiter.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waiter) = waiter {
            // A panic there is reported by its own thread.
            let _ = waiter.join();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}

fn interrupted(error: rustix::io::Errno) -> bool {
    error == rustix::io::Errno::INTR
}
