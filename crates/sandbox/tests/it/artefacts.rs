//! Artefacts of all kinds, as a hostile compilation may leave them: the program's failure, at once, and never a fault of
//! the sandbox, on every tier.

use std::time::Duration;

use bytes::Bytes;
use gavel_domain::{Execution, LanguageId, Outcome};
use gavel_sandbox::{
    Compilation, Languages, Program, RunLimits, Sandbox, SandboxConfig, SandboxError, TierChoice, Workspace,
};

use crate::elf::{DATA, Elf, INTERPRETER, LOADABLE, STACK};
use crate::support::{MIB, chain, config, limits, printed, tiers};

/// A language whose "compiler" copies the source, which so becomes the program.
const COPY: LanguageId = LanguageId(9001);
/// The same with an interpreter that is missing.
const MISSING: LanguageId = LanguageId(9002);
/// A language whose "compiler" is the source: a shell script, which may do everything that a compiler may do.
pub(crate) const SCRIPT: LanguageId = LanguageId(9003);
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

[[language]]
ids = [9003]
name = "Script"
toolchain = "/bin/cp"
version = ["/bin/cp", "--version"]
source = "source"
compile = ["/bin/bash", "source"]
artefact = "main"
run = ["/box/program/main"]
"#;
const NO_PROGRAM: &str = "not to a program that can run";
/// What the program that the artefacts are made of prints: its input.
const INPUT: &str = "hello";

/// A sandbox that serves the languages of the table.
pub(crate) async fn table_sandbox(slots: usize, tier: TierChoice) -> Sandbox {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), TABLE).unwrap();
    let ids = [COPY.0, MISSING.0, SCRIPT.0];
    let languages = Languages::default().with_file(file.path()).unwrap().only(&ids);
    // Before `config` drops privileges: only root can remove its files.
    drop(file);
    let config = SandboxConfig { languages, tier, ..config(slots) };
    Sandbox::start(config).await.unwrap_or_else(|error| panic!("{tier}: {}", chain(&error)))
}

/// What must become of an artefact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It is no program: a compile error.
    NoProgram,
    /// The compilation fails for another reason.
    CompileError,
    /// It is a program that cannot be executed.
    NotExecuted,
    /// It is a program that does not succeed.
    Failure,
    /// It prints its input.
    Prints,
    /// Whatever the kernel makes of it, but no fault.
    Anything,
}

/// Compiles and runs a source. Returns a description if the result is another one.
pub(crate) async fn check(
    workspace: &mut Workspace,
    language: LanguageId,
    source: &[u8],
    expected: Expected,
) -> Result<(), String> {
    let compiled = workspace.compile(language, source).await.map_err(|fault| chain(&fault))?;
    let program = match compiled {
        Compilation::Ready(program) => program,
        Compilation::Failed { output } => {
            let output = String::from_utf8_lossy(&output).into_owned();
            let is_right = match expected {
                Expected::NoProgram => output.contains(NO_PROGRAM),
                Expected::CompileError | Expected::Anything => true,
                _ => false,
            };
            return if is_right { Ok(()) } else { Err(format!("a compile error: {output}")) };
        }
    };
    let limits = RunLimits { cpu_time: Duration::from_millis(500), ..limits() };
    let run = workspace.run(&program, Bytes::from(INPUT), &limits).await.map_err(|fault| chain(&fault))?;
    let Execution { outcome, stdout, stderr, .. } = &run;
    let is_right = match expected {
        Expected::NoProgram | Expected::CompileError => false,
        Expected::Anything => true,
        Expected::NotExecuted => {
            *outcome == Outcome::Exited { code: 126 } && stderr.starts_with(b"The program cannot be started")
        }
        Expected::Failure => !outcome.is_success(),
        Expected::Prints => outcome.is_success() && stdout == INPUT.as_bytes(),
    };
    if is_right { Ok(()) } else { Err(format!("{outcome:?}: {}", String::from_utf8_lossy(stderr))) }
}

/// Checks every artefact twice on every tier.
async fn check_all(artefacts: Vec<(String, Vec<u8>, Expected)>) {
    let mut wrong = Vec::new();
    for tier in tiers() {
        let sandbox = table_sandbox(1, tier).await;
        let mut workspace = sandbox.workspace().await.unwrap();
        for (name, bytes, expected) in artefacts.iter().chain(&artefacts) {
            if let Err(found) = check(&mut workspace, COPY, bytes, *expected).await {
                wrong.push(format!("{tier}, {name}, {expected:?}: {found}"));
            }
        }
        drop(workspace);
        sandbox.shutdown().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A dynamically linked program that prints its input.
fn program() -> Vec<u8> {
    std::fs::read("/bin/cat").unwrap()
}

async fn compiled(workspace: &mut Workspace, language: LanguageId, source: &[u8]) -> Program {
    match workspace.compile(language, source).await.unwrap() {
        Compilation::Ready(program) => program,
        Compilation::Failed { output } => panic!("{}", String::from_utf8_lossy(&output)),
    }
}

#[tokio::test]
async fn file_that_is_no_program_is_a_compile_error() {
    let mut other_machine = program();
    other_machine[18] = 40;
    let mut library = Elf::new(program());
    library.remove(INTERPRETER).clear_flags_of_position_independence();
    let artefacts = [
        ("empty", Vec::new()),
        ("text", b"text\n".to_vec()),
        ("archive", b"!<arch>\n".to_vec()),
        ("magic only", b"\x7fELF".to_vec()),
        ("only a number sign", b"#".to_vec()),
        ("header only", program()[..100].to_vec()),
        ("zeros", vec![0; 1 << 20]),
        ("another machine", other_machine),
        ("library", library.bytes),
    ];
    check_all(artefacts.map(|(name, bytes)| (name.to_owned(), bytes, Expected::NoProgram)).into()).await;
}

#[tokio::test]
async fn program_with_a_foreign_interpreter_fails() {
    let path = |path: &str| {
        let mut elf = Elf::new(program());
        elf.set_interpreter(path);
        elf.bytes
    };
    // The kernel finds no file that it may execute, or one that is no interpreter.
    let refused = [
        "",
        "/",
        "x",
        "/no/such/file",
        "/etc/passwd",
        "/usr",
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/dev/stdin",
        "/dev/stdout",
        "/dev/fd/2",
        "/proc/self/fd/0",
        "/proc/self/mem",
        "/proc/self/maps",
        "/proc/1/mem",
        "/box/work",
        "/box/work/x",
        "/tmp/x",
        "/box/program",
        "/dev/shm",
    ];
    // It finds a program: what that then does as an interpreter is up to it.
    let executed = ["/box/program/main", "/proc/self/exe", "/proc/1/exe", "/bin/sh", "/usr/bin/env"];
    let refused = refused.map(|name| (format!("interpreter {name:?}"), path(name), Expected::NotExecuted));
    let executed = executed.map(|name| (format!("interpreter {name:?}"), path(name), Expected::Failure));
    check_all(refused.into_iter().chain(executed).collect()).await;
}

#[tokio::test]
async fn script_with_any_first_line_fails_or_runs() {
    let long = format!("#!/{}\n", "x".repeat(5_000));
    let scripts: [(&str, Expected); 16] = [
        ("#!", Expected::NotExecuted),
        ("#! \n", Expected::NotExecuted),
        ("#!\0\n", Expected::NotExecuted),
        ("#!/no/such/interpreter\n", Expected::NotExecuted),
        (&long, Expected::NotExecuted),
        ("#!/box/program/main\n", Expected::NotExecuted),
        ("#!main\n", Expected::NotExecuted),
        ("#!/dev/stdin\n", Expected::NotExecuted),
        ("#!/dev/null\n", Expected::NotExecuted),
        ("#!/box/work\n", Expected::NotExecuted),
        ("#!/proc/self/mem\n", Expected::NotExecuted),
        ("#!/proc/self/exe\n", Expected::Anything),
        ("#!/bin/false\n", Expected::Failure),
        ("#!/usr/bin/env no-such-program\n", Expected::Failure),
        ("#!/bin/sh\ncat\n", Expected::Prints),
        ("#!/bin/sh\nexec /box/program/missing\n", Expected::Failure),
    ];
    let named = scripts.map(|(script, expected)| {
        (script.get(..30).unwrap_or(script).to_owned(), script.as_bytes().to_vec(), expected)
    });
    check_all(named.into()).await;
}

#[tokio::test]
async fn executable_with_hostile_headers_fails() {
    let changed = |change: &dyn Fn(&mut Elf)| {
        let mut elf = Elf::new(program());
        change(&mut elf);
        elf.bytes
    };
    let artefacts = [
        ("stack of TiB", changed(&|elf| elf.set(STACK, Elf::MEMORY_BYTES, 1 << 44)), Expected::Prints),
        ("data of TiB", changed(&|elf| elf.set(DATA, Elf::MEMORY_BYTES, 1 << 44)), Expected::Anything),
        ("data of EiB", changed(&|elf| elf.set(DATA, Elf::MEMORY_BYTES, u64::MAX)), Expected::Failure),
        ("text of TiB", changed(&|elf| elf.set(LOADABLE, Elf::MEMORY_BYTES, 1 << 44)), Expected::Anything),
        ("in the kernel", changed(&|elf| elf.set(DATA, Elf::ADDRESS, 0xffff_8000 << 32)), Expected::Failure),
        ("beyond its end", changed(&|elf| elf.set(DATA, Elf::OFFSET, 1 << 40)), Expected::Failure),
        ("odd offset", changed(&|elf| elf.set(DATA, Elf::OFFSET, 3)), Expected::Anything),
        (
            "no interpreter",
            changed(&|elf| {
                elf.remove(INTERPRETER);
            }),
            Expected::Failure,
        ),
        (
            "empty interpreter",
            changed(&|elf| elf.set(INTERPRETER, Elf::FILE_BYTES, 0)),
            Expected::NotExecuted,
        ),
        (
            "short interpreter",
            changed(&|elf| elf.set(INTERPRETER, Elf::FILE_BYTES, 1)),
            Expected::NotExecuted,
        ),
        (
            "long interpreter",
            changed(&|elf| elf.set(INTERPRETER, Elf::FILE_BYTES, 5_000)),
            Expected::NotExecuted,
        ),
        (
            "huge interpreter",
            changed(&|elf| elf.set(INTERPRETER, Elf::FILE_BYTES, 1 << 62)),
            Expected::NotExecuted,
        ),
        (
            "interpreter beyond its end",
            changed(&|elf| elf.set(INTERPRETER, Elf::OFFSET, 1 << 40)),
            Expected::NotExecuted,
        ),
        ("entry at 0", changed(&|elf| elf.set_header(24, 0)), Expected::Failure),
        ("fixed addresses", changed(&|elf| elf.bytes[16] = 2), Expected::Anything),
        ("missing library", changed(&|elf| elf.replace(b"libc.so.6\0", b"libx.so.6\0")), Expected::Failure),
        (
            "missing symbol",
            changed(&|elf| elf.replace(b"__libc_start_main\0", b"__libx_start_main\0")),
            Expected::Failure,
        ),
    ];
    check_all(
        artefacts.into_iter().map(|(name, bytes, expected)| (name.to_owned(), bytes, expected)).collect(),
    )
    .await;
}

#[tokio::test]
async fn large_program_runs_after_a_run_with_a_low_memory_limit() {
    let mut large = program();
    large.resize(48 << 20, b'x');
    for tier in tiers() {
        let sandbox = table_sandbox(1, tier).await;
        let mut workspace = sandbox.workspace().await.unwrap();
        let small = compiled(&mut workspace, COPY, &program()).await;
        let large = compiled(&mut workspace, COPY, &large).await;
        let limits = RunLimits { memory_bytes: 8 * MIB, ..limits() };
        for program in [&small, &large, &small, &large] {
            let run = workspace.run(program, Bytes::from(INPUT), &limits).await;
            let run = run.unwrap_or_else(|fault| panic!("{tier}: {}", chain(&fault)));
            assert_eq!(printed(&run), INPUT, "{tier}");
        }
    }
}

#[tokio::test]
async fn missing_interpreter_is_a_fault() {
    for tier in tiers() {
        let sandbox = table_sandbox(1, tier).await;
        let mut workspace = sandbox.workspace().await.unwrap();
        let source = compiled(&mut workspace, MISSING, b"").await;
        let fault = workspace.run(&source, Bytes::new(), &limits()).await;
        assert!(matches!(fault, Err(SandboxError::Launch { .. })), "{tier}: {fault:?}");
    }
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
    let sandbox = table_sandbox(1, crate::support::tier()).await;
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
