//! Input and output: arbitrary bytes, bounded, and never blocking the judge.

use bytes::Bytes;
use gavel_domain::{Outcome, OutputStream};
use gavel_sandbox::RunLimits;

use crate::support::{C, Fixture, JAVASCRIPT, MIB, PYTHON, limits, printed};

const FLOOD: &str = "#include <unistd.h>\nchar b[65536];int main(){for(;;)write(FD,b,sizeof b);}";

#[tokio::test]
async fn flood_on_either_stream_is_an_output_limit() {
    let mut fixture = Fixture::open().await;
    for (fd, stream) in [("1", OutputStream::Stdout), ("2", OutputStream::Stderr)] {
        let run = fixture.c(&FLOOD.replace("FD", fd)).await;
        assert_eq!(run.outcome, Outcome::OutputLimit { stream });
        let (flooded, limit) = match stream {
            OutputStream::Stdout => (run.stdout, limits().stdout_bytes),
            OutputStream::Stderr => (run.stderr, limits().stderr_bytes),
        };
        assert_eq!(flooded.len() as u64, limit);
    }
}

#[tokio::test]
async fn one_byte_too_many_is_an_output_limit_even_if_the_program_succeeds() {
    let mut fixture = Fixture::open().await;
    let ten = RunLimits { stdout_bytes: 10, stderr_bytes: 10, ..limits() };
    let run = fixture.run(PYTHON, "print('123456789')", &ten).await;
    assert_eq!(printed(&run), "123456789");
    let run = fixture.run(PYTHON, "print('1234567890')", &ten).await;
    assert_eq!(run.outcome, Outcome::OutputLimit { stream: OutputStream::Stdout });
    assert_eq!(run.stdout, b"1234567890");
    let source = "import os\nos.write(2, b'x'*11)\nos.kill(os.getpid(), 13)";
    let run = fixture.run(PYTHON, source, &ten).await;
    assert_eq!(run.outcome, Outcome::OutputLimit { stream: OutputStream::Stderr });
}

#[tokio::test]
async fn flood_from_two_processes_is_an_output_limit() {
    let mut fixture = Fixture::open().await;
    let source = "#include <unistd.h>\nchar b[65536];int main(){fork();for(;;)write(1,b,sizeof b);}";
    let run = fixture.c(source).await;
    assert_eq!(run.outcome, Outcome::OutputLimit { stream: OutputStream::Stdout });
}

#[tokio::test]
async fn arbitrary_bytes_pass_unchanged_both_ways() {
    let mut fixture = Fixture::open().await;
    let program = fixture
        .program(
            C,
            "#include <unistd.h>\nchar b[4096];int main(){long n;\
                                    while((n=read(0,b,4096))>0)write(1,b,n);}",
        )
        .await;
    let all: Vec<u8> = (0..=255_u8).cycle().take(300_000).collect();
    let run = fixture.workspace.run(&program, Bytes::from(all.clone()), &limits()).await.unwrap();
    assert!(run.outcome.is_success());
    assert_eq!(run.stdout, all);
    let run = fixture.workspace.run(&program, Bytes::new(), &limits()).await.unwrap();
    assert_eq!((run.outcome, run.stdout.len()), (Outcome::Exited { code: 0 }, 0));
}

#[tokio::test]
async fn unread_or_closed_input_blocks_nothing() {
    let mut fixture = Fixture::open().await;
    let ignoring = fixture.program(C, "int main(){return 0;}").await;
    let closing =
        fixture.program(C, "#include <unistd.h>\nint main(){close(0);close(1);close(2);return 4;}").await;
    let large = Bytes::from(vec![b'x'; 64 << 20]);
    let run = fixture.workspace.run(&ignoring, large.clone(), &limits()).await.unwrap();
    assert_eq!(run.outcome, Outcome::Exited { code: 0 });
    let run = fixture.workspace.run(&closing, large, &limits()).await.unwrap();
    assert_eq!(run.outcome, Outcome::Exited { code: 4 });
}

#[tokio::test]
async fn program_cannot_change_its_input() {
    let mut fixture = Fixture::open().await;
    let source = "import os\nfor how in ('r+b','wb','ab'):\n try:\n  f=open('/proc/self/fd/0',how,0)\n  f.write(b'y')\n  \
                  print('written')\n except OSError as e: print('no')\nprint(os.read(0,9))";
    let program = fixture.program(PYTHON, source).await;
    let run = fixture.workspace.run(&program, Bytes::from_static(b"abc"), &limits()).await.unwrap();
    assert_eq!(printed(&run), "no\nno\nno\nb'abc'");
}

#[tokio::test]
async fn child_that_holds_the_streams_does_not_delay_the_end() {
    let mut fixture = Fixture::open().await;
    let source = "#include <unistd.h>\nint main(){if(!fork()){setsid();for(;;)pause();}write(1,\"done\",4);}";
    let run = fixture.c(source).await;
    assert_eq!(printed(&run), "done");
    assert!(run.usage.wall_time < std::time::Duration::from_secs(1));
}

#[tokio::test]
async fn streams_can_be_opened_by_name() {
    let mut fixture = Fixture::open().await;
    let source = "const fs=require('fs');fs.writeFileSync('/dev/stdout', fs.readFileSync('/dev/stdin'));\
                  fs.writeFileSync('/dev/stderr', 'e')";
    let program = fixture.program(JAVASCRIPT, source).await;
    for input in [&b"abc"[..], b""] {
        let run = fixture.workspace.run(&program, Bytes::from_static(input), &limits()).await.unwrap();
        assert_eq!(printed(&run).as_bytes(), input);
        assert_eq!(run.stderr, b"e");
    }
}

#[tokio::test]
async fn correct_answer_of_any_size_is_not_kept() {
    let mut fixture = Fixture::open().await;
    let source =
        "#include <stdio.h>\nint main(){for(int i=0;i<1<<20;i++)puts(\"0123456789abcde\");puts(\"end\");}";
    let program = fixture.program(C, source).await;
    let expected = "0123456789abcde\n".repeat(1 << 20);
    let large = RunLimits { stdout_bytes: 64 * MIB, ..limits() };
    let run = fixture.workspace.run_expecting(&program, b"", &large, expected.as_bytes()).await.unwrap();
    assert!(run.outcome.is_success(), "{:?}", run.outcome);
    assert_eq!((run.matched_bytes, run.stdout.as_slice()), (expected.len(), &b"end\n"[..]));
}
