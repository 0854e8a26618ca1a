//! The decision on each system call that is not simply allowed (`allowed.rs`).

use libc::c_long;

use super::bpf::Test;

pub(super) const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
/// The answer to a call that reaches others, or that no submission needs.
pub(super) const REFUSE: u32 = errno(libc::EPERM);
/// Success without effect.
pub(super) const IGNORE: u32 = errno(0);
/// The answer of a kernel that does not have the call: runtimes then use an older one.
pub(super) const MISSING: u32 = errno(libc::ENOSYS);

// Calls that the libc crate does not have. New calls have the same number on each architecture.
const CACHESTAT: c_long = 451;
const STATMOUNT: c_long = 457;
const LISTMOUNT: c_long = 458;
const LSM_GET_SELF_ATTR: c_long = 459;
const LSM_SET_SELF_ATTR: c_long = 460;
const LSM_LIST_MODULES: c_long = 461;
const OPEN_TREE_ATTR: c_long = 467;
const FILE_GETATTR: c_long = 468;
const FILE_SETATTR: c_long = 469;
const LISTNS: c_long = 470;
#[cfg(target_arch = "aarch64")]
const SYNC_FILE_RANGE: c_long = 84;
#[cfg(target_arch = "x86_64")]
const SYNC_FILE_RANGE: c_long = libc::SYS_sync_file_range;

/// Refused for any arguments.
pub(super) const REFUSED_CALLS: &[c_long] = &[
    // Other processes' memory and descriptors, especially the init's.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Mounts, roots and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    // File handles reach outside the root.
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    // Which files of the toolchains other slots use at this moment.
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_inotify_init,
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
    libc::SYS_lookup_dcookie,
    // A slot stays on its CPU.
    libc::SYS_sched_setaffinity,
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

/// Answered with success, and without effect: programs take a refusal for a failure.
pub(super) const IGNORED_CALLS: &[c_long] = &[
    // A run that lowers its own priority would wait behind any other work, and that waiting is not charged.
    libc::SYS_setpriority,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setattr,
    libc::SYS_ioprio_set,
    // What a program writes is in memory. On a file of a toolchain, or without one, these write to the machine's disks.
    libc::SYS_sync,
    libc::SYS_syncfs,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    SYNC_FILE_RANGE,
    // Removes files of the toolchains from the page cache, for all slots.
    libc::SYS_fadvise64,
];

/// Answered as by a kernel without the call.
pub(super) const MISSING_CALLS: &[c_long] = &[
    // Its flags are behind a pointer. The C library then calls `clone`, whose flags the filter can see.
    libc::SYS_clone3,
    // The machine has one limit on their number for all users.
    libc::SYS_io_setup,
    // No runtime needs these, and each tells or changes more than a program's own files.
    CACHESTAT,
    STATMOUNT,
    LISTMOUNT,
    LISTNS,
    LSM_GET_SELF_ATTR,
    LSM_SET_SELF_ATTR,
    LSM_LIST_MODULES,
    FILE_GETATTR,
    FILE_SETATTR,
];

/// A decision that depends on one argument.
pub(super) struct ArgumentRule {
    pub(super) call: c_long,
    /// The index of the argument. The kernel uses only the lower half of each of these.
    pub(super) argument: u32,
    pub(super) test: Test,
    pub(super) values: &'static [u32],
    /// The answer if the test holds for one of the values.
    pub(super) matched: u32,
    pub(super) otherwise: u32,
}

impl ArgumentRule {
    const fn new(call: c_long, argument: u32, test: Test, values: &'static [u32]) -> Self {
        Self { call, argument, test, values, matched: REFUSE, otherwise: ALLOW }
    }

    const fn answering(self, matched: u32, otherwise: u32) -> Self {
        Self { matched, otherwise, ..self }
    }
}

/// Flags of `clone` that create namespaces.
const NAMESPACE_FLAGS: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET)
    .cast_unsigned();
/// The values of `personality` that are allowed: the default, no address randomisation, and the query of the current
/// value.
const PERSONALITIES: &[u32] = &[0, 0x0004_0000, u32::MAX];
/// `MEMBARRIER_CMD_GLOBAL`, `_GLOBAL_EXPEDITED` and the registration for it (`linux/membarrier.h`).
const GLOBAL_BARRIERS: u32 = 1 | 2 | 4;
/// A bit of the file types that are devices; pipes, sockets and regular files do not have it.
const DEVICE_BIT: u32 = libc::S_IFCHR;
/// `PR_SET_MEMORY_MERGE` (`linux/prctl.h`).
const SET_MEMORY_MERGE: u32 = 67;
/// `SHM_HUGETLB` (`linux/shm.h`).
const HUGE_SEGMENT: u32 = 0o4000;
const UNIX_SOCKETS: &[u32] = &[libc::AF_UNIX.cast_unsigned()];
const NO_FAMILY: u32 = errno(libc::EAFNOSUPPORT);

/// Decided by one argument.
pub(super) const ARGUMENT_RULES: &[ArgumentRule] = &[
    // Pages that an operator has reserved, which no limit on memory counts.
    ArgumentRule::new(libc::SYS_mmap, 3, Test::HasBits, &[libc::MAP_HUGETLB.cast_unsigned()]),
    ArgumentRule::new(libc::SYS_memfd_create, 1, Test::HasBits, &[libc::MFD_HUGETLB]),
    ArgumentRule::new(libc::SYS_shmget, 2, Test::HasBits, &[HUGE_SEGMENT]),
    ArgumentRule::new(libc::SYS_clone, 0, Test::HasBits, &[NAMESPACE_FLAGS]),
    // A socket of any other family reaches code that namespaces do not cover (vsock) or that no submission needs.
    ArgumentRule::new(libc::SYS_socket, 0, Test::Equals, UNIX_SOCKETS).answering(ALLOW, NO_FAMILY),
    ArgumentRule::new(libc::SYS_socketpair, 0, Test::Equals, UNIX_SOCKETS).answering(ALLOW, NO_FAMILY),
    // A core that a program shares with no other keeps other work waiting, and the program itself. Pages that are merged with
    // equal ones of other slots show by the time of a write which pages those have.
    ArgumentRule::new(
        libc::SYS_prctl,
        0,
        Test::Equals,
        &[libc::PR_SCHED_CORE.cast_unsigned(), SET_MEMORY_MERGE],
    ),
    ArgumentRule::new(libc::SYS_madvise, 2, Test::Equals, &[libc::MADV_MERGEABLE.cast_unsigned()])
        .answering(errno(libc::EINVAL), ALLOW),
    ArgumentRule::new(libc::SYS_personality, 0, Test::Equals, PERSONALITIES).answering(ALLOW, REFUSE),
    // A process may limit itself only: programs inherit the limits of the init.
    ArgumentRule::new(libc::SYS_prlimit64, 0, Test::Equals, &[0]).answering(ALLOW, REFUSE),
    // Interrupts the other CPUs, or waits for all of them.
    ArgumentRule::new(libc::SYS_membarrier, 0, Test::HasBits, &[GLOBAL_BARRIERS]),
    // The kernel lets any user create the device 0:0, which hides files below an overlay.
    #[cfg(target_arch = "x86_64")]
    ArgumentRule::new(libc::SYS_mknod, 1, Test::HasBits, &[DEVICE_BIT]),
    ArgumentRule::new(libc::SYS_mknodat, 2, Test::HasBits, &[DEVICE_BIT]),
    ArgumentRule::new(libc::SYS_renameat2, 4, Test::HasBits, &[libc::RENAME_WHITEOUT]),
    // As for `fsync`.
    ArgumentRule::new(libc::SYS_msync, 2, Test::HasBits, &[libc::MS_SYNC.cast_unsigned()])
        .answering(IGNORE, ALLOW),
];

pub(super) const fn errno(number: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | number.cast_unsigned()
}
