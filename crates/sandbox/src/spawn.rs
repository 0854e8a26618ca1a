//! Starting a process, from the judge and from the init: a child that shares its parent's memory until it executes.
//!
//! A plain fork copies page tables, which takes 30 ms in a judge of 500 MB. A child that shares the memory and
//! suspends its parent until it has executed takes the same time at any size. In return the child must allocate
//! nothing, take no lock and call only functions that are safe after a fork.
#![expect(unsafe_code, reason = "clone with shared memory has no safe form")]

use std::ffi::c_void;
use std::os::fd::{FromRawFd, OwnedFd};
use std::{io, mem, ptr};

use libc::{c_int, pid_t};

/// Bytes of stack that a child may use before it executes.
const STACK_BYTES: usize = 128 * 1024;

/// The namespaces of a slot in addition to its user namespace. The init creates its cgroup namespace itself, after it
/// has been moved into its group.
pub(crate) const NAMESPACES: c_int =
    libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

/// The stack of a child, reused for the next one.
pub(crate) struct ChildStack(Vec<mem::MaybeUninit<u128>>);

impl ChildStack {
    pub(crate) fn new() -> Self {
        Self(vec![mem::MaybeUninit::uninit(); STACK_BYTES / mem::size_of::<u128>()])
    }
}

/// Runs `child` in a new process, with `flags` in addition to those of a vfork. Returns the process id and, if the
/// flags contain `CLONE_PIDFD`, the pidfd. The caller resumes when the child has executed or exited; a child whose
/// function returns exits with 127.
///
/// # Safety
/// `child` runs in the caller's memory while only the calling thread is suspended: it must be
/// async-signal-safe, must not panic, and must not touch what other threads use.
pub(crate) unsafe fn vfork<F: FnMut()>(
    stack: &mut ChildStack,
    flags: c_int,
    child: &mut F,
) -> io::Result<(pid_t, Option<OwnedFd>)> {
    extern "C" fn enter<F: FnMut()>(child: *mut c_void) -> c_int {
        // SAFETY: the pointer is the caller's exclusive `child`, which outlives this call: the caller is
        // suspended until the child has executed or exited.
        unsafe {
            (*child.cast::<F>())();
            libc::_exit(127)
        }
    }
    let mut pidfd: c_int = -1;
    let flags = flags | libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack is borrowed exclusively, 16-byte aligned, and grows down from its end; `child` and `pidfd`
    // live until the call returns; the caller guarantees what `child` does.
    let pid = unsafe {
        let top = stack.0.as_mut_ptr().add(stack.0.len());
        libc::clone(
            enter::<F>,
            top.cast(),
            flags,
            ptr::from_mut(child).cast(),
            &raw mut pidfd,
            ptr::null_mut::<c_void>(),
            ptr::null_mut::<pid_t>(),
        )
    };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just created this descriptor, and nothing else owns it.
    let pidfd = (flags & libc::CLONE_PIDFD != 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok((pid, pidfd))
}
