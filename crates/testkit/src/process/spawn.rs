//! Starts processes that are killed when this process ends, even if it is killed itself.
//!
//! Linux sends the parent-death signal when the *thread* that started the child ends. So one thread, which lives as
//! long as this process, starts all children.

use std::{
    io,
    process::{Child, Command},
    sync::{LazyLock, mpsc},
};

type SpawnRequest = (Command, mpsc::Sender<io::Result<Child>>);

static STARTER: LazyLock<mpsc::Sender<SpawnRequest>> = LazyLock::new(|| {
    let (requests, queue) = mpsc::channel::<SpawnRequest>();
    let run = move || {
        for (mut command, reply) in queue {
            // The receiver is gone only if the requesting thread has panicked.
            let _ = reply.send(command.spawn());
        }
    };
    std::thread::Builder::new().name("testkit-starter".into()).spawn(run).expect("a thread can be started");
    requests
});

/// Starts a command, to be killed when this process ends.
pub(super) fn spawn(mut command: Command) -> io::Result<Child> {
    kill_with_parent(&mut command);
    let (reply, answer) = mpsc::channel();
    STARTER.send((command, reply)).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the parent-death signal can only be set between fork and exec")]
fn kill_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

    let parent = getpid();
    let set_signal = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // If the parent died before this call, the signal is never sent.
        if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    };
    // SAFETY: between fork and exec only async-signal-safe work is allowed; `set_signal` makes two system calls
    // and neither allocates nor locks.
    unsafe { command.pre_exec(set_signal) };
}

/// Other systems have no such signal: there, a killed test leaves its processes behind.
#[cfg(not(target_os = "linux"))]
fn kill_with_parent(_: &mut Command) {}
