//! What a program can see and reach: only itself and the toolchains.

use std::fmt::Write;
use std::net::TcpListener;

use crate::AS_ROOT;
use crate::support::{Fixture, is_programs_id, limits, printed, sandbox};

#[tokio::test]
async fn host_files_and_processes_are_hidden() {
    let mut fixture = Fixture::open().await;
    let marker = tempfile::NamedTempFile::new().unwrap();
    let source = format!(
        "import os\nfor p in ['/etc/shadow','/etc/hostname','/root','/home','/sys','/run','/var','{}','{}',\
         '/proc/meminfo','/proc/cmdline','/proc/sys','/proc/kcore','/proc/mounts/..']:\n \
         print(p) if os.path.exists(p) else None\n\
         print(sorted(int(p) for p in os.listdir('/proc') if p.isdigit()) == [os.getpid()])\n\
         print(os.uname().nodename, os.getuid() == os.getgid(), os.getgroups() in ([], [65534]))\n\
         print(sorted(os.listdir('/dev')))\nprint(os.getuid())",
        marker.path().display(),
        env!("CARGO_MANIFEST_DIR"),
    );
    let run = fixture.python(&source).await;
    let devices = "['fd', 'full', 'null', 'random', 'shm', 'stderr', 'stdin', 'stdout', 'urandom', 'zero']";
    let printed = printed(&run);
    let (fixed, id) = printed.rsplit_once('\n').unwrap();
    assert_eq!(fixed, format!("True\nbox True True\n{devices}"));
    assert!(is_programs_id(id.parse().unwrap()), "{id}");
}

#[tokio::test]
async fn judge_environment_and_memory_are_unreachable() {
    let mut fixture = Fixture::open().await;
    let source = "import os\nprint(sorted(os.environ))\n\
                  for f in ['environ','mem','maps','cwd','exe','root','fd','fdinfo','ns/net']:\n p='/proc/1/'+f\n \
                  for how in (lambda: open(p,'rb').read(9), lambda: os.listdir(p), lambda: os.readlink(p)):\n  \
                  try: r=how(); print(p, r)\n  except OSError: pass\n\
                  for fd in range(3, 64):\n try: os.fstat(fd); print('fd', fd, os.readlink('/proc/self/fd/%d'%fd))\n \
                  except OSError: pass\n";
    let variables = "['HOME', 'LANG', 'PATH', 'PYTHONDONTWRITEBYTECODE', 'TMPDIR']";
    assert_eq!(printed(&fixture.python(source).await), variables);
    // A C program that has opened nothing has three descriptors.
    let fds = "#include <stdio.h>\n#include <fcntl.h>\nint main(){for(int i=0;i<1024;i++)if(fcntl(i,F_GETFD)>=0)\
               printf(\"%d \",i);}";
    assert_eq!(printed(&fixture.c(fds).await), "0 1 2");
}

#[tokio::test]
async fn network_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut fixture = Fixture::open().await;
    let source = format!(
        "import socket\nfor f, a in ((2,('127.0.0.1',{port})),(2,('192.0.2.1',80)),(10,('::1',{port})),\
         (16,None),(17,None),(40,(2,{port}))):\n try:\n  s=socket.socket(f,socket.SOCK_STREAM)\n  s.settimeout(1)\n  \
         s.connect(a)\n  print('reached',a)\n except OSError as e: print(e.errno)\nprint(len(open('/proc/net/dev').\
         readlines()) if __import__('os').path.exists('/proc/net/dev') else 0)"
    );
    let run = fixture.python(&source).await;
    let lines: Vec<_> = printed(&run).lines().map(str::to_owned).collect();
    assert_eq!(lines[..6], [&libc::EAFNOSUPPORT.to_string()[..]; 6].map(str::to_owned), "{lines:?}");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "a program connected");
}

#[tokio::test]
async fn unix_sockets_and_pipes_work_within() {
    let mut fixture = Fixture::open().await;
    let source = "import socket, os\na,b=socket.socketpair()\na.send(b'hi')\nprint(b.recv(2))\n\
                  s=socket.socket(socket.AF_UNIX); s.bind('/tmp/s'); s.listen()\n\
                  c=socket.socket(socket.AF_UNIX); c.connect('/tmp/s'); print('connected')\n\
                  import threading, multiprocessing\nt=threading.Thread(target=lambda: print('thread'))\nt.start(); t.join()\n\
                  q=multiprocessing.Queue()\np=multiprocessing.Process(target=q.put,args=(5,)); p.start()\nprint(q.get()); p.join()";
    assert_eq!(printed(&fixture.python(source).await), "b'hi'\nconnected\nthread\n5");
}

#[tokio::test]
async fn toolchain_and_root_are_read_only() {
    let mut fixture = Fixture::open().await;
    // Without separate ids the box's top directory belongs to programs, as /box/work and /tmp do.
    let box_dir = if AS_ROOT { "/box" } else { "/box/program" };
    let source = "import os\nfor d in ['/','/usr','/usr/bin','/etc','/dev','BOX','/box/program','/proc/self','/proc/1']:\n \
                  try: open(d+'/x','w'); print('wrote',d)\n except OSError: pass\n\
                  for f in ['/box/program/main.py','/usr/bin/python3','/etc/passwd','/proc/self/oom_score_adj']:\n \
                  try: open(f,'r+b'); print('opened',f)\n except OSError: pass\n \
                  try: os.rename(f,'/tmp/y'); print('moved',f)\n except OSError: pass\n \
                  try: os.chmod(f,0o777); print('mode',f)\n except OSError: pass\nprint('ok')";
    assert_eq!(printed(&fixture.python(&source.replace("BOX", box_dir)).await), "ok");
}

#[tokio::test]
async fn set_user_id_programs_grant_no_privileges() {
    let mut fixture = Fixture::open().await;
    let source = "import subprocess, os\nfor p in ['/usr/bin/su','/usr/bin/mount','/usr/bin/passwd']:\n \
                  if os.path.exists(p): r=subprocess.run([p,'--version'],stdout=-3,stderr=-3)\n\
                  st=open('/proc/self/status').read()\n\
                  print([l.split()[1] for l in st.splitlines() if l.startswith(('NoNewPrivs','CapEff','CapPrm','Seccomp:'))])";
    let none = "0000000000000000";
    assert_eq!(printed(&fixture.python(source).await), format!("['{none}', '{none}', '1', '2']"));
}

#[tokio::test]
async fn forbidden_system_calls_are_refused() {
    let mut fixture = Fixture::open().await;
    let calls = [
        "SYS_ptrace, 16, 1, 0, 0",
        "SYS_process_vm_readv, 1, 0, 0, 0",
        "SYS_mount, 0, \"/tmp\", \"tmpfs\", 0",
        "SYS_unshare, 0x10000000, 0, 0, 0",
        "SYS_setns, 0, 0, 0, 0",
        "SYS_clone, 0x10000011, 0, 0, 0",
        "SYS_keyctl, 0, 0, 0, 0",
        "SYS_bpf, 0, 0, 0, 0",
        "SYS_io_uring_setup, 1, 0, 0, 0",
        "SYS_userfaultfd, 0, 0, 0, 0",
        "SYS_perf_event_open, 0, 0, 0, 0",
        "SYS_mq_open, \"/q\", 0102, 0600, 0",
        "SYS_open_by_handle_at, 0, 0, 0, 0",
        "SYS_personality, 0x400000, 0, 0, 0",
        "SYS_prlimit64, 1, 9, \"\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\", 0",
        "SYS_fanotify_init, 0, 0, 0, 0",
        "SYS_inotify_init1, 0, 0, 0, 0",
        "SYS_fcntl, 0, 1026, 1, 0",
        "SYS_membarrier, 1, 0, 0, 0",
        "SYS_quotactl_fd, 0, 0, 0, 0",
        "467, -100, \"/\", 1, 0",
        "SYS_mknodat, -100, \"/tmp/w\", 0020666, 0",
        "SYS_sched_setaffinity, 0, 8, \"\\377\\377\\377\\377\\377\\377\\377\", 0",
    ];
    let mut checks = String::new();
    for call in calls {
        let name = call.replace('"', "");
        writeln!(checks, "if(syscall({call})!=-1||errno!=EPERM)puts(\"{name}\");").unwrap();
    }
    let source = format!(
        "#define _GNU_SOURCE\n#include <unistd.h>\n#include <stdio.h>\n#include <errno.h>\n\
         #include <sys/syscall.h>\nint main(){{{checks}if(syscall(SYS_clone3,0,0)!=-1||errno!=ENOSYS)puts(\"clone3\");\
         puts(\"ok\");}}"
    );
    assert_eq!(printed(&fixture.c(&source).await), "ok");
}

#[tokio::test]
async fn init_survives_every_signal_of_a_program() {
    let mut fixture = Fixture::open().await;
    // If both have the same id the signals are sent, and the kernel drops them.
    let source = "import os, time\nfor signal in range(1, 65):\n try: os.kill(1, signal)\n except OSError: pass\n\
                  time.sleep(0.05)\nprint(os.getppid())";
    let program = fixture.program(crate::support::PYTHON, source).await;
    for _ in 0..2 {
        let run = fixture.workspace.run(&program, bytes::Bytes::new(), &limits()).await.unwrap();
        assert_eq!(printed(&run), "1");
    }
}

#[tokio::test]
async fn slot_stays_on_one_cpu() {
    let mut fixture = Fixture::open().await;
    assert_eq!(printed(&fixture.python("import os; print(len(os.sched_getaffinity(0)))").await), "1");
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn calls_through_32_bit_tables_do_not_exist() {
    let mut fixture = Fixture::open().await;
    let source = "#include <errno.h>\n#include <stdio.h>\n#include <unistd.h>\nint main(){int r;\
        __asm__ volatile(\"int $0x80\":\"=a\"(r):\"a\"(20));printf(\"%d \",r==-ENOSYS);\
        printf(\"%d\",syscall(0x40000000+39)==-1&&errno==ENOSYS);}";
    assert_eq!(printed(&fixture.c(source).await), "1 1");
}

#[tokio::test]
async fn links_in_the_box_reach_nothing_outside() {
    let mut fixture = Fixture::open().await;
    let source = "import os\nos.symlink('/','/box/work/root')\nos.symlink('/proc/1/root','/tmp/init')\n\
                  for p in ['/box/work/root/etc/shadow','/tmp/init/etc/shadow']:\n try: open(p); print('read',p)\n \
                  except OSError: pass\nfor p in ['/usr/bin/python3','/etc/passwd','/box/program/main.py']:\n \
                  try: os.link(p,'/tmp/hard'); print('linked',p)\n except OSError: pass\nprint('ok')";
    assert_eq!(printed(&fixture.python(source).await), "ok");
    assert_eq!(printed(&fixture.python("import os; print(os.listdir('/box/work'))").await), "[]");
}

#[tokio::test]
async fn slots_do_not_see_each_other() {
    let sandbox = sandbox(2).await;
    let (mut a, mut b) = (sandbox.workspace().await.unwrap(), sandbox.workspace().await.unwrap());
    let source = b"import os, time\nopen('/tmp/mine','w').close()\ntime.sleep(0.2)\n\
        print(os.listdir('/tmp'), len([p for p in os.listdir('/proc') if p.isdigit()]), os.getuid())";
    let mut outputs = Vec::new();
    let ready = |compiled| match compiled {
        gavel_sandbox::Compilation::Ready(program) => program,
        gavel_sandbox::Compilation::Failed { .. } => panic!("not compiled"),
    };
    let in_a = ready(a.compile(crate::support::PYTHON, source).await.unwrap());
    let in_b = ready(b.compile(crate::support::PYTHON, source).await.unwrap());
    let limits = limits();
    let (ran_a, ran_b) =
        tokio::join!(a.run(&in_a, bytes::Bytes::new(), &limits), b.run(&in_b, bytes::Bytes::new(), &limits));
    outputs.push(printed(&ran_a.unwrap()));
    outputs.push(printed(&ran_b.unwrap()));
    let ids = outputs.iter().map(|output| output.strip_prefix("['mine'] 1 ").unwrap().parse().unwrap());
    let ids: Vec<u32> = ids.collect();
    assert!(ids.iter().all(|id| is_programs_id(*id)) && (ids[0] != ids[1]) == AS_ROOT, "{ids:?}");
    // A program compiled in one workspace runs in another.
    assert!(b.run(&in_a, bytes::Bytes::new(), &limits).await.unwrap().outcome.is_success());
}
