//! Interprets the filter for single calls, and compares its lists with the kernel.

use super::calls::errno;
use super::*;

/// More than the number of any call: the highest is 470, and x32 has its own up to 547.
const NUMBERS: u32 = 1024;

/// Interprets the filter, which has only a few kinds of instructions, and returns its answer.
fn decide(architecture: u32, call: u32, arguments: [u32; 5]) -> u32 {
    decide_by(&program(&[]), architecture, call, arguments)
}

fn decide_by(code: &[sock_filter], architecture: u32, call: u32, arguments: [u32; 5]) -> u32 {
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
                offset => arguments[(offset - argument_offset(0)) as usize / 8],
            };
            continue;
        }
        let holds = match kind & 0xf0 {
            libc::BPF_JEQ => value == step.k,
            libc::BPF_JGT => value > step.k,
            _ => value & step.k != 0,
        };
        at += usize::from(if holds { step.jt } else { step.jf });
    }
}

fn native(call: c_long, arguments: &[i32]) -> u32 {
    let mut all = [0; 5];
    all.iter_mut().zip(arguments).for_each(|(to, from)| *to = from.cast_unsigned());
    decide(NATIVE_ARCHITECTURE, number(call), all)
}

/// Whether a list or a rule contains the call.
fn is_decided(call: u32) -> bool {
    let mut with_rules =
        ARGUMENT_RULES.iter().map(|rule| rule.call).chain([libc::SYS_fcntl, libc::SYS_ioctl]);
    answers().contains_key(&call) || with_rules.any(|decided| number(decided) == call)
}

#[test]
fn calls_of_other_tables_do_not_exist() {
    let i386 = 0x4000_0003;
    assert_eq!(decide(i386, 1, [0; 5]), MISSING, "i386");
    assert_eq!(decide(NATIVE_ARCHITECTURE, 0x4000_0027, [0; 5]), MISSING, "x32");
}

#[test]
fn each_call_has_one_decision_and_other_calls_do_not_exist() {
    let lists = [ALLOWED_CALLS, ALLOWED_CALLS_OF_ARCHITECTURE, REFUSED_CALLS, IGNORED_CALLS, MISSING_CALLS];
    assert_eq!(answers().len(), lists.iter().map(|list| list.len()).sum::<usize>(), "a call is in two lists");
    for rule in ARGUMENT_RULES {
        assert!(!answers().contains_key(&number(rule.call)), "{} is in a list, too", rule.call);
    }
    for (call, answer) in answers() {
        assert_eq!(decide(NATIVE_ARCHITECTURE, call, [0; 5]), answer, "{call}");
    }
    for call in (0..NUMBERS).filter(|call| !is_decided(*call)) {
        assert_eq!(decide(NATIVE_ARCHITECTURE, call, [0; 5]), MISSING, "{call}");
    }
}

/// Makes every call without a decision, with arguments that no call accepts. On a new kernel, put each call that this
/// test names into one of the lists.
#[test]
fn kernel_has_no_call_without_a_decision() {
    let exists = |call: u32| {
        // SAFETY: the child makes plain system calls only, and exits; the status is on this stack.
        let status = unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::alarm(10);
                let result = libc::syscall(c_long::from(call), -1, -1, -1, -1, -1, -1);
                libc::_exit(i32::from(result != -1 || *libc::__errno_location() != libc::ENOSYS));
            }
            assert!(child > 0, "{}", io::Error::last_os_error());
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
            status
        };
        status != 0
    };
    assert!(exists(number(libc::SYS_getppid)) && !exists(NUMBERS));
    let undecided: Vec<u32> = (0..NUMBERS).filter(|call| !is_decided(*call) && exists(*call)).collect();
    assert_eq!(undecided, [], "this kernel has calls that no list of the filter contains");
}

#[test]
fn further_decisions_replace_all_others() {
    let code = program(&[SAMPLED, ONE_SESSION]);
    for (call, answer) in [SAMPLED, ONE_SESSION] {
        assert_eq!(native(call, &[]), ALLOW);
        assert_eq!(decide_by(&code, NATIVE_ARCHITECTURE, number(call), [0; 5]), answer, "{call}");
    }
}

#[test]
fn namespaces_families_and_personalities_are_refused() {
    let thread = 0x003d_0f00;
    assert_eq!(native(libc::SYS_clone, &[thread]), ALLOW);
    for flag in [libc::CLONE_NEWUSER, libc::CLONE_NEWNET, libc::CLONE_NEWNS] {
        assert_eq!(native(libc::SYS_clone, &[flag | 0x11]), REFUSE);
    }
    assert_eq!(native(libc::SYS_socket, &[libc::AF_UNIX]), ALLOW);
    for family in [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK, libc::AF_PACKET, libc::AF_VSOCK] {
        for call in [libc::SYS_socket, libc::SYS_socketpair] {
            assert_eq!(native(call, &[family]), errno(libc::EAFNOSUPPORT), "{family}");
        }
    }
    assert_eq!(native(libc::SYS_prctl, &[libc::PR_SET_NAME]), ALLOW);
    assert_eq!(native(libc::SYS_prctl, &[libc::PR_SCHED_CORE]), REFUSE);
    let merge = 67;
    assert_eq!(native(libc::SYS_prctl, &[merge]), REFUSE);
    assert_eq!(native(libc::SYS_madvise, &[0, 0, libc::MADV_MERGEABLE]), errno(libc::EINVAL));
    assert_eq!(native(libc::SYS_madvise, &[0, 0, libc::MADV_DONTNEED]), ALLOW);
    for personality in [0, 0x0004_0000, -1] {
        assert_eq!(native(libc::SYS_personality, &[personality]), ALLOW, "{personality}");
    }
    assert_eq!(native(libc::SYS_personality, &[0x0040_0000]), REFUSE);
}

#[test]
fn limits_of_other_processes_devices_huge_pages_and_global_barriers_are_refused() {
    assert_eq!(native(libc::SYS_prlimit64, &[0]), ALLOW);
    for pid in [1, 2, -1] {
        assert_eq!(native(libc::SYS_prlimit64, &[pid]), REFUSE, "{pid}");
    }
    for (command, answer) in [(0, ALLOW), (1, REFUSE), (2, REFUSE), (4, REFUSE), (8, ALLOW), (16, ALLOW)] {
        assert_eq!(native(libc::SYS_membarrier, &[command]), answer, "{command}");
    }
    for (kind, answer) in [
        (libc::S_IFIFO, ALLOW),
        (libc::S_IFREG, ALLOW),
        (libc::S_IFSOCK, ALLOW),
        (0, ALLOW),
        (libc::S_IFCHR, REFUSE),
        (libc::S_IFBLK, REFUSE),
    ] {
        let mode = (kind | 0o666).cast_signed();
        assert_eq!(native(libc::SYS_mknodat, &[-100, 0, mode]), answer, "{kind:o}");
        #[cfg(target_arch = "x86_64")]
        assert_eq!(native(libc::SYS_mknod, &[0, mode]), answer, "{kind:o}");
    }
    assert_eq!(native(libc::SYS_renameat2, &[0, 0, 0, 0, 1]), ALLOW);
    assert_eq!(native(libc::SYS_renameat2, &[0, 0, 0, 0, 4]), REFUSE);
    let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let huge = libc::MFD_HUGETLB.cast_signed();
    for (call, arguments, answer) in [
        (libc::SYS_mmap, [0, 0, 0, private], ALLOW),
        (libc::SYS_mmap, [0, 0, 0, private | libc::MAP_HUGETLB], REFUSE),
        (libc::SYS_memfd_create, [0, 1, 0, 0], ALLOW),
        (libc::SYS_memfd_create, [0, 1 | huge, 0, 0], REFUSE),
        (libc::SYS_shmget, [0, 0, 0o1600, 0], ALLOW),
        (libc::SYS_shmget, [0, 0, 0o5600, 0], REFUSE),
    ] {
        assert_eq!(native(call, &arguments), answer, "{call} {arguments:?}");
    }
    assert_eq!(native(libc::SYS_msync, &[0, 0, libc::MS_ASYNC]), ALLOW);
    assert_eq!(native(libc::SYS_msync, &[0, 0, libc::MS_SYNC]), IGNORE);
}

#[test]
fn output_cannot_become_non_blocking() {
    let fionbio = i32::try_from(libc::FIONBIO).unwrap();
    for (descriptor, expected) in [(0, ALLOW), (1, IGNORE), (2, IGNORE), (3, ALLOW), (-1, ALLOW)] {
        let fcntl = |command, argument| native(libc::SYS_fcntl, &[descriptor, command, argument]);
        assert_eq!(fcntl(libc::F_SETFL, libc::O_NONBLOCK | libc::O_APPEND | libc::O_WRONLY), expected);
        assert_eq!(fcntl(libc::F_SETFL, libc::O_WRONLY), ALLOW);
        assert_eq!(fcntl(libc::F_GETFL, libc::O_NONBLOCK), ALLOW);
        assert_eq!(native(libc::SYS_ioctl, &[descriptor, fionbio]), expected, "{descriptor}");
        assert_eq!(native(libc::SYS_ioctl, &[descriptor, 0x5401]), ALLOW, "TCGETS");
    }
}

#[test]
fn files_cannot_be_watched_or_leased() {
    for command in [libc::F_NOTIFY, libc::F_SETLEASE] {
        assert_eq!(native(libc::SYS_fcntl, &[3, command]), REFUSE, "{command}");
    }
    for command in [libc::F_DUPFD, libc::F_SETLK, libc::F_GETLEASE] {
        assert_eq!(native(libc::SYS_fcntl, &[3, command]), ALLOW, "{command}");
    }
}
