//! The init of a slot: process 1 of its namespaces, which starts programs and clears away all they leave.
//!
//! It is this same executable, run again from a sealed copy in memory with an empty environment, so that it
//! holds nothing of the judge. It builds its root, gives up the capabilities that building took, puts itself
//! under the system call filter, and then only takes orders. Programs inherit its cgroups, its namespaces and
//! its filter, so that nothing of the kind has to be made for a run.
//!
//! It ends when the judge's end of its socket closes, and the kernel then ends every process below it. In
//! doubt it says so in its report, and the judge throws the slot away.

mod collect;
mod filter;
mod ipc;
mod launch;
mod meter;
mod privileges;
mod reap;
mod root;
mod run;
mod tidy;

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::protocol::INIT_ARGUMENT;
use crate::protocol::channel::{Channel, ChannelError};
use crate::protocol::wire::{FromInit, Setup, Step, StepError, ToInit};

/// Becomes a slot's init where this process was started as one, and then never returns; otherwise returns at
/// once. Call it first in `main`, before any thread is started.
pub fn enter_if_asked() {
    if std::env::args_os().next().is_none_or(|name| name != INIT_ARGUMENT) {
        return;
    }
    std::process::exit(serve());
}

#[expect(unsafe_code, reason = "the inherited socket has no owner yet")]
fn serve() -> i32 {
    // SAFETY: descriptor 0 is the socket that the judge left there for us; nothing else has taken it.
    let channel = Channel::from_fd(unsafe { OwnedFd::from_raw_fd(0) });
    let mut runner = match receive_setup(&channel).and_then(|(setup, fds)| prepare(&setup, fds)) {
        Ok(runner) => runner,
        Err(StepError { step, errno }) => {
            let _ = channel.send(&FromInit::Failed { step, errno }, &[]);
            return 1;
        }
    };
    if channel.send(&FromInit::Ready, &[]).is_err() {
        return 1;
    }
    loop {
        match channel.recv::<ToInit>() {
            Ok((ToInit::Order(order), fds)) => {
                let Some((report, file)) = runner.run(&channel, &order, fds) else { return 0 };
                let file: Vec<BorrowedFd<'_>> = file.iter().map(AsFd::as_fd).collect();
                if channel.send(&FromInit::Report(report), &file).is_err() {
                    return 1;
                }
            }
            Ok((ToInit::Wipe, _)) => {
                if runner.wipe().is_err() {
                    return 1;
                }
            }
            // A stop that crossed with the report of the run it was meant for.
            Ok((ToInit::Stop, _)) => {}
            Err(ChannelError::Closed) => return 0,
            Ok((ToInit::Setup(_), _)) | Err(_) => return 1,
        }
    }
}

fn receive_setup(channel: &Channel) -> Result<(Setup, Vec<OwnedFd>), StepError> {
    match channel.recv::<ToInit>() {
        Ok((ToInit::Setup(setup), fds)) => Ok((setup, fds)),
        Ok(_) | Err(_) => Err(StepError { step: "receive the slot's description".to_owned(), errno: 0 }),
    }
}

fn prepare(setup: &Setup, fds: Vec<OwnedFd>) -> Result<run::Runner, StepError> {
    if !rustix::process::getpid().is_init() {
        return Err(StepError { step: "be the first process of a PID namespace".to_owned(), errno: 0 });
    }
    // The judge's own may hide the root's directories from programs.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    privileges::take_ids(setup.ids)?;
    privileges::pin(setup.core)?;
    privileges::leave_cgroup_sight()?;
    let mounts = root::build(setup)?;
    rustix::system::sethostname(b"box").step(|| "set the box's host name".to_owned())?;
    let runner = run::Runner::new(setup, mounts, fds)?;
    privileges::limit_resources()?;
    privileges::drop_capabilities(setup.cgroup.is_none())?;
    filter::install()?;
    Ok(runner)
}
