//! Artefacts that are not programs: the program's failure, at once, and never a fault of the sandbox.

use std::time::Duration;

use bytes::Bytes;
use gavel_domain::{LanguageId, Outcome};
use gavel_sandbox::{Compilation, Languages, RunLimits, Sandbox, SandboxConfig, SandboxError};

use crate::support::{MIB, chain, config, limits, printed};

/// A language whose "compiler" copies the source, which so becomes the program.
const COPY: LanguageId = LanguageId(9001);
/// The same with an interpreter that is missing.
const MISSING: LanguageId = LanguageId(9002);
const TABLE: &str = r#"
[[language]]
ids = [9001]
name = "Copy"
toolchain = "/bin/cp"
version = ["/bin/cp", "--version"]
source = "source"
compile = ["/bin/cp", "source", "main"]
artefact = "main"
run = ["/box/program/main"]

[[language]]
ids = [9002]
name = "Missing"
toolchain = "/bin/cp"
version = ["/bin/cp", "--version"]
source = "source"
run = ["/usr/bin/no-such-interpreter", "/box/program/source"]
"#;

async fn copying_sandbox() -> Sandbox {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), TABLE).unwrap();
    let languages = Languages::default().with_file(file.path()).unwrap().only(&[COPY.0, MISSING.0]);
    let config = SandboxConfig { languages, ..config(1) };
    Sandbox::start(config).await.unwrap_or_else(|error| panic!("{}", chain(&error)))
}

/// A dynamically linked program that prints its input.
fn program() -> Vec<u8> {
    std::fs::read("/bin/cat").unwrap()
}

#[tokio::test]
async fn file_that_is_no_program_is_a_compile_error() {
    let sandbox = copying_sandbox().await;
    let mut workspace = sandbox.workspace().await.unwrap();
    let mut other_machine = program();
    other_machine[18] = 40;
    for artefact in [&b""[..], b"text\n", b"!<arch>\n", b"\x7fELF", &program()[..100], &other_machine] {
        let Compilation::Failed { output } = workspace.compile(COPY, artefact).await.unwrap() else {
            panic!("ready: {:?}", artefact.get(..20))
        };
        assert!(String::from_utf8_lossy(&output).contains("not to a program that can run"));
    }
    let Compilation::Ready(cat) = workspace.compile(COPY, &program()).await.unwrap() else {
        panic!("failed")
    };
    let run = workspace.run(&cat, Bytes::from_static(b"hello"), &limits()).await.unwrap();
    assert_eq!(printed(&run), "hello");
}

#[tokio::test]
async fn program_that_the_kernel_refuses_fails_with_a_sentence() {
    let sandbox = copying_sandbox().await;
    let mut workspace = sandbox.workspace().await.unwrap();
    let script = b"#!/no/such/interpreter\n";
    let Compilation::Ready(script) = workspace.compile(COPY, script).await.unwrap() else { panic!("failed") };
    for _ in 0..2 {
        let run = workspace.run(&script, Bytes::new(), &limits()).await.unwrap();
        assert_eq!(run.outcome, Outcome::Exited { code: 126 });
        assert!(String::from_utf8_lossy(&run.stderr).contains("cannot be started"));
    }
}

#[tokio::test]
async fn missing_interpreter_is_a_fault() {
    let sandbox = copying_sandbox().await;
    let mut workspace = sandbox.workspace().await.unwrap();
    let Compilation::Ready(source) = workspace.compile(MISSING, b"").await.unwrap() else { panic!("failed") };
    let fault = workspace.run(&source, Bytes::new(), &limits()).await;
    assert!(matches!(fault, Err(SandboxError::Launch { .. })), "{fault:?}");
}

/// A step of xorshift.
fn next(random: &mut u64) -> usize {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    usize::try_from(*random >> 1).unwrap()
}

#[tokio::test]
async fn broken_executables_are_never_a_fault() {
    /// The header, the program headers and the path of the interpreter of a usual executable.
    const HEADERS: usize = 1024;
    const ROUNDS: u32 = 150;
    let sandbox = copying_sandbox().await;
    let mut workspace = sandbox.workspace().await.unwrap();
    let limits = RunLimits {
        cpu_time: Duration::from_millis(300),
        wall_time: Duration::from_secs(3),
        memory_bytes: 64 * MIB,
        ..RunLimits::default()
    };
    let (mut random, mut ran) = (0x2545_f491_4f6c_dd1d_u64, 0);
    for round in 0..ROUNDS {
        let mut bytes = program();
        match round % 3 {
            0 => bytes.truncate(next(&mut random) % bytes.len()),
            1 => {
                // An arbitrary value in a program header.
                let at = 64 + next(&mut random) % 500;
                bytes[at..at + 8].fill(u8::try_from(next(&mut random) % 256).unwrap());
            }
            _ => (),
        }
        for _ in 0..next(&mut random) % 4 {
            let within = HEADERS.min(bytes.len()).max(1);
            if let Some(byte) = bytes.get_mut(next(&mut random) % within) {
                *byte ^= 1 << (next(&mut random) % 8);
            }
        }
        let compiled = workspace.compile(COPY, &bytes).await;
        let compiled = compiled.unwrap_or_else(|fault| panic!("round {round}: {}", chain(&fault)));
        let Compilation::Ready(broken) = compiled else { continue };
        let run = workspace.run(&broken, Bytes::new(), &limits).await;
        run.unwrap_or_else(|fault| panic!("round {round}: {}", chain(&fault)));
        ran += 1;
    }
    assert!(ran > ROUNDS / 3, "{ran} of {ROUNDS} ran");
}
