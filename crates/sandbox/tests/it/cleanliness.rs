//! A run leaves nothing in its slot.

use bytes::Bytes;
use gavel_domain::Outcome;
use gavel_sandbox::RunLimits;

use crate::support::{C, Fixture, MIB, limits, printed};

/// Prints everything that an earlier run could have left.
const TRACES: &str = "import os\nfor d in ['/tmp','/dev/shm','/box/work']: print(os.listdir(d), oct(os.stat(d).st_mode), os.listxattr(d))\n\
    print(sorted(os.listdir('/box')), oct(os.stat('/box').st_mode), os.listxattr('/box'))\n\
    print([p for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()])\n\
    import ctypes\nlibc=ctypes.CDLL(None)\nprint(libc.shmget(4711,1,0), libc.semget(4711,1,0), libc.msgget(4711,0))";
const NO_TRACES: &str =
    "[] 0o40700 []\n[] 0o40700 []\n[] 0o40700 []\n['program', 'tmp', 'work'] 0o40755 []\n[]\n-1 -1 -1";

#[tokio::test]
async fn next_run_finds_no_trace() {
    let mut fixture = Fixture::open().await;
    let source = "import os, ctypes, time\nlibc=ctypes.CDLL(None)\n\
        assert libc.shmget(4711,4096,0o1666)>=0 and libc.semget(4711,1,0o1666)>=0 and libc.msgget(4711,0o1666)>=0\n\
        for k in range(4712,4720): libc.shmget(k,4096,0o1666)\n\
        open('/dev/shm/shared','w').write('x')\nfor d in ['/tmp','/box/work']:\n os.makedirs(d+'/a/b/c'); open(d+'/a/file','w').write('x')\n \
        os.symlink('/',d+'/link'); os.mkfifo(d+'/fifo'); os.chmod(d+'/a',0)\n\
        for d in ['/box','/box/work','/tmp']:\n try: os.setxattr(d,'user.trace',b'x')\n except OSError: pass\n\
        try: open('/box/left','w'); os.mkdir('/box/deep'); os.rename('/box/tmp','/box/deep/tmp')\nexcept OSError: pass\n\
        for d in ['/box','/box/work','/tmp']:\n try: os.chmod(d,0)\n except OSError: pass\n\
        if os.fork()==0:\n os.setsid()\n if os.fork()==0:\n  import signal\n  for s in range(1,65):\n   try: \
        signal.signal(s,signal.SIG_IGN)\n   except OSError: pass\n  time.sleep(100)\n os._exit(0)\nprint('left')";
    assert_eq!(printed(&fixture.python(source).await), "left");
    assert_eq!(printed(&fixture.python(TRACES).await), NO_TRACES);
}

#[tokio::test]
async fn daemons_are_gone_after_the_run() {
    let mut fixture = Fixture::open().await;
    let source = "#include <unistd.h>\n#include <signal.h>\nint main(){for(int i=0;i<20;i++)if(!fork()){setsid();\
                  if(fork())_exit(0);signal(SIGTERM,SIG_IGN);signal(SIGHUP,SIG_IGN);for(;;){if(fork())_exit(0);}}\
                  usleep(50000);return 0;}";
    let wide = RunLimits { processes: 200, ..limits() };
    let run = fixture.run(C, source, &wide).await;
    assert!(
        matches!(run.outcome, Outcome::Exited { code: 0 } | Outcome::TimeLimit { .. }),
        "{:?}",
        run.outcome
    );
    assert_eq!(printed(&fixture.python(TRACES).await), NO_TRACES);
}

#[tokio::test]
async fn tree_too_deep_to_remove_costs_only_the_slot() {
    let mut fixture = Fixture::open().await;
    let source = "import os\nfor i in range(500):\n os.mkdir('d'); os.chdir('d')\nprint('deep')";
    let program = fixture.program(crate::support::PYTHON, source).await;
    for _ in 0..3 {
        let run = fixture.workspace.run(&program, Bytes::new(), &limits()).await.unwrap();
        assert_eq!(printed(&run), "deep");
    }
    assert_eq!(printed(&fixture.python(TRACES).await), NO_TRACES);
}

#[tokio::test]
async fn program_is_unloaded_before_the_next_submission() {
    let mut fixture = Fixture::open().await;
    fixture.c("int main(){return 0;}").await;
    drop(fixture.workspace);
    fixture.workspace = fixture.sandbox.workspace().await.unwrap();
    let run = fixture.python("import os; print(os.listdir('/box/program'))").await;
    assert_eq!(printed(&run), "['main.py']");
}

#[tokio::test]
async fn thousand_runs_leak_nothing() {
    let mut fixture = Fixture::open().await;
    let program = fixture.program(C, "int main(){return 0;}").await;
    let quick = limits();
    let mut before = None;
    for round in 0..1000 {
        let run = fixture.workspace.run(&program, Bytes::new(), &quick).await.unwrap();
        assert_eq!(run.outcome, Outcome::Exited { code: 0 });
        if round == 10 {
            before = Some(counts());
        }
    }
    let (before, after) = (before.unwrap(), counts());
    // Other tests in this process open descriptors too, but not a thousand.
    assert!(after.0 < before.0 + 200, "descriptors: {before:?} {after:?}");
    // Likewise other processes on this machine may mount something.
    assert!(after.1 < before.1 + 200, "mounts of the host: {before:?} {after:?}");
    let traces = "import os\nprint(len(open('/proc/self/mountinfo').readlines()), \
                  len([p for p in os.listdir('/proc') if p.isdigit()]), os.getpid() > 900)";
    assert!(printed(&fixture.python(traces).await).ends_with(" 1 True"));
}

#[tokio::test]
async fn memory_of_system_v_objects_is_free_for_the_next_run() {
    let mut fixture = Fixture::open().await;
    let source = "#include <sys/sem.h>\nint main(){for(int i=0;i<40;i++)if(semget(IPC_PRIVATE,32000,01600)<0)return 1;}";
    let hog = fixture.program(C, source).await;
    let honest = fixture.program(C, "#include <stdio.h>\nint main(){puts(\"1\");}").await;
    for memory_bytes in [256 * MIB, 64 * MIB, 256 * MIB] {
        let large = RunLimits { memory_bytes, ..limits() };
        let full = fixture.workspace.run(&hog, Bytes::new(), &large).await.unwrap();
        assert_eq!(
            full.outcome.is_success(),
            memory_bytes > 100 * MIB,
            "{:?} {:?}",
            full.outcome,
            full.usage
        );
        let small = RunLimits { memory_bytes: 16 * MIB, ..limits() };
        let run = fixture.workspace.run(&honest, Bytes::new(), &small).await.unwrap();
        assert_eq!(printed(&run), "1");
    }
    fixture.sandbox.shutdown().await;
}

/// Sends files to a socket that holds itself: the kernel frees them some time after the program has ended.
const LEAVES_FILES_IN_FLIGHT: &str = r#"#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
static char block[1 << 20];
int main(void) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return 1;
    int sent[5] = {pair[1]};
    for (int i = 1; i < 5; i++) {
        sent[i] = memfd_create("left", 0);
        if (sent[i] < 0) sent[i] = open("/tmp", O_TMPFILE | O_RDWR, 0600);
        for (int n = 0; n < 50; n++) if (write(sent[i], block, sizeof block) != sizeof block) return 3;
    }
    char byte = 0, control[CMSG_SPACE(sizeof sent)] = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof sent);
    memcpy(CMSG_DATA(header), sent, sizeof sent);
    return sendmsg(pair[0], &message, 0) == 1 ? 0 : 4;
}"#;
/// Uses most of its memory limit at once.
const USES_MEMORY: &str = "#include <string.h>\nstatic char block[200 << 20];\nint main(){memset(block, 1, sizeof block); return block[4711] - 1;}";

#[tokio::test]
async fn memory_of_files_in_flight_is_free_for_the_next_run() {
    let mut fixture = Fixture::open().await;
    let hog = fixture.program(C, LEAVES_FILES_IN_FLIGHT).await;
    let honest = fixture.program(C, USES_MEMORY).await;
    let small = fixture.program(C, "int main(){return 0;}").await;
    let mut refused = 0;
    for round in 0..20 {
        for (program, mib) in [(&hog, 256), (&honest, 256), (&hog, 256), (&small, 16)] {
            let limits = RunLimits { memory_bytes: mib * MIB, ..limits() };
            let run = fixture.workspace.run(program, Bytes::new(), &limits).await.unwrap();
            // The kernel also counts what this user's other processes have in flight.
            if std::ptr::eq(program, &raw const hog) && run.outcome == (Outcome::Exited { code: 4 }) {
                refused += 1;
                continue;
            }
            assert_eq!(run.outcome, Outcome::Exited { code: 0 }, "round {round}, {mib} MiB: {:?}", run.usage);
        }
    }
    assert!(refused < 20, "{refused} of 40 messages were refused");
    fixture.sandbox.shutdown().await;
}

/// Open descriptors and mounts of this process.
fn counts() -> (usize, usize) {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    (descriptors, std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count())
}
