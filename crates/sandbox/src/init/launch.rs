//! Starting a program: from the init's child to the program's first instruction.
#![expect(unsafe_code, reason = "between clone and exec only raw system calls are safe")]

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::{io, ptr};

use crate::protocol::wire::Caps;
use crate::spawn::{self, ChildStack};

/// The program's standard streams.
pub(super) struct Streams<'a> {
    pub(super) stdin: BorrowedFd<'a>,
    pub(super) stdout: BorrowedFd<'a>,
    pub(super) stderr: BorrowedFd<'a>,
}

/// A program that is ready to be started.
pub(super) struct Launch<'a> {
    pub(super) argv: &'a [CString],
    pub(super) env: &'a [CString],
    pub(super) directory: &'a CStr,
    pub(super) uid: u32,
    pub(super) caps: Caps,
    /// Further limits of each process.
    pub(super) extra: &'a [(libc::__rlimit_resource_t, u64)],
    /// A `/proc` that can be written.
    pub(super) proc: BorrowedFd<'a>,
    pub(super) streams: Streams<'a>,
}

/// Starts it and returns its process id once it has been executed; an error is that of the step that failed.
pub(super) fn start(stack: &mut ChildStack, launch: &Launch<'_>) -> io::Result<libc::pid_t> {
    let argv = pointers(launch.argv);
    let env = pointers(launch.env);
    // Whole seconds of one process: only a backstop behind the init's own clocks, which name the limit. The kernel holds
    // it against time counted in ticks, which may run ahead of the time used where ticks are late.
    let cpu_seconds = launch.caps.cpu_ns.max(launch.caps.wall_ns).div_ceil(1_000_000_000).saturating_add(2);
    let own = [
        (libc::RLIMIT_CPU, cpu_seconds, cpu_seconds.saturating_add(1)),
        (libc::RLIMIT_FSIZE, launch.caps.file_bytes, launch.caps.file_bytes),
        (libc::RLIMIT_STACK, launch.caps.stack_bytes, launch.caps.stack_bytes),
    ];
    let extra = launch.extra.iter().map(|(kind, value)| (*kind, *value, *value));
    let limits: Vec<_> =
        own.into_iter().chain(extra).map(|(kind, now, max)| (kind, at_most(kind, now, max))).collect();
    let mut errno = 0;
    let mut child = || {
        // SAFETY: every call is a plain system call on memory that was made before the clone; the init has one
        // thread, which is suspended until this child has executed or exited.
        errno = unsafe { become_program(launch, &limits, &argv, &env) };
    };
    // SAFETY: the child calls `become_program` only, which allocates nothing, takes no lock and cannot panic.
    let (pid, _) = unsafe { spawn::vfork(stack, 0, &mut child) }?;
    if errno == 0 {
        return Ok(pid);
    }
    // SAFETY: waits for the child that has just exited; a null status is allowed.
    unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
    Err(io::Error::from_raw_os_error(errno))
}

/// The limit, but not above what this process may set.
fn at_most(kind: libc::__rlimit_resource_t, current: u64, max: u64) -> libc::rlimit {
    let mut held = libc::rlimit { rlim_cur: max, rlim_max: max };
    // SAFETY: the structure is ours; where the call fails it stays as it is.
    unsafe { libc::getrlimit(kind, &raw mut held) };
    libc::rlimit { rlim_cur: current.min(held.rlim_max), rlim_max: max.min(held.rlim_max) }
}

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

/// Turns the child into the program; returns only with the errno of what failed.
///
/// # Safety
/// For a child between `vfork` and exec only. `argv` and `env` end with a null pointer.
unsafe fn become_program(
    launch: &Launch<'_>,
    limits: &[(libc::__rlimit_resource_t, libc::rlimit)],
    argv: &[*const libc::c_char],
    env: &[*const libc::c_char],
) -> i32 {
    // SAFETY: raw system calls with valid pointers, in the order that privileges demand.
    unsafe {
        if !first_to_be_killed(launch.proc.as_raw_fd()) || !take_streams(&launch.streams) {
            return last_errno();
        }
        for (kind, limit) in limits {
            if libc::setrlimit(*kind, limit) != 0 {
                return last_errno();
            }
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        // The Rust runtime ignores SIGPIPE, and what is ignored stays so across exec.
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let id = launch.uid;
        if libc::setsid() < 0
            || libc::chdir(launch.directory.as_ptr()) != 0
            || libc::syscall(libc::SYS_setresgid, id, id, id) != 0
            || libc::syscall(libc::SYS_setresuid, id, id, id) != 0
            || libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) != 0
        {
            return last_errno();
        }
        libc::execve(argv[0], argv.as_ptr(), env.as_ptr());
        last_errno()
    }
}

/// When memory runs out the kernel takes the highest score: programs before the init, always.
unsafe fn first_to_be_killed(proc: RawFd) -> bool {
    // SAFETY: raw system calls on constants.
    unsafe {
        let file = libc::openat(proc, c"self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        file >= 0 && libc::write(file, c"1000".as_ptr().cast(), 4) == 4
    }
}

/// Puts the streams in their places and closes everything else.
unsafe fn take_streams(streams: &Streams<'_>) -> bool {
    // SAFETY: raw system calls on this child's own table of descriptors. The three sources are above 2, as the
    // init's own 0, 1 and 2 are taken.
    unsafe {
        libc::dup2(streams.stdin.as_raw_fd(), 0) == 0
            && libc::dup2(streams.stdout.as_raw_fd(), 1) == 1
            && libc::dup2(streams.stderr.as_raw_fd(), 2) == 2
            && libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) == 0
    }
}

unsafe fn last_errno() -> i32 {
    // SAFETY: the pointer is that of this thread's errno. An errno of 0 would read as success.
    unsafe { (*libc::__errno_location()).max(1) }
}
