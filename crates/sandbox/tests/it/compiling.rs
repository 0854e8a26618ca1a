//! Compiling: sources may be hostile, so a compiler is limited and isolated like a program.

use gavel_domain::LanguageId;
use gavel_sandbox::{Compilation, SandboxError};

use bytes::Bytes;

use crate::support::{C, CPP, Fixture, limits, printed, sandbox};

async fn failure(fixture: &mut Fixture, language: LanguageId, source: &str) -> String {
    match fixture.workspace.compile(language, source.as_bytes()).await.unwrap() {
        Compilation::Failed { output } => String::from_utf8_lossy(&output).into_owned(),
        Compilation::Ready(_) => panic!("compiled: {source}"),
    }
}

#[tokio::test]
async fn compile_error_contains_the_compilers_output() {
    let mut fixture = Fixture::open().await;
    let output = failure(&mut fixture, C, "int main(){return x;}").await;
    assert!(output.contains("main.c:1:") && output.contains("undeclared"), "{output}");
    let output = failure(&mut fixture, CPP, "int main(){return undefined();}").await;
    assert!(output.contains("not declared"), "{output}");
    let output = failure(&mut fixture, C, "int f(void);int main(){return f();}").await;
    assert!(output.contains("undefined reference"), "{output}");
    assert_eq!(printed(&fixture.c("#include <stdio.h>\nint main(){puts(\"ok\");}").await), "ok");
}

#[tokio::test]
async fn endless_include_is_a_compile_error() {
    let mut fixture = Fixture::open().await;
    for file in ["/dev/zero", "/dev/urandom"] {
        let output = failure(&mut fixture, C, &format!("#include \"{file}\"\nint main(){{}}")).await;
        assert!(output.len() <= (64 << 10) + 200, "{}", output.len());
    }
}

#[tokio::test]
async fn include_of_a_stream_or_of_the_compiler_itself_is_never_a_fault() {
    let mut fixture = Fixture::open().await;
    let special = [
        "/dev/stdin",
        "/dev/stdout",
        "/dev/tty",
        "/proc/self/mem",
        "/proc/self/fd/2",
        "/box/work",
        "main.c/",
    ];
    for file in special {
        let source = format!("#include \"{file}\"\nint main(){{}}");
        let compilation = fixture.workspace.compile(C, source.as_bytes()).await;
        let compilation = compilation.unwrap_or_else(|fault| panic!("{file}: {fault}"));
        if let Compilation::Failed { output } = compilation {
            let output = String::from_utf8_lossy(&output);
            assert!(!output.contains("took too long"), "{file}: {output}");
        }
    }
    assert_eq!(printed(&fixture.c("#include <stdio.h>\nint main(){puts(\"ok\");}").await), "ok");
}

#[tokio::test]
async fn compiler_that_exceeds_a_limit_is_ended() {
    let mut fixture = Fixture::open().await;
    let memory = "template<int n> struct S{char a[n]; S<n-1> s;};\nconst char big[]={\n\
                  #define A 1,1,1,1,1,1,1,1,1,1\n#define B A,A,A,A,A,A,A,A,A,A\n#define C B,B,B,B,B,B,B,B,B,B\n\
                  #define D C,C,C,C,C,C,C,C,C,C\n#define E D,D,D,D,D,D,D,D,D,D\n\
                  #define F E,E,E,E,E,E,E,E,E,E\nF,F,F,F,F,F,F,F,F,F,F,F,F,F,F,F,F,F,F,F};\nint main(){}";
    let output = failure(&mut fixture, CPP, memory).await;
    assert!(output.contains("too much memory") || output.contains("too long"), "{output}");
    let large = "char a[100<<20]={1};int main(){}";
    let output = failure(&mut fixture, C, large).await;
    assert!(output.contains("larger than 64 MiB") || output.contains("File size limit"), "{output}");
    let flood = format!("int main(){{{}}}", "x;".repeat(20_000));
    let flooded = failure(&mut fixture, C, &flood).await;
    assert!(flooded.len() <= (64 << 10) + 200, "{}", flooded.len());
    assert_eq!(printed(&fixture.c("#include <stdio.h>\nint main(){puts(\"ok\");}").await), "ok");
}

#[tokio::test]
async fn compiler_sees_no_more_than_a_program() {
    let mut fixture = Fixture::open().await;
    for file in ["/etc/shadow", "/proc/1/environ", "/root/.bashrc"] {
        let source = format!("__asm__(\".incbin \\\"{file}\\\"\");int main(){{}}");
        let output = failure(&mut fixture, C, &source).await;
        assert!(
            output.contains("not found")
                || output.contains("No such file")
                || output.contains("ermission denied"),
            "{output}"
        );
    }
}

#[tokio::test]
async fn source_may_be_arbitrary_bytes() {
    let mut fixture = Fixture::open().await;
    let source = b"\xff\xfe\0int main(){}";
    assert!(matches!(fixture.workspace.compile(C, source).await.unwrap(), Compilation::Failed { .. }));
    let empty = fixture.workspace.compile(C, b"").await.unwrap();
    assert!(matches!(empty, Compilation::Failed { .. }));
}

#[tokio::test]
async fn same_source_is_compiled_once_even_concurrently() {
    let sandbox = sandbox(2).await;
    let (mut a, mut b) = (sandbox.workspace().await.unwrap(), sandbox.workspace().await.unwrap());
    let source = b"#include <stdio.h>\nint main(){puts(\"made\");}";
    let (in_a, in_b) = tokio::join!(a.compile(C, source), b.compile(C, source));
    let (Compilation::Ready(in_a), Compilation::Ready(in_b)) = (in_a.unwrap(), in_b.unwrap()) else {
        panic!("not compiled")
    };
    assert!(in_a.is_same(&in_b));
    let run = b.run(&in_b, Bytes::new(), &limits()).await.unwrap();
    drop((a, b));
    let mut later = sandbox.workspace().await.unwrap();
    let Compilation::Ready(kept) = later.compile(C, source).await.unwrap() else { panic!("not compiled") };
    assert!(kept.is_same(&in_a));
    assert_eq!(printed(&later.run(&kept, Bytes::new(), &limits()).await.unwrap()), printed(&run));
    let Compilation::Ready(other) = later.compile(CPP, source).await.unwrap() else { panic!("not compiled") };
    assert!(!other.is_same(&in_a), "another language");
}

#[tokio::test]
async fn cancelled_compilation_does_not_fail_those_that_wait_for_it() {
    let sandbox = sandbox(2).await;
    let (mut a, mut b) = (sandbox.workspace().await.unwrap(), sandbox.workspace().await.unwrap());
    let source = b"#include <iostream>\n#include <regex>\nint main(){std::cout << 1;}";
    let cancelled = tokio::time::timeout(std::time::Duration::from_millis(50), a.compile(CPP, source));
    let (cancelled, compiled) = tokio::join!(cancelled, b.compile(CPP, source));
    assert!(cancelled.is_err());
    assert!(matches!(compiled.unwrap(), Compilation::Ready(_)));
}

#[tokio::test]
async fn unknown_language_is_not_served() {
    let mut fixture = Fixture::open().await;
    let fault = fixture.workspace.compile(LanguageId(4711), b"").await;
    assert!(matches!(fault, Err(SandboxError::NotServed { language: LanguageId(4711), .. })));
}
