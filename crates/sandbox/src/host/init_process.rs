//! The process of a slot's init: started from the judge's own executable, with nothing of the judge's memory.
#![expect(unsafe_code, reason = "the child between clone and exec makes raw system calls")]

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, Weak};
use std::{io, mem, ptr};

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::io::unix::AsyncFd;

use crate::host::error::SlotError;
use crate::host::inits::Init;
use crate::host::slot_builder::SlotBuilder;
use crate::host::slot_ids::SlotIds;
use crate::protocol::INIT_ARGUMENT;
use crate::protocol::channel::Channel;
use crate::protocol::wire::ToInit;
use crate::spawn::{self, ChildStack};

/// One more than the highest signal number.
const SIGNALS_END: i32 = 65;

/// The init of a slot. Dropping it kills it, and the kernel then kills every process below it.
#[derive(Debug)]
pub(super) struct InitProcess {
    /// Its slot's ids and the judge's cgroup are in use.
    _builder: Arc<SlotBuilder>,
    init: Arc<Init>,
    pid: i32,
}

/// Lets the processes that an init starts use a second CPU. Dropping it ends that for those that the init starts later.
#[derive(Debug)]
pub(super) struct SpareCpu {
    pid: Pid,
    own: CpuSet,
}

/// Starts the init of a slot inside the slot's cgroup and sends it the slot's setup. Blocks for some milliseconds.
pub(super) fn start(
    builder: &Arc<SlotBuilder>,
    slot_index: usize,
) -> Result<(Channel, InitProcess), SlotError> {
    builder.inits.reap();
    let name = builder.next_group_name(slot_index);
    let group = builder.cgroups.as_ref().map(|cgroups| cgroups.slot(&name)).transpose()?;
    let ids = builder.slot_ids(slot_index);
    let (judge_end, init_end) = Channel::pair().map_err(|errno| SlotError::Spawn(errno.into()))?;
    let (pid, pidfd) = match spawn_init(builder, &init_end, ids) {
        Ok(started) => started,
        Err(error) => {
            if let Some(group) = group {
                group.remove();
            }
            return Err(SlotError::Spawn(error));
        }
    };
    let entered = group.as_ref().map(|group| group.enter(pid).and_then(|()| group.open_files())).transpose();
    let init = builder.inits.add(pidfd, group);
    let init = InitProcess { init, _builder: Arc::clone(builder), pid };
    let (cgroup_files, fds) = entered?.unwrap_or_default();
    ids.map(pid).map_err(SlotError::Ids)?;
    // The kernel then kills the init last when memory runs out. If the judge lacks the privilege for this, the init
    // is still the last of its cgroup, since all programs have the highest score.
    let _ = std::fs::write(format!("/proc/{pid}/oom_score_adj"), "-1000");
    let setup = builder.setup(slot_index, cgroup_files);
    let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    let sent = judge_end.send(&ToInit::Setup(setup), &fds);
    sent.map_err(|error| SlotError::NoAnswer(error.to_string()))?;
    rustix::io::ioctl_fionbio(&judge_end, true).map_err(|errno| SlotError::Spawn(errno.into()))?;
    Ok((judge_end, init))
}

impl InitProcess {
    /// Whether it is running.
    pub(super) fn is_alive(&self) -> bool {
        self.init.is_alive()
    }

    /// Adds this CPU to that of the slot. Returns `None` if the kernel refuses, for example because the judge may not use
    /// the CPU any more.
    pub(super) fn add_cpu(&self, cpu: usize) -> Option<SpareCpu> {
        let pid = Pid::from_raw(self.pid)?;
        let own = sched_getaffinity(Some(pid)).ok()?;
        let mut both = own;
        both.set(cpu);
        sched_setaffinity(Some(pid), &both).ok()?;
        Some(SpareCpu { pid, own })
    }

    /// A descriptor that is readable when it has exited.
    pub(super) fn pidfd(&self) -> io::Result<OwnedFd> {
        self.init.pidfd.try_clone()
    }
}

/// Waits until this init has exited, and reaps it.
pub(super) async fn reap_on_exit(builder: Weak<SlotBuilder>, pidfd: AsyncFd<OwnedFd>) {
    if pidfd.readable().await.is_err() {
        return;
    }
    // Removing a cgroup blocks, and so does dropping the last reference to the builder.
    let reaped = tokio::task::spawn_blocking(move || builder.upgrade().is_none_or(|it| it.inits.reap_all()));
    if !reaped.await.unwrap_or(false) {
        tracing::warn!("a sandbox process or cgroup still exists after the end of its slot");
    }
}

impl Drop for SpareCpu {
    fn drop(&mut self) {
        // Unless the init has exited. Should it keep the CPU, its next run reports that the slot is unusable.
        let _ = sched_setaffinity(Some(self.pid), &self.own);
    }
}

impl Drop for InitProcess {
    fn drop(&mut self) {
        self.init.kill();
    }
}

/// Executes the init in new namespaces, with an empty environment, the socket as descriptor 0, and `/dev/null` as 1
/// and 2.
fn spawn_init(builder: &SlotBuilder, socket: &Channel, ids: SlotIds) -> io::Result<(i32, OwnedFd)> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    // Above the three descriptors that are overwritten, even in a process that was started without them.
    let null = rustix::io::fcntl_dupfd_cloexec(&null, 3)?;
    let socket = rustix::io::fcntl_dupfd_cloexec(socket, 3)?;
    let (null, socket, program) = (null.as_raw_fd(), socket.as_raw_fd(), builder.init_program.as_raw_fd());
    let argument = std::ffi::CString::new(INIT_ARGUMENT)?;
    let argv = [argument.as_ptr(), ptr::null()];
    let flags = spawn::NAMESPACES
        | libc::CLONE_PIDFD
        | if ids.has_user_namespace() { libc::CLONE_NEWUSER } else { 0 };
    let mut errno = 0;
    let mut child = || {
        // SAFETY: raw system calls only, on descriptors and memory that live in the suspended caller.
        errno = unsafe { become_init(program, socket, null, &argv, ids.has_user_namespace()) };
    };
    let signals = block_signals();
    // SAFETY: the child calls `become_init` only, which allocates nothing, takes no lock and cannot panic; no
    // signal handler of this process can run in it, since all signals are blocked until it resets them.
    let started = unsafe { spawn::vfork(&mut ChildStack::new(), flags, &mut child) };
    restore_signals(&signals);
    let (pid, pidfd) = started?;
    let pidfd = pidfd.ok_or(io::ErrorKind::Unsupported)?;
    if errno == 0 {
        return Ok((pid, pidfd));
    }
    // SAFETY: waits for the child that has just exited; a null status is allowed.
    unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
    Err(io::Error::from_raw_os_error(errno))
}

/// Turns the child into the init. Returns only on failure, with the errno.
///
/// # Safety
/// For a child between `vfork` and exec only. `argv` ends with a null pointer.
unsafe fn become_init(
    program: RawFd,
    socket: RawFd,
    null: RawFd,
    argv: &[*const libc::c_char],
    keep_capabilities: bool,
) -> i32 {
    // SAFETY: raw system calls with valid pointers; the signal actions are this process's own copy.
    unsafe {
        for signal in 1..SIGNALS_END {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut none);
        let env: [*const libc::c_char; 1] = [ptr::null()];
        let close_on_exec = libc::CLOSE_RANGE_CLOEXEC;
        if libc::dup2(socket, 0) == 0
            && libc::dup2(null, 1) == 1
            && libc::dup2(null, 2) == 2
            && libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, close_on_exec) == 0
            && libc::setsid() >= 0
            && libc::chdir(c"/".as_ptr()) == 0
            && libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) == 0
            && (!keep_capabilities || capabilities_survive_exec())
        {
            let empty = c"".as_ptr();
            let flags = libc::AT_EMPTY_PATH;
            libc::syscall(libc::SYS_execveat, program, empty, argv.as_ptr(), env.as_ptr(), flags);
        }
        // An errno of 0 would read as success.
        (*libc::__errno_location()).max(1)
    }
}

/// Makes every capability of the new user namespace ambient: the ids of the namespace are mapped only after the exec,
/// and an exec by an unmapped id would clear its capabilities.
///
/// # Safety
/// For a child between `vfork` and exec only.
unsafe fn capabilities_survive_exec() -> bool {
    /// `struct __user_cap_header_struct`, version 3: two of the following.
    #[repr(C)]
    struct Header(u32, i32);
    /// `struct __user_cap_data_struct`: effective, permitted, inheritable.
    #[repr(C)]
    struct Data(u32, u32, u32);
    const VERSION: u32 = 0x2008_0522;
    // SAFETY: raw system calls on this stack's memory, laid out as in linux/capability.h.
    unsafe {
        let mut header = Header(VERSION, 0);
        let mut data = [Data(0, 0, 0), Data(0, 0, 0)];
        if libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) != 0 {
            return false;
        }
        for half in &mut data {
            half.2 = half.1;
        }
        if libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) != 0 {
            return false;
        }
        for capability in 0..u64::from(u64::BITS) {
            let held = (u64::from(data[1].1) << 32 | u64::from(data[0].1)) & (1 << capability) != 0;
            if held
                && libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, capability, 0_u64, 0_u64)
                    != 0
            {
                return false;
            }
        }
        true
    }
}

fn block_signals() -> libc::sigset_t {
    // SAFETY: both sets live on this stack; only this thread's mask changes.
    unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = (mem::zeroed(), mem::zeroed());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

fn restore_signals(before: &libc::sigset_t) {
    // SAFETY: the kernel has filled the set.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, ptr::null_mut()) };
}
