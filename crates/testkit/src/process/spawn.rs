//! Starting a process that dies with this one, even if this one is killed.
//!
//! Linux sends the parent-death signal when the *thread* that started the child ends. So all children are
//! started by one thread that lives as long as the process.

use std::{
    io,
    process::{Child, Command},
    sync::{LazyLock, mpsc},
};

type Job = (Command, mpsc::Sender<io::Result<Child>>);

static STARTER: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
    let (jobs, queue) = mpsc::channel::<Job>();
    let run = move || {
        for (mut command, reply) in queue {
            // Nobody waits for the answer only where the asking thread was ended by a panic.
            let _ = reply.send(command.spawn());
        }
    };
    std::thread::Builder::new().name("testkit-starter".into()).spawn(run).expect("a thread can be started");
    jobs
});

/// Starts a command, to be killed when this process ends.
pub(super) fn spawn(mut command: Command) -> io::Result<Child> {
    dies_with_us(&mut command);
    let (reply, answer) = mpsc::channel();
    STARTER.send((command, reply)).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the parent-death signal can only be asked for between fork and exec")]
fn dies_with_us(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

    let us = getpid();
    let ask = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // Killed before the signal was asked for: then nobody would send it.
        if getppid() == Some(us) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    };
    // SAFETY: between fork and exec only async-signal-safe work is allowed; `ask` makes two system calls and
    // neither allocates nor locks.
    unsafe { command.pre_exec(ask) };
}

/// Elsewhere a killed test leaves its processes behind; there is no such signal.
#[cfg(not(target_os = "linux"))]
fn dies_with_us(_: &mut Command) {}
