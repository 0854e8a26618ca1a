//! The init of a slot: runs inside the sandbox as process 1 of the slot's namespaces. It starts with the capabilities
//! needed to build the slot, and before the first program it drops those that it does not need to run programs.
//!
//! It is the judge's own executable, executed again from a sealed copy in memory with an empty environment, so that
//! it holds nothing of the judge. It builds its root, drops capabilities, installs the system call filter on itself,
//! and from then on only handles requests: it starts programs and cleans up after them. Programs inherit its cgroups,
//! namespaces and filter, so that a run has to create none of them.
//!
//! It exits when the judge's end of its socket closes; the kernel then kills every process below it. If it cannot
//! be certain that a slot is clean, it reports the slot as unusable, and the judge replaces the slot.

mod artefact;
mod cleanup;
mod cpu_times;
mod filter;
mod inherited;
mod ipc;
mod launch;
mod meter;
mod privileges;
mod processes;
mod reap;
mod root;
mod run;
mod run_clock;
mod session;
mod step;

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::rc::Rc;

use crate::protocol::INIT_ARGUMENT;
use crate::protocol::channel::{Channel, ChannelError};
use crate::protocol::wire::{FromInit, SlotSetup, ToInit};
use cpu_times::CpuTimesReader;
use session::Session;
use step::{StepContext, StepError};

/// Becomes a slot's init if this process was started as one, and then never returns; otherwise returns at once. Call
/// it first in `main`, before any thread is started.
pub fn enter_if_asked() {
    if std::env::args_os().next().is_none_or(|name| name != INIT_ARGUMENT) {
        return;
    }
    std::process::exit(serve());
}

#[expect(unsafe_code, reason = "the inherited socket has no owner yet")]
fn serve() -> i32 {
    // SAFETY: descriptor 0 is the socket that the judge put there for the init; nothing else owns it.
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
            Ok((ToInit::Run(request), fds)) => {
                let Some((report, artefact)) = runner.run(&channel, &request, fds) else { return 0 };
                let artefact: Vec<BorrowedFd<'_>> = artefact.iter().map(AsFd::as_fd).collect();
                if channel.send(&FromInit::Report(report), &artefact).is_err() {
                    return 1;
                }
            }
            Ok((ToInit::UnloadProgram, _)) => {
                if runner.unload_program().is_err() {
                    return 1;
                }
            }
            // It was sent before the report of its run arrived at the judge.
            Ok((ToInit::StopRun, _)) => {}
            Err(ChannelError::Closed) => return 0,
            Ok((ToInit::Setup(_), _)) | Err(_) => return 1,
        }
    }
}

fn receive_setup(channel: &Channel) -> Result<(SlotSetup, Vec<OwnedFd>), StepError> {
    match channel.recv::<ToInit>() {
        Ok((ToInit::Setup(setup), fds)) => Ok((setup, fds)),
        Ok(_) | Err(_) => Err(StepError { step: "receive the slot's description".to_owned(), errno: 0 }),
    }
}

fn prepare(setup: &SlotSetup, fds: Vec<OwnedFd>) -> Result<run::Runner, StepError> {
    if !rustix::process::getpid().is_init() {
        return Err(StepError { step: "be the first process of a PID namespace".to_owned(), errno: 0 });
    }
    rustix::process::umask(inherited::UMASK);
    if !setup.has_cpu_weight {
        privileges::lower_priority()?;
    }
    let session = Session::open(setup.has_one_session);
    privileges::set_ids(setup.id_mapping)?;
    privileges::pin_to_cpu(setup.cpu)?;
    privileges::enter_cgroup_namespace()?;
    let cpu_times = CpuTimesReader::open(setup.cpu).map(Rc::new);
    let mounts = root::build(setup)?;
    rustix::system::sethostname(b"box").step(|| "set the box's host name".to_owned())?;
    let runner = run::Runner::new(setup, mounts, cpu_times, session, fds)?;
    privileges::drop_capabilities(setup.cgroup.is_none())?;
    filter::install(setup.cgroup.is_none(), setup.has_one_session)?;
    Ok(runner)
}
