//! What a program can do to the one that runs after it in the same slot: nothing.

use bytes::Bytes;

use crate::support::{C, Fixture, PYTHON, limits, printed};

/// Calls that reach another process, as far as the kernel has any.
const ATTACK: &str = include_str!("same_slot/attack.c");
/// Prints everything that a program inherits.
const INHERITED: &str = "import ctypes, os, resource, signal\nlibc = ctypes.CDLL(None)\n\
    print([resource.getrlimit(r) for r in range(16)])\n\
    print(os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), os.sched_getparam(0), os.sched_getaffinity(0))\n\
    print(libc.syscall(IOPRIO_GET, 1, 0), libc.personality(-1), libc.prctl(30, 0, 0, 0, 0), oct(os.umask(0)))\n\
    print(signal.pthread_sigmask(signal.SIG_BLOCK, []), open('/proc/self/oom_score_adj').read())\n\
    print([l for l in open('/proc/self/status') if l.startswith(('SigBlk', 'SigIgn', 'SigCgt', 'Cap', 'Uid', 'Gid', 'Groups', 'NoNew'))])";

#[tokio::test]
async fn next_program_inherits_the_same_whatever_the_last_one_did() {
    let mut fixture = Fixture::open().await;
    let number = libc::SYS_ioprio_get.to_string();
    let inherited = fixture.program(PYTHON, &INHERITED.replace("IOPRIO_GET", &number)).await;
    let attack = fixture.program(C, ATTACK).await;
    let values = fixture.workspace.run(&inherited, Bytes::new(), &limits()).await.unwrap();
    let before = printed(&values);
    for _ in 0..2 {
        let run = fixture.workspace.run(&attack, Bytes::new(), &limits()).await.unwrap();
        assert_eq!(printed(&run), "done");
        let values = fixture.workspace.run(&inherited, Bytes::new(), &limits()).await.unwrap();
        assert_eq!(printed(&values), before);
    }
}

#[tokio::test]
async fn input_belongs_to_the_run() {
    let mut fixture = Fixture::open().await;
    let source = "import os, stat\ns = os.fstat(0)\n\
        print(stat.S_ISREG(s.st_mode), s.st_size, stat.filemode(s.st_mode))\n\
        for change in (lambda: os.fchmod(0, 0), lambda: os.utime(0, (1, 1)), lambda: os.setxattr(0, 'user.trace', b'x')):\n \
        try: change()\n except OSError: pass\nprint(os.read(0, 1))";
    let program = fixture.program(PYTHON, source).await;
    for _ in 0..2 {
        let run = fixture.workspace.run(&program, Bytes::new(), &limits()).await.unwrap();
        assert_eq!(printed(&run), "True 0 -r-xr-xr-x\nb''");
    }
    let host = std::fs::metadata("/dev/null").unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&host.permissions()) & 0o777, 0o666);
}
