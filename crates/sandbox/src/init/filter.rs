//! The system call filter that every program inherits (`docs/adr/0003-system-call-filter.md`).
//!
//! It is a list of what is refused, not of what is allowed: thirty language runtimes change their calls with
//! each release, and a wrong refusal is a wrong verdict. What is refused is what could see past the
//! namespaces, outlive the run, reach wide parts of the kernel that no submission needs, or go round the
//! filter itself. The init installs it last, on itself, so that a run costs nothing for it.
#![expect(unsafe_code, reason = "installing a filter has no safe form")]

use std::io;

use libc::{c_long, sock_filter};

use crate::protocol::wire::{Step, StepError};

/// Offsets in `struct seccomp_data` (`linux/seccomp.h`).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// The lower half of the first argument; both supported machines are little-endian.
const FIRST_ARGUMENT: u32 = 16;

#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xC000_00B7;
/// System calls of the x32 table have this bit set.
const X32: u32 = 0x4000_0000;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

/// Flags of `clone` that make namespaces.
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// Refused with `EPERM`, whatever the arguments.
const FORBIDDEN: &[c_long] = &[
    // Other processes' memory and descriptors, the init's above all.
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
    // Files by handle go past the root; fanotify sees past it.
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
    // Wide parts of the kernel that no submission needs, or that the filter cannot see into.
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
    // A slot stays on its processor.
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

/// `personality` values that change nothing that matters: none, no address randomisation, and the question.
const PERSONALITIES: [u32; 3] = [0, 0x0004_0000, u32::MAX];

/// Installs the filter on this process and all it will start.
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
        load(ARCHITECTURE),
        jump(libc::BPF_JEQ, NATIVE, 1, 0),
        answer(KILL),
        load(NUMBER),
        jump(libc::BPF_JGE, X32, 0, 1),
        answer(KILL),
    ];
    for call in FORBIDDEN {
        code.extend([jump(libc::BPF_JEQ, number(*call), 0, 1), answer(refuse(libc::EPERM))]);
    }
    // The C library then falls back to clone, whose flags the filter can see.
    code.extend([jump(libc::BPF_JEQ, number(libc::SYS_clone3), 0, 1), answer(refuse(libc::ENOSYS))]);
    let namespaces = u32::try_from(NAMESPACES).unwrap_or(u32::MAX);
    code.extend([
        jump(libc::BPF_JEQ, number(libc::SYS_clone), 0, 4),
        load(FIRST_ARGUMENT),
        jump(libc::BPF_JSET, namespaces, 0, 1),
        answer(refuse(libc::EPERM)),
        answer(ALLOW),
    ]);
    // A socket of any other family reaches code that namespaces do not cover (vsock) or that nobody needs.
    let unix = libc::AF_UNIX.unsigned_abs();
    for call in [libc::SYS_socket, libc::SYS_socketpair] {
        code.extend([
            jump(libc::BPF_JEQ, number(call), 0, 4),
            load(FIRST_ARGUMENT),
            jump(libc::BPF_JEQ, unix, 1, 0),
            answer(refuse(libc::EAFNOSUPPORT)),
            answer(ALLOW),
        ]);
    }
    code.extend([
        jump(libc::BPF_JEQ, number(libc::SYS_personality), 0, 5),
        load(FIRST_ARGUMENT),
        jump(libc::BPF_JEQ, PERSONALITIES[0], 3, 0),
        jump(libc::BPF_JEQ, PERSONALITIES[1], 2, 0),
        jump(libc::BPF_JEQ, PERSONALITIES[2], 1, 0),
        answer(refuse(libc::EPERM)),
        answer(ALLOW),
    ]);
    code
}

fn number(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

fn refuse(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno.unsigned_abs()
}

fn load(offset: u32) -> sock_filter {
    sock_filter { code: opcode(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS), jt: 0, jf: 0, k: offset }
}

fn jump(test: u32, value: u32, on_true: u8, on_false: u8) -> sock_filter {
    sock_filter { code: opcode(libc::BPF_JMP | test | libc::BPF_K), jt: on_true, jf: on_false, k: value }
}

fn answer(value: u32) -> sock_filter {
    sock_filter { code: opcode(libc::BPF_RET | libc::BPF_K), jt: 0, jf: 0, k: value }
}

fn opcode(bits: u32) -> u16 {
    u16::try_from(bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the filter answers, by running its few kinds of instruction.
    fn decide(architecture: u32, call: u32, argument: u32) -> u32 {
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
                    NUMBER => call,
                    ARCHITECTURE => architecture,
                    _ => argument,
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
        decide(NATIVE, number(call), argument)
    }

    #[test]
    fn foreign_tables_are_killed() {
        assert_eq!(decide(0x4000_0003, 1, 0), KILL, "i386");
        assert_eq!(decide(NATIVE, X32 | 1, 0), KILL, "x32");
    }

    #[test]
    fn every_forbidden_call_is_refused_and_the_ordinary_are_not() {
        for call in FORBIDDEN {
            assert_eq!(native(*call, 0), refuse(libc::EPERM), "{call}");
        }
        for call in
            [libc::SYS_read, libc::SYS_execve, libc::SYS_futex, libc::SYS_shmget, libc::SYS_exit_group]
        {
            assert_eq!(native(call, 0), ALLOW, "{call}");
        }
    }

    #[test]
    fn arguments_decide_where_they_must() {
        assert_eq!(native(libc::SYS_clone3, 0), refuse(libc::ENOSYS));
        assert_eq!(native(libc::SYS_clone, 0x003d_0f00), ALLOW, "a thread");
        for flag in [libc::CLONE_NEWUSER, libc::CLONE_NEWNET, libc::CLONE_NEWNS] {
            assert_eq!(native(libc::SYS_clone, flag.unsigned_abs() | 0x11), refuse(libc::EPERM));
        }
        assert_eq!(native(libc::SYS_socket, 1), ALLOW);
        for family in [2, 10, 16, 17, 40] {
            assert_eq!(native(libc::SYS_socket, family), refuse(libc::EAFNOSUPPORT), "{family}");
        }
        assert_eq!(native(libc::SYS_personality, u32::MAX), ALLOW);
        assert_eq!(native(libc::SYS_personality, 0x0040_0000), refuse(libc::EPERM));
    }
}
