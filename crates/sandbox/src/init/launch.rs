//! Starting a program: what the init's child does until it executes the program.
#![expect(unsafe_code, reason = "between clone and exec only raw system calls are safe")]

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;

use super::inherited::{Inherited, RESOURCES};
use crate::protocol::limits::ResourceLimits;
use crate::spawn::{self, ChildStack};

const UNLIMITED: u64 = libc::RLIM_INFINITY;
const MAX_OPEN_FILES: u64 = 1024;
/// Limits that are the same for every run. Core is one byte, so that no dump is written. At zero the kernel would
/// still run the program that a core pattern pipes dumps to.
const CONSTANT_LIMITS: [(libc::__rlimit_resource_t, u64); 6] = [
    (libc::RLIMIT_CORE, 1),
    (libc::RLIMIT_MEMLOCK, 64 * 1024),
    (libc::RLIMIT_MSGQUEUE, 0),
    (libc::RLIMIT_NICE, 0),
    (libc::RLIMIT_RTPRIO, 0),
    (libc::RLIMIT_SIGPENDING, 4096),
];

/// The program's standard streams.
pub(super) struct ProgramStreams<'a> {
    pub(super) stdin: BorrowedFd<'a>,
    pub(super) stdout: BorrowedFd<'a>,
    pub(super) stderr: BorrowedFd<'a>,
}

/// A program to start.
pub(super) struct Launch<'a> {
    pub(super) argv: &'a [CString],
    pub(super) env: &'a [CString],
    pub(super) directory: &'a CStr,
    pub(super) uid: u32,
    pub(super) limits: ResourceLimits,
    /// Limits of each process that replace those of this module.
    pub(super) extra_limits: &'a [(libc::__rlimit_resource_t, u64)],
    pub(super) inherited: &'a Inherited,
    /// A writable `/proc`.
    pub(super) proc: BorrowedFd<'a>,
    pub(super) streams: ProgramStreams<'a>,
}

/// Why a program was not started; each holds the errno.
#[derive(Clone, Copy)]
pub(super) enum LaunchError {
    /// A step before its execution failed.
    Prepare(i32),
    /// The kernel refused to execute it.
    Execute(i32),
}

/// Starts the program and returns its process id once it has been executed.
pub(super) fn start(stack: &mut ChildStack, launch: &Launch<'_>) -> Result<libc::pid_t, LaunchError> {
    let argv = pointers(launch.argv);
    let env = pointers(launch.env);
    let limits = process_limits(launch);
    let mut failed = None;
    let mut child = || {
        // SAFETY: every call is a plain system call on memory that was made before the clone; the init has one
        // thread, which is suspended until this child has executed or exited.
        failed = Some(unsafe { become_program(launch, &limits, &argv, &env) });
    };
    // SAFETY: the child calls `become_program` only, which allocates nothing, takes no lock and cannot panic.
    let cloned = unsafe { spawn::vfork(stack, 0, &mut child) };
    let (pid, _) = cloned.map_err(|error| LaunchError::Prepare(error.raw_os_error().unwrap_or(libc::EIO)))?;
    let Some(error) = failed else { return Ok(pid) };
    // SAFETY: waits for the child that has just exited; a null status is allowed.
    unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
    Err(error)
}

/// The limits of each process, on every resource that the kernel has, so that none depends on the init. Each is reduced to
/// what the init may set.
fn process_limits(launch: &Launch<'_>) -> [libc::rlimit; RESOURCES] {
    let limits = &launch.limits;
    let mut wanted = [(UNLIMITED, UNLIMITED); RESOURCES];
    let mut set = |resource: libc::__rlimit_resource_t, limit| wanted[resource as usize] = limit;
    // In whole seconds for each process: only a second line of defence behind the init's own measurement, which names
    // the exceeded limit. The kernel compares it with time counted in ticks, which may run ahead of the time used if
    // ticks are late.
    let cpu_seconds = limits.cpu_ns.max(limits.wall_ns).div_ceil(1_000_000_000).saturating_add(2);
    set(libc::RLIMIT_CPU, (cpu_seconds, cpu_seconds.saturating_add(1)));
    // Lower than that of the judge, which may have the same user: what programs have sent and no process has received
    // counts for both (`neighbours::descriptors_that_no_process_receives_are_no_fault_of_other_slots`).
    let open_files = MAX_OPEN_FILES.min(launch.inherited.hard_limit(libc::RLIMIT_NOFILE as usize) / 2);
    let own = [
        (libc::RLIMIT_FSIZE, limits.file_bytes),
        (libc::RLIMIT_STACK, limits.stack_bytes()),
        (libc::RLIMIT_NOFILE, open_files),
    ];
    for (resource, limit) in own.into_iter().chain(CONSTANT_LIMITS).chain(launch.extra_limits.iter().copied())
    {
        set(resource, (limit, limit));
    }
    std::array::from_fn(|resource| {
        let held = launch.inherited.hard_limit(resource);
        let (current, max) = wanted[resource];
        libc::rlimit { rlim_cur: current.min(held), rlim_max: max.min(held) }
    })
}

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

/// Turns the child into the program. Returns only on failure.
///
/// # Safety
/// For a child between `vfork` and exec only. `argv` and `env` end with a null pointer.
unsafe fn become_program(
    launch: &Launch<'_>,
    limits: &[libc::rlimit; RESOURCES],
    argv: &[*const libc::c_char],
    env: &[*const libc::c_char],
) -> LaunchError {
    // SAFETY: raw system calls with valid pointers. Each comes before the privilege that it needs is given up.
    unsafe {
        if !become_first_oom_victim(launch.proc.as_raw_fd()) || !install_streams(&launch.streams) {
            return LaunchError::Prepare(last_errno());
        }
        for (resource, limit) in (0..).zip(limits) {
            if libc::setrlimit(resource, limit) != 0 {
                return LaunchError::Prepare(last_errno());
            }
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        // The Rust runtime ignores SIGPIPE, and an ignored signal stays ignored across exec.
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let id = launch.uid;
        // A separate group, so that a signal to it reaches no other process of the session, which is the init's.
        if libc::setpgid(0, 0) != 0
            || libc::chdir(launch.directory.as_ptr()) != 0
            || libc::syscall(libc::SYS_setresgid, id, id, id) != 0
            || libc::syscall(libc::SYS_setresuid, id, id, id) != 0
            || libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) != 0
        {
            return LaunchError::Prepare(last_errno());
        }
        libc::execve(argv[0], argv.as_ptr(), env.as_ptr());
        LaunchError::Execute(last_errno())
    }
}

/// Sets the highest out-of-memory score: when memory runs out, the kernel kills programs before the init.
unsafe fn become_first_oom_victim(proc: RawFd) -> bool {
    // SAFETY: raw system calls on constants.
    unsafe {
        let file = libc::openat(proc, c"self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        file >= 0 && libc::write(file, c"1000".as_ptr().cast(), 4) == 4
    }
}

/// Makes the streams descriptors 0, 1 and 2, and closes every other descriptor.
unsafe fn install_streams(streams: &ProgramStreams<'_>) -> bool {
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
