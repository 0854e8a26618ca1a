//! Leaves anything in the place where a compiler leaves its program, and runs it: the result is a compile error or an
//! outcome, never a fault of the sandbox, and the next program runs. Needs root, as the sandbox does.
#![no_main]

use std::cell::RefCell;
use std::time::Duration;

use gavel_domain::LanguageId;
use gavel_sandbox::{Compilation, Languages, RunLimits, Sandbox, SandboxConfig, Workspace};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;

/// A language whose "compiler" copies the source, and one whose "compiler" is the source, a shell script.
const COPY: LanguageId = LanguageId(9001);
const SCRIPT: LanguageId = LanguageId(9002);
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
name = "Script"
toolchain = "/bin/cp"
version = ["/bin/cp", "--version"]
source = "source"
compile = ["/bin/sh", "source"]
artefact = "main"
run = ["/box/program/main"]
"#;
/// A dynamically linked program that prints its input.
const PROGRAM: &str = "/bin/cat";

#[derive(Arbitrary, Debug)]
enum Artefact<'a> {
    /// A program of which some bytes are changed, most of them in its headers, and of which this much is left.
    Program { headers: Vec<(u16, u8)>, bytes: Vec<(u32, u8)>, length: Option<u32> },
    /// A program with this interpreter.
    Interpreted(&'a [u8]),
    /// A script with this first line.
    Script(&'a [u8]),
    /// Any other file.
    File(&'a [u8]),
    /// What these steps leave.
    Made(Vec<Step>),
}

/// A command of a shell script.
#[derive(Arbitrary, Debug)]
enum Step {
    Program,
    Empty,
    Pipe,
    Directory,
    Enter,
    Link(Target),
    HardLink,
    Rename,
    Remove,
    Size(u32),
    Mode(u16),
    Files(u16),
    GoOn,
    Kill(u8),
}

#[derive(Arbitrary, Debug)]
enum Target {
    Itself,
    Nothing,
    Program,
    Zeros,
    Memory,
    Input,
    Init,
    Root,
}

/// The runtime, a slot, and a program that works.
struct Fixture {
    runtime: Runtime,
    workspace: Workspace,
}

thread_local! {
    static FIXTURE: RefCell<Fixture> = RefCell::new(Fixture::open());
}

impl Fixture {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), TABLE).expect("cannot write the table");
        let languages = Languages::default().with_file(file.path()).expect("an invalid table");
        let languages = languages.only(&[COPY.0, SCRIPT.0]);
        // Nothing is kept, so that each input is compiled.
        let config =
            SandboxConfig { slots: 1, languages, compile_cache_bytes: 0, ..SandboxConfig::default() };
        let workspace = runtime.block_on(async {
            let sandbox = Sandbox::start(config).await.expect("cannot start the sandbox");
            sandbox.workspace().await.expect("no workspace")
        });
        Self { runtime, workspace }
    }

    /// Compiles and runs a source. Returns what it printed.
    fn run(&mut self, language: LanguageId, source: &[u8]) -> Vec<u8> {
        let time = Duration::from_millis(100);
        let limits = RunLimits { cpu_time: time, wall_time: time * 2, ..RunLimits::default() };
        self.runtime.block_on(async {
            match self.workspace.compile(language, source).await.expect("a fault in the compilation") {
                Compilation::Ready(program) => {
                    let run = self.workspace.run(&program, "hello".into(), &limits).await;
                    run.expect("a fault in the run").stdout
                }
                Compilation::Failed { output } => output,
            }
        })
    }
}

impl Artefact<'_> {
    /// The source that leaves it, and the language of the source.
    fn source(&self) -> (LanguageId, Vec<u8>) {
        let mut program = std::fs::read(PROGRAM).expect("cannot read the program");
        match self {
            Self::Program { headers, bytes, length } => {
                let length = length.map_or(program.len(), |length| length as usize % program.len());
                for (at, value) in headers {
                    program[usize::from(*at) % 1024] = *value;
                }
                for (at, value) in bytes {
                    let at = *at as usize % program.len();
                    program[at] = *value;
                }
                program.truncate(length);
                (COPY, program)
            }
            Self::Interpreted(path) => {
                let usual = b"/lib64/ld-linux-x86-64.so.2";
                let at =
                    program.windows(usual.len()).position(|bytes| bytes == usual).expect("no interpreter");
                let length = path.len().min(usual.len());
                program[at..at + usual.len()].fill(0);
                program[at..at + length].copy_from_slice(&path[..length]);
                (COPY, program)
            }
            Self::Script(line) => (COPY, [b"#!", *line].concat()),
            Self::File(bytes) => (COPY, bytes.to_vec()),
            Self::Made(steps) => {
                let commands: Vec<String> = steps.iter().take(8).map(Step::command).collect();
                (SCRIPT, commands.join("\n").into_bytes())
            }
        }
    }
}

impl Step {
    fn command(&self) -> String {
        match self {
            Self::Program => format!("cp {PROGRAM} main"),
            Self::Empty => ": > main".to_owned(),
            Self::Pipe => "mkfifo main".to_owned(),
            Self::Directory => "mkdir main".to_owned(),
            Self::Enter => "cd main".to_owned(),
            Self::Link(target) => format!("ln -sf {} main", target.path()),
            Self::HardLink => "ln main other".to_owned(),
            Self::Rename => "mv other main".to_owned(),
            Self::Remove => "rm -rf /box/work".to_owned(),
            Self::Size(size) => format!("truncate -s {size} main"),
            Self::Mode(mode) => format!("chmod {:o} main .", mode % 0o10000),
            Self::Files(count) => format!("seq {count} | xargs touch"),
            Self::GoOn => "sleep 100 3<>main &".to_owned(),
            Self::Kill(signal) => format!("kill -{} $$", [6, 9, 11, 15][usize::from(signal % 4)]),
        }
    }
}

impl Target {
    fn path(&self) -> &'static str {
        match self {
            Self::Itself => "main",
            Self::Nothing => "/no/such/file",
            Self::Program => PROGRAM,
            Self::Zeros => "/dev/zero",
            Self::Memory => "/proc/self/mem",
            Self::Input => "/proc/self/fd/0",
            Self::Init => "/proc/1/exe",
            Self::Root => "/",
        }
    }
}

fuzz_target!(
    // This program is also the init of its own sandbox.
    init: gavel_sandbox::init::enter_if_asked(),
    |artefact: Artefact<'_>| {
        FIXTURE.with_borrow_mut(|fixture| {
            let (language, source) = artefact.source();
            fixture.run(language, &source);
            assert_eq!(fixture.run(SCRIPT, b"cp /bin/cat main"), b"hello", "the next program");
        });
    }
);
