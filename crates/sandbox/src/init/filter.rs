//! The system call filter that every program inherits (`docs/adr/0003-system-call-filter.md`).
//!
//! It is a list of refused calls, not of allowed ones: thirty language runtimes change their calls with each release,
//! and a wrong refusal is a wrong verdict. It refuses calls that could see past the namespaces, outlive the run,
//! reach large parts of the kernel that no submission needs, or bypass the filter itself. The init installs it last,
//! on itself, so that a run does not have to.
#![expect(unsafe_code, reason = "installing a filter has no safe form")]

use std::io;

use libc::{c_long, sock_filter};

use super::step::{StepContext, StepError};

/// Offsets in `struct seccomp_data` (`linux/seccomp.h`).
const NUMBER_OFFSET: u32 = 0;
const ARCHITECTURE_OFFSET: u32 = 4;
/// The lower halves of the first three arguments; both supported machines are little-endian.
const FIRST_ARGUMENT_OFFSET: u32 = 16;
const SECOND_ARGUMENT_OFFSET: u32 = 24;
const THIRD_ARGUMENT_OFFSET: u32 = 32;

#[cfg(target_arch = "x86_64")]
const NATIVE_ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const NATIVE_ARCHITECTURE: u32 = 0xC000_00B7;
/// System calls of the x32 table have this bit set.
const X32_BIT: u32 = 0x4000_0000;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

/// Flags of `clone` that create namespaces.
const NAMESPACE_FLAGS: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// Refused with `EPERM` for any arguments.
const REFUSED_CALLS: &[c_long] = &[
    // Other processes' memory and descriptors, especially the init's.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Mounts, roots and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    // File handles reach outside the root; fanotify sees outside it.
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    // Key rings belong to a user id, not to a run.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Message queues outlive the run, and unlike System V objects cannot be listed.
    libc::SYS_mq_open,
    // Large parts of the kernel that no submission needs, or whose calls the filter cannot see.
    libc::SYS_bpf,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_memfd_secret,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_vhangup,
    // A slot stays on its CPU.
    libc::SYS_sched_setaffinity,
    libc::SYS_lookup_dcookie,
    // The machine itself.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_sysfs,
];

/// Answered with success, and without effect: a run that lowers its own priority would wait behind any other work, and
/// that waiting is not charged. Programs and tools that lower it take a refusal for a failure.
const IGNORED_CALLS: &[c_long] =
    &[libc::SYS_setpriority, libc::SYS_sched_setscheduler, libc::SYS_sched_setparam, libc::SYS_sched_setattr];

/// Allowed values of `personality`: the default, no address randomisation, and the query of the current value.
const ALLOWED_PERSONALITIES: [u32; 3] = [0, 0x0004_0000, u32::MAX];

/// Installs the filter on this process and every process that it starts.
pub(super) fn install() -> Result<(), StepError> {
    let mut filter = program();
    let length = u16::try_from(filter.len()).unwrap_or(u16::MAX);
    let description = libc::sock_fprog { len: length, filter: filter.as_mut_ptr() };
    // SAFETY: the description points at `filter`, which outlives the call; the kernel copies it.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const description) };
    let installed = if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    installed.step(|| "install the system call filter (needs CONFIG_SECCOMP_FILTER)".to_owned())
}

fn program() -> Vec<sock_filter> {
    let mut code = vec![
        load(ARCHITECTURE_OFFSET),
        jump(libc::BPF_JEQ, NATIVE_ARCHITECTURE, 1, 0),
        ret(KILL),
        load(NUMBER_OFFSET),
        jump(libc::BPF_JGE, X32_BIT, 0, 1),
        ret(KILL),
    ];
    code.extend(keep_output_blocking());
    for call in REFUSED_CALLS {
        code.extend([jump(libc::BPF_JEQ, number(*call), 0, 1), ret(errno(libc::EPERM))]);
    }
    for call in IGNORED_CALLS {
        code.extend([jump(libc::BPF_JEQ, number(*call), 0, 1), ret(errno(0))]);
    }
    // The C library then falls back to `clone`, whose flags the filter can see.
    code.extend([jump(libc::BPF_JEQ, number(libc::SYS_clone3), 0, 1), ret(errno(libc::ENOSYS))]);
    let namespaces = u32::try_from(NAMESPACE_FLAGS).unwrap_or(u32::MAX);
    code.extend([
        jump(libc::BPF_JEQ, number(libc::SYS_clone), 0, 4),
        load(FIRST_ARGUMENT_OFFSET),
        jump(libc::BPF_JSET, namespaces, 0, 1),
        ret(errno(libc::EPERM)),
        ret(ALLOW),
    ]);
    // A socket of any other family reaches code that namespaces do not cover (vsock) or that no submission needs.
    let unix = libc::AF_UNIX.unsigned_abs();
    for call in [libc::SYS_socket, libc::SYS_socketpair] {
        code.extend([
            jump(libc::BPF_JEQ, number(call), 0, 4),
            load(FIRST_ARGUMENT_OFFSET),
            jump(libc::BPF_JEQ, unix, 1, 0),
            ret(errno(libc::EAFNOSUPPORT)),
            ret(ALLOW),
        ]);
    }
    // A core that a program shares with no other keeps other work waiting, and the program itself.
    code.extend([
        jump(libc::BPF_JEQ, number(libc::SYS_prctl), 0, 4),
        load(FIRST_ARGUMENT_OFFSET),
        jump(libc::BPF_JEQ, libc::PR_SCHED_CORE.unsigned_abs(), 0, 1),
        ret(errno(libc::EPERM)),
        ret(ALLOW),
    ]);
    code.extend([
        jump(libc::BPF_JEQ, number(libc::SYS_personality), 0, 5),
        load(FIRST_ARGUMENT_OFFSET),
        jump(libc::BPF_JEQ, ALLOWED_PERSONALITIES[0], 3, 0),
        jump(libc::BPF_JEQ, ALLOWED_PERSONALITIES[1], 2, 0),
        jump(libc::BPF_JEQ, ALLOWED_PERSONALITIES[2], 1, 0),
        ret(errno(libc::EPERM)),
        ret(ALLOW),
    ]);
    code
}

/// Makes `O_NONBLOCK` on descriptors 1 and 2 succeed without effect.
///
/// Some runtimes make their standard output non-blocking and buffer what a full pipe does not take; if the program then
/// exits at once, that output is lost. On a blocking pipe, each write returns after all of it was written. Comes
/// before the long list, because the kernel evaluates the filter for each `fcntl` and `ioctl`.
fn keep_output_blocking() -> Vec<sock_filter> {
    let nonblock = libc::O_NONBLOCK.unsigned_abs();
    let is_output = [
        load(FIRST_ARGUMENT_OFFSET),
        jump(libc::BPF_JEQ, libc::STDOUT_FILENO.unsigned_abs(), 2, 0),
        jump(libc::BPF_JEQ, libc::STDERR_FILENO.unsigned_abs(), 1, 0),
        ret(ALLOW),
        ret(errno(0)),
    ];
    let mut code = vec![
        jump(libc::BPF_JEQ, number(libc::SYS_fcntl), 0, 9),
        load(SECOND_ARGUMENT_OFFSET),
        jump(libc::BPF_JEQ, libc::F_SETFL.unsigned_abs(), 0, 5),
        load(THIRD_ARGUMENT_OFFSET),
        jump(libc::BPF_JSET, nonblock, 0, 3),
    ];
    code.extend(is_output);
    code.extend([
        jump(libc::BPF_JEQ, number(libc::SYS_ioctl), 0, 7),
        load(SECOND_ARGUMENT_OFFSET),
        jump(libc::BPF_JEQ, u32::try_from(libc::FIONBIO).unwrap_or(0), 0, 3),
    ]);
    code.extend(is_output);
    code
}

fn number(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

fn errno(number: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | number.unsigned_abs()
}

fn load(offset: u32) -> sock_filter {
    sock_filter { code: opcode(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS), jt: 0, jf: 0, k: offset }
}

fn jump(test: u32, value: u32, on_true: u8, on_false: u8) -> sock_filter {
    sock_filter { code: opcode(libc::BPF_JMP | test | libc::BPF_K), jt: on_true, jf: on_false, k: value }
}

fn ret(value: u32) -> sock_filter {
    sock_filter { code: opcode(libc::BPF_RET | libc::BPF_K), jt: 0, jf: 0, k: value }
}

fn opcode(bits: u32) -> u16 {
    u16::try_from(bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Interprets the filter, which has only a few kinds of instructions, and returns its answer.
    fn decide(architecture: u32, call: u32, arguments: [u32; 3]) -> u32 {
        let code = program();
        let (mut at, mut value) = (0_usize, 0_u32);
        loop {
            let step = code[at];
            at += 1;
            let kind = u32::from(step.code);
            if kind == libc::BPF_RET | libc::BPF_K {
                return step.k;
            } else if kind == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS {
                value = match step.k {
                    NUMBER_OFFSET => call,
                    ARCHITECTURE_OFFSET => architecture,
                    offset => arguments[(offset - FIRST_ARGUMENT_OFFSET) as usize / 8],
                };
                continue;
            }
            let holds = match kind & 0xf0 {
                libc::BPF_JEQ => value == step.k,
                libc::BPF_JGE => value >= step.k,
                _ => value & step.k != 0,
            };
            at += usize::from(if holds { step.jt } else { step.jf });
        }
    }

    fn native(call: c_long, argument: u32) -> u32 {
        decide(NATIVE_ARCHITECTURE, number(call), [argument, 0, 0])
    }

    #[test]
    fn calls_through_other_tables_kill() {
        assert_eq!(decide(0x4000_0003, 1, [0; 3]), KILL, "i386");
        assert_eq!(decide(NATIVE_ARCHITECTURE, X32_BIT | 1, [0; 3]), KILL, "x32");
    }

    #[test]
    fn listed_calls_are_refused_and_ordinary_calls_are_allowed() {
        for call in REFUSED_CALLS {
            assert_eq!(native(*call, 0), errno(libc::EPERM), "{call}");
        }
        for call in IGNORED_CALLS {
            assert_eq!(native(*call, 0), errno(0), "{call}");
        }
        for call in
            [libc::SYS_read, libc::SYS_execve, libc::SYS_futex, libc::SYS_shmget, libc::SYS_exit_group]
        {
            assert_eq!(native(call, 0), ALLOW, "{call}");
        }
    }

    #[test]
    fn clone_socket_and_personality_depend_on_their_arguments() {
        assert_eq!(native(libc::SYS_clone3, 0), errno(libc::ENOSYS));
        assert_eq!(native(libc::SYS_clone, 0x003d_0f00), ALLOW, "a thread");
        for flag in [libc::CLONE_NEWUSER, libc::CLONE_NEWNET, libc::CLONE_NEWNS] {
            assert_eq!(native(libc::SYS_clone, flag.unsigned_abs() | 0x11), errno(libc::EPERM));
        }
        assert_eq!(native(libc::SYS_socket, 1), ALLOW);
        for family in [2, 10, 16, 17, 40] {
            assert_eq!(native(libc::SYS_socket, family), errno(libc::EAFNOSUPPORT), "{family}");
        }
        assert_eq!(native(libc::SYS_prctl, libc::PR_SET_NAME.unsigned_abs()), ALLOW);
        assert_eq!(native(libc::SYS_prctl, libc::PR_SCHED_CORE.unsigned_abs()), errno(libc::EPERM));
        assert_eq!(native(libc::SYS_personality, u32::MAX), ALLOW);
        assert_eq!(native(libc::SYS_personality, 0x0040_0000), errno(libc::EPERM));
    }

    #[test]
    fn output_cannot_become_non_blocking() {
        let fcntl = |descriptor, command: i32, flags: i32| {
            let arguments = [descriptor, command.unsigned_abs(), flags.unsigned_abs()];
            decide(NATIVE_ARCHITECTURE, number(libc::SYS_fcntl), arguments)
        };
        let ioctl = |descriptor, request| {
            decide(NATIVE_ARCHITECTURE, number(libc::SYS_ioctl), [descriptor, request, 0])
        };
        let fionbio = u32::try_from(libc::FIONBIO).unwrap();
        let succeed = errno(0);
        for (descriptor, expected) in [(0, ALLOW), (1, succeed), (2, succeed), (3, ALLOW), (u32::MAX, ALLOW)]
        {
            let flags = libc::O_NONBLOCK | libc::O_APPEND | libc::O_WRONLY;
            assert_eq!(fcntl(descriptor, libc::F_SETFL, flags), expected, "{descriptor}");
            assert_eq!(ioctl(descriptor, fionbio), expected, "{descriptor}");
            assert_eq!(fcntl(descriptor, libc::F_SETFL, libc::O_WRONLY), ALLOW);
            assert_eq!(fcntl(descriptor, libc::F_GETFL, libc::O_NONBLOCK), ALLOW);
            assert_eq!(ioctl(descriptor, 0x5401), ALLOW, "TCGETS");
        }
    }
}
