//! Starting a slot's init: from this process's executable, without anything of this process's memory.
#![expect(unsafe_code, reason = "the child between clone and exec makes raw system calls")]

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::{io, mem, ptr};

use super::{Factory, Grave, Init};
use crate::host::cgroup::Cgroups;
use crate::host::config::{InitProgram, SandboxConfig};
use crate::host::cores::Cores;
use crate::host::elf;
use crate::host::error::{SlotError, StartError};
use crate::host::memfd;
use crate::host::slot_ids::SlotIds;
use crate::protocol::INIT_ARGUMENT;
use crate::protocol::channel::Channel;
use crate::protocol::ids::Ids;
use crate::protocol::wire::{Setup, ToInit};
use crate::spawn::{self, ChildStack};

/// Directories at the root that hold toolchains and their libraries.
const TOOLCHAIN_DIRS: [&str; 6] = ["usr", "bin", "sbin", "lib", "lib32", "lib64"];
/// What every dynamically linked toolchain needs beside them.
const MOUNTS: [&str; 2] = ["/etc/ld.so.cache", "/etc/alternatives"];
/// The largest executable that makes sense, in bytes.
const MAX_PROGRAM_BYTES: u64 = 256 << 20;
/// The first signal number past the last.
const SIGNALS_END: i32 = 65;

impl Factory {
    /// Takes a sealed copy of the init's executable.
    pub(crate) fn new(config: SandboxConfig, cgroups: Option<Cgroups>, ids: Ids) -> Result<Self, StartError> {
        let path = match &config.init {
            InitProgram::CurrentExe => PathBuf::from("/proc/self/exe"),
            InitProgram::Path(path) => path.clone(),
        };
        let copy = || -> io::Result<OwnedFd> {
            let mut file = File::open(&path)?;
            let needed = elf::needed_bytes(&file)?.min(MAX_PROGRAM_BYTES);
            let mut loaded = io::Read::take(&mut file, needed);
            memfd::sealed_copy("gavel-sandbox-init", &mut loaded, MAX_PROGRAM_BYTES)?
                .ok_or_else(|| io::ErrorKind::FileTooLarge.into())
        };
        let program = copy().map_err(|source| StartError::InitProgram { path: path.clone(), source })?;
        let entries = config.languages.entries();
        let needed = entries.iter().flat_map(|language| language.mounts.iter().cloned());
        let mut mounts: Vec<_> = MOUNTS.into_iter().map(str::to_owned).chain(needed).collect();
        // A directory comes before what is in it.
        mounts.sort();
        mounts.dedup();
        let cores = Cores::claim(config.slots);
        let (graves, generation) = (Mutex::default(), 0.into());
        Ok(Self { cgroups, ids, cores, config, program, mounts, graves, generation })
    }

    /// The user and group ids of this seat.
    pub(super) fn ids(&self, seat: usize) -> SlotIds {
        SlotIds::of(self.ids, self.config.first_uid, seat)
    }
}

/// Starts the init of a seat inside its cgroup and sends it its description. Blocks for some milliseconds.
pub(super) fn start(factory: &Arc<Factory>, seat: usize) -> Result<(Channel, Init), SlotError> {
    factory.sweep();
    let generation = factory.generation.fetch_add(1, Ordering::Relaxed);
    let name = format!("slot-{seat}-{generation}");
    let group = factory.cgroups.as_ref().map(|cgroups| cgroups.slot(&name)).transpose()?;
    let ids = factory.ids(seat);
    let (ours, theirs) = Channel::pair().map_err(|errno| SlotError::Spawn(errno.into()))?;
    let (pid, pidfd) = match spawn_init(factory, &theirs, ids) {
        Ok(started) => started,
        Err(error) => {
            if let Some(group) = group {
                group.remove();
            }
            return Err(SlotError::Spawn(error));
        }
    };
    let entered = group.as_ref().map(|group| group.enter(pid).and_then(|()| group.meter())).transpose();
    let init = Init { factory: Arc::clone(factory), buried: Some(Grave { pidfd, group }) };
    let (kinds, fds) = entered?.unwrap_or_default();
    ids.map(pid).map_err(SlotError::Ids)?;
    // The last to be killed for want of memory. Where that takes a privilege which the judge lacks, it still is the
    // last of its cgroup, since all programs have the highest score.
    let _ = std::fs::write(format!("/proc/{pid}/oom_score_adj"), "-1000");
    let setup = Setup {
        ids: factory.ids,
        uid: ids.programs_inside(),
        core: factory.cores.of(seat),
        box_bytes: factory.config.box_bytes,
        box_inodes: factory.config.box_inodes,
        toolchain_dirs: TOOLCHAIN_DIRS.into_iter().map(str::to_owned).collect(),
        mounts: factory.mounts.clone(),
        cgroup: factory.cgroups.as_ref().map(Cgroups::version),
        meter: kinds,
    };
    let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    ours.send(&ToInit::Setup(setup), &fds).map_err(|error| SlotError::NoAnswer(error.to_string()))?;
    rustix::io::ioctl_fionbio(&ours, true).map_err(|errno| SlotError::Spawn(errno.into()))?;
    Ok((ours, init))
}

/// The init's process: new namespaces, an empty environment, the socket and two times `/dev/null`.
fn spawn_init(factory: &Factory, socket: &Channel, ids: SlotIds) -> io::Result<(i32, OwnedFd)> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    // Above the three that are overwritten, in a process that was started without them.
    let null = rustix::io::fcntl_dupfd_cloexec(&null, 3)?;
    let socket = rustix::io::fcntl_dupfd_cloexec(socket, 3)?;
    let (null, socket, program) = (null.as_raw_fd(), socket.as_raw_fd(), factory.program.as_raw_fd());
    let argument = std::ffi::CString::new(INIT_ARGUMENT)?;
    let argv = [argument.as_ptr(), ptr::null()];
    let flags =
        spawn::NAMESPACES | libc::CLONE_PIDFD | if ids.has_namespace() { libc::CLONE_NEWUSER } else { 0 };
    let mut errno = 0;
    let mut child = || {
        // SAFETY: raw system calls only, on descriptors and memory that live in the suspended caller.
        errno = unsafe { become_init(program, socket, null, &argv, ids.has_namespace()) };
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

/// Turns the child into the init; returns only with the errno of what failed.
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

/// Makes every capability of the new user namespace ambient: its ids are mapped only after the exec, which would
/// take the capabilities of somebody who is nobody.
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
    // SAFETY: raw system calls on this stack's memory, laid out as linux/capability.h says.
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
    // SAFETY: the set is one that the kernel gave us.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, ptr::null_mut()) };
}
