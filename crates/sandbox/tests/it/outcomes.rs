//! Every way in which a run can end has exactly one outcome.

use std::time::Duration;

use gavel_domain::{Clock, Outcome};
use gavel_sandbox::{RunLimits, Sandbox, SandboxConfig};

use crate::support::{C, CPP, Fixture, JAVASCRIPT, MIB, PYTHON, config, limits, printed, tiers};

const CPU: Outcome = Outcome::TimeLimit { clock: Clock::Cpu };
const WALL: Outcome = Outcome::TimeLimit { clock: Clock::Wall };

fn short() -> RunLimits {
    RunLimits { cpu_time: Duration::from_millis(400), wall_time: Duration::from_millis(1200), ..limits() }
}

/// For programs that use CPU time, which takes longer on a busy machine.
fn spinning() -> RunLimits {
    RunLimits { wall_time: Duration::from_secs(20), ..short() }
}

#[tokio::test]
async fn every_language_runs() {
    let mut fixture = Fixture::open().await;
    let served: Vec<u32> = fixture.sandbox.languages().iter().map(|language| language.id.0).collect();
    assert_eq!(served, [50, 54, 52, 71, 63]);
    assert!(fixture.sandbox.languages().iter().all(|language| !language.version.is_empty()));
    let sources = [
        (C, "#include <stdio.h>\n#include <math.h>\nint main(){printf(\"%.0f\\n\", sqrt(1764));}"),
        (CPP, "#include <iostream>\nint main(){std::cout << 42 << std::endl;}"),
        (PYTHON, "print(6 * 7)"),
        (JAVASCRIPT, "console.log(6 * 7)"),
    ];
    for (language, source) in sources {
        let run = fixture.run(language, source, &limits()).await;
        assert_eq!(printed(&run), "42", "{language}");
        assert!(run.usage.cpu_time > Duration::ZERO && run.usage.wall_time > Duration::ZERO);
        assert!(run.usage.memory_bytes > 0);
    }
}

#[tokio::test]
async fn exit_codes_and_signals_are_reported() {
    let mut fixture = Fixture::open().await;
    assert_eq!(fixture.c("int main(){return 0;}").await.outcome, Outcome::Exited { code: 0 });
    assert_eq!(fixture.c("int main(){return 7;}").await.outcome, Outcome::Exited { code: 7 });
    assert_eq!(fixture.python("import sys; sys.exit(255)").await.outcome, Outcome::Exited { code: 255 });
    let cases = [
        ("#include <stdlib.h>\nint main(){abort();}", libc::SIGABRT),
        ("int main(){*(volatile int*)8 = 1;}", libc::SIGSEGV),
        ("int main(int c,char**v){volatile int z=c-1;return 1000/z;}", libc::SIGFPE),
        ("#include <signal.h>\nint main(){raise(SIGKILL);}", libc::SIGKILL),
        ("#include <signal.h>\nint main(){raise(SIGTERM);}", libc::SIGTERM),
    ];
    for (source, signal) in cases {
        assert_eq!(fixture.c(source).await.outcome, Outcome::Signaled { signal }, "{source}");
    }
    let uncaught = fixture.python("raise ValueError(1)").await;
    assert_eq!(uncaught.outcome, Outcome::Exited { code: 1 });
    assert!(String::from_utf8_lossy(&uncaught.stderr).contains("ValueError: 1"));
}

#[tokio::test]
async fn busy_loop_is_ended_soon_after_the_cpu_limit() {
    let mut fixture = Fixture::open().await;
    let run = fixture.run(C, "int main(){for(;;);}", &spinning()).await;
    assert_eq!(run.outcome, CPU);
    assert!(run.usage.cpu_time >= Duration::from_millis(400), "{:?}", run.usage);
    assert!(run.usage.cpu_time < Duration::from_millis(500), "{:?}", run.usage);
}

#[tokio::test]
async fn cpu_time_of_all_processes_counts_together() {
    let mut fixture = Fixture::open().await;
    let source = "#include <unistd.h>\nint main(){fork();fork();for(;;);}";
    let run = fixture.run(C, source, &spinning()).await;
    assert_eq!(run.outcome, CPU);
    assert!(run.usage.cpu_time < Duration::from_millis(600), "{:?}", run.usage);
}

#[tokio::test]
async fn ignored_cpu_signal_does_not_avoid_the_cpu_limit() {
    let mut fixture = Fixture::open().await;
    let source = "#include <signal.h>\nint main(){for(int i=1;i<65;i++)signal(i,SIG_IGN);for(;;);}";
    assert_eq!(fixture.run(C, source, &spinning()).await.outcome, CPU);
}

#[tokio::test]
async fn sleeping_and_stopped_programs_exceed_the_wall_limit() {
    let mut fixture = Fixture::open().await;
    let stopped = "#include <signal.h>\nint main(){raise(SIGSTOP);}";
    let asleep = "#include <unistd.h>\nint main(){sleep(60);}";
    for source in [stopped, asleep] {
        let brief = RunLimits { wall_time: short().wall_time, ..limits() };
        let run = fixture.run(C, source, &brief).await;
        assert_eq!(run.outcome, WALL);
        assert!(run.usage.wall_time < Duration::from_secs(3), "{:?}", run.usage);
    }
}

#[tokio::test]
async fn memory_is_limited_however_it_is_allocated() {
    let mut fixture = Fixture::open().await;
    let heap = "#include <stdlib.h>\n#include <string.h>\nint main(){for(;;){char*p=malloc(1<<20);\
                if(p)memset(p,1,1<<20);}}";
    let map = "#include <sys/mman.h>\n#include <string.h>\nint main(){for(;;){char*p=mmap(0,1<<22,3,\
               MAP_SHARED|MAP_ANONYMOUS,-1,0);memset(p,1,1<<22);}}";
    let children = "#include <unistd.h>\n#include <string.h>\n#include <stdlib.h>\n#include <sys/wait.h>\n\
                    int main(){for(int i=0;i<16;i++)if(!fork()){char*p=malloc(8<<20);memset(p,1,8<<20);\
                    pause();}while(wait(0)>0);return 1;}";
    let static_data = "char a[200<<20];int main(){for(long i=0;i<sizeof a;i+=4096)a[i]=1;return a[12345];}";
    for source in [heap, map, children, static_data] {
        let run = fixture.c(source).await;
        assert_eq!(run.outcome, Outcome::MemoryLimit, "{source}\n{:?}", run.usage);
        assert!(run.usage.memory_bytes > 50 * MIB, "{source}\n{:?}", run.usage);
    }
    let python = fixture.python("a=[]\nwhile True: a.append(bytearray(1<<20))").await;
    assert_eq!(python.outcome, Outcome::MemoryLimit);
    let refused = fixture.python("a = bytearray(1 << 50)").await;
    assert_eq!(refused.outcome, Outcome::MemoryLimit);
    let script = fixture.run(JAVASCRIPT, "const a=[];for(;;)a.push(new Array(1e5).fill(1))", &limits()).await;
    assert_eq!(script.outcome, Outcome::MemoryLimit);
}

#[tokio::test]
async fn files_count_as_memory() {
    let mut fixture = Fixture::open().await;
    for directory in ["/tmp", "/box/work", "/dev/shm"] {
        let source = format!(
            "import os\nf=open('{directory}/f{{}}'.format(0),'wb')\nn=0\nwhile True:\n f.write(b'x'*(1<<20))\n \
             n+=1\n if n%32==0:\n  f=open('{directory}/f%d'%n,'wb')\n"
        );
        let run = fixture.python(&source).await;
        assert_eq!(run.outcome, Outcome::MemoryLimit, "{directory} {}", String::from_utf8_lossy(&run.stderr));
        // The next run is not charged for any of it.
        assert_eq!(printed(&fixture.python("print(1)").await), "1");
    }
}

#[tokio::test]
async fn init_survives_files_of_killed_writers() {
    let mut fixture = Fixture::open().await;
    // Memory stays full when a writer is killed: the kernel looks for another process to kill, and must not choose the
    // init.
    let source = "#include <unistd.h>\n#include <fcntl.h>\n#include <stdio.h>\n#include <signal.h>\n\
                  char b[1<<16];int main(){signal(SIGCHLD,SIG_IGN);for(int i=0;i<24;i++)if(!fork()){char n[32];\
                  sprintf(n,\"/tmp/%d\",i);int f=open(n,O_CREAT|O_WRONLY,0600);for(;;)write(f,b,sizeof b);}\
                  for(;;)vfork()?0:_exit(0);}";
    let program = fixture.program(C, source).await;
    for _ in 0..3 {
        let run = fixture.workspace.run(&program, bytes::Bytes::new(), &limits()).await.unwrap();
        assert_eq!(run.outcome, Outcome::MemoryLimit);
    }
}

#[tokio::test]
async fn memory_kill_of_a_child_is_a_memory_limit_however_the_parent_ends() {
    let mut fixture = Fixture::open().await;
    for code in [0, 1] {
        let source = format!(
            "#include <unistd.h>\n#include <stdlib.h>\n#include <string.h>\n#include <sys/wait.h>\nint main(){{\
             if(!fork()){{for(;;){{char*p=malloc(1<<20);memset(p,1,1<<20);}}}}wait(0);return {code};}}"
        );
        assert_eq!(fixture.c(&source).await.outcome, Outcome::MemoryLimit);
    }
}

#[tokio::test]
async fn parent_that_never_reaps_a_killed_child_is_ended_before_the_wall_limit() {
    let mut fixture = Fixture::open().await;
    let source = "#include <unistd.h>\n#include <stdlib.h>\n#include <string.h>\nint main(){\
                  if(!fork())for(;;){char*p=malloc(1<<20);memset(p,1,1<<20);}for(;;)pause();}";
    let long = RunLimits { wall_time: Duration::from_mins(1), ..limits() };
    let run = fixture.run(C, source, &long).await;
    assert_eq!(run.outcome, Outcome::MemoryLimit);
    assert!(run.usage.wall_time < Duration::from_secs(30), "{:?}", run.usage);
}

#[tokio::test]
async fn limit_too_low_to_start_is_a_memory_limit() {
    let mut fixture = Fixture::open().await;
    let large = "char a[1<<30];int main(){for(long i=0;i<sizeof a;i+=4096)a[i]=1;return a[12345];}";
    let tiny = RunLimits { memory_bytes: MIB, ..limits() };
    assert_eq!(fixture.run(C, large, &tiny).await.outcome, Outcome::MemoryLimit);
    let python = fixture.run(PYTHON, "print(1)", &RunLimits { memory_bytes: 4096, ..limits() }).await;
    assert_eq!(python.outcome, Outcome::MemoryLimit);
    assert_eq!(printed(&fixture.python("print(1)").await), "1");
}

#[tokio::test]
async fn memory_usage_excludes_earlier_runs() {
    let mut fixture = Fixture::open().await;
    let taker = fixture
        .program(
            C,
            "#include <stdlib.h>\nint main(){volatile char*p=malloc(40<<20);\
                                  for(long i=0;i<40<<20;i+=4096)p[i]=1;return 0;}",
        )
        .await;
    let small = fixture.program(C, "int main(){return 0;}").await;
    let run = fixture.workspace.run(&taker, bytes::Bytes::new(), &limits()).await.unwrap();
    assert!((40 * MIB..48 * MIB).contains(&run.usage.memory_bytes), "{:?}", run.usage);
    let run = fixture.workspace.run(&small, bytes::Bytes::new(), &limits()).await.unwrap();
    assert!(run.usage.memory_bytes < 2 * MIB, "{:?}", run.usage);
}

#[tokio::test]
async fn memory_usage_excludes_the_judges_own() {
    let judges_own = std::hint::black_box(vec![1_u8; 200 << 20]);
    let taker = "#include <stdlib.h>\nint main(){volatile char*p=malloc(40<<20);\
                 for(long i=0;i<40<<20;i+=4096)p[i]=1;return 0;}";
    for tier in tiers() {
        let sandbox = Sandbox::start(SandboxConfig { tier, ..config(1) }).await.unwrap();
        let mut fixture = Fixture { workspace: sandbox.workspace().await.unwrap(), sandbox };
        let run = fixture.c(taker).await;
        assert!((40 * MIB..48 * MIB).contains(&run.usage.memory_bytes), "{tier:?}: {:?}", run.usage);
    }
    drop(judges_own);
}

#[tokio::test]
async fn fork_bomb_is_limited_and_ended() {
    let mut fixture = Fixture::open().await;
    let run = fixture.run(C, "#include <unistd.h>\nint main(){for(;;)fork();}", &short()).await;
    assert!(matches!(run.outcome, Outcome::TimeLimit { .. }), "{:?}", run.outcome);
    let count = "import os\nn=0\ntry:\n while True:\n  if os.fork()==0:\n   import time; time.sleep(60)\n  n+=1\n\
                 except BlockingIOError: print(n)";
    let few = RunLimits { processes: 10, ..limits() };
    assert_eq!(printed(&fixture.run(PYTHON, count, &few).await), "9");
}

#[tokio::test]
async fn file_size_and_number_are_limited() {
    let mut fixture = Fixture::open().await;
    let large = RunLimits { file_bytes: MIB, ..limits() };
    let source = "f=open('/box/work/f','wb',0)\ntry:\n while True: f.write(b'x'*65536)\nexcept OSError as e: \
                  print(e.errno, f.tell())";
    assert_eq!(printed(&fixture.run(PYTHON, source, &large).await), format!("{} {MIB}", libc::EFBIG));
    let many = "n=0\ntry:\n while n<100000:\n  open('/tmp/%d'%n,'w').close(); n+=1\nexcept OSError as e: \
                print(e.errno, n < 17000)";
    let long = RunLimits { cpu_time: limits().cpu_time * 3, wall_time: limits().wall_time * 3, ..limits() };
    assert_eq!(printed(&fixture.run(PYTHON, many, &long).await), format!("{} True", libc::ENOSPC));
    assert_eq!(printed(&fixture.python("import os; print(os.listdir('/tmp'))").await), "[]");
}

#[tokio::test]
async fn first_cause_is_the_outcome_if_causes_race() {
    let mut fixture = Fixture::open().await;
    // Memory runs out, and a second process or the program itself makes it look like another cause.
    let hog = "#include <unistd.h>\n#include <stdlib.h>\n#include <string.h>\n#include <signal.h>\n#include <sys/wait.h>\n\
               int hog(){for(;;){char*p=malloc(1<<20);if(!p)abort();memset(p,1,1<<20);}}\n";
    let rows = [
        ("int main(){int p=fork();if(!p)hog();waitpid(p,0,0);raise(SIGSEGV);}", Outcome::MemoryLimit),
        ("int main(){int p=fork();if(!p)hog();waitpid(p,0,0);pause();}", Outcome::MemoryLimit),
        ("int main(){signal(SIGTERM,SIG_IGN);hog();}", Outcome::MemoryLimit),
        // No process reads this pipe: the program causes the signal itself.
        (
            "int main(){int f[2];pipe(f);close(f[0]);write(f[1],\"x\",1);}",
            Outcome::Signaled { signal: libc::SIGPIPE },
        ),
        ("int main(){raise(SIGXCPU);}", Outcome::Signaled { signal: libc::SIGXCPU }),
        ("int main(){kill(0,SIGKILL);pause();}", Outcome::Signaled { signal: libc::SIGKILL }),
        (
            "int main(){int p=fork();if(!p){raise(SIGSTOP);}usleep(20000);return 5;}",
            Outcome::Exited { code: 5 },
        ),
    ];
    for (source, outcome) in rows {
        let program = fixture.program(C, &format!("{hog}{source}")).await;
        for _ in 0..3 {
            let run = fixture.workspace.run(&program, bytes::Bytes::new(), &limits()).await.unwrap();
            assert_eq!(run.outcome, outcome, "{source} {:?}", run.usage);
        }
    }
}

#[tokio::test]
async fn time_limit_exceeded_during_a_flood_is_one_of_the_two() {
    let mut fixture = Fixture::open().await;
    let source = "#include <unistd.h>\nchar b[65536];int main(){for(;;)write(1,b,sizeof b);}";
    let limits = RunLimits { stdout_bytes: 8 * MIB, ..short() };
    let run = fixture.run(C, source, &limits).await;
    let flooded = Outcome::OutputLimit { stream: gavel_domain::OutputStream::Stdout };
    assert!(run.outcome == flooded || run.outcome == CPU || run.outcome == WALL, "{:?}", run.outcome);
    assert!(run.stdout.len() as u64 <= limits.stdout_bytes);
}

#[tokio::test]
async fn open_files_are_limited() {
    let mut fixture = Fixture::open().await;
    let source = "import os\nn=3\ntry:\n while True: os.open('/dev/null',0); n+=1\nexcept OSError as e: print(e.errno, n)";
    assert_eq!(printed(&fixture.python(source).await), format!("{} 1024", libc::EMFILE));
}
