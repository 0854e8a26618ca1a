//! Runs a case, and checks that it leaves no traces.

use std::borrow::Cow;
use std::ops::ControlFlow;

use bytes::Bytes;
use gavel_domain::{Clock, Execution, LanguageId, Outcome, OutputStream};
use gavel_sandbox::{Compilation, Program, RunLimits, TestRun, Workspace};

use crate::case::{Case, PYTHON};
use crate::outside::Outside;

/// Prints everything that an earlier run could have left: files, processes, System V objects, its program.
const TRACES: &[u8] = b"import ctypes, os
for folder in ('/tmp', '/dev/shm', '/box/work'): print(os.listdir(folder))
print(sorted(os.listdir('/box')), os.listdir('/box/program'))
print([name for name in os.listdir('/proc') if name.isdigit() and int(name) not in (1, os.getpid())])
libc = ctypes.CDLL(None)
print([libc.shmget(key, 1, 0) for key in range(4711, 4719)].count(-1), libc.semget(4711, 1, 0), libc.msgget(4711, 0))
";
const NO_TRACES: &str = "[]\n[]\n[]\n['program', 'tmp', 'work'] ['main.py']\n[]\n8 -1 -1\n";
/// The signals that end programs of the corpus (signal(7), for x86 and ARM).
const SIGNALS: [(i32, &str); 12] = [
    (4, "SIGILL"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (11, "SIGSEGV"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (25, "SIGXFSZ"),
    (26, "SIGVTALRM"),
    (31, "SIGSYS"),
];

/// Compiles and runs a case. Returns a description of the mismatch if the result is not the expected one.
pub(crate) async fn once(workspace: &mut Workspace, case: &Case, outside: &Outside) -> Result<(), String> {
    let program = match compile(workspace, case.language(), &case.source).await? {
        Ok(program) => program,
        Err(output) => return matches(case, "compile error", b"", &output),
    };
    let stdin = Bytes::from(outside.fill(&case.stdin));
    let ran = workspace.run(&program, stdin, &case.limits).await.map_err(|error| crate::chain(&error))?;
    let judged = matches(case, &describe(ran.outcome), &ran.stdout, &ran.stderr);
    judged.map_err(|wrong| format!("{wrong}\n{:?}", ran.usage))
}

/// Compiles a case and runs it three times as the tests of one submission, side by side if another slot is idle. Returns a
/// description of the first mismatch.
pub(crate) async fn side_by_side(
    mut workspace: Workspace,
    case: &Case,
    outside: &Outside,
) -> Result<(), String> {
    let program = match compile(&mut workspace, case.language(), &case.source).await? {
        Ok(program) => program,
        Err(output) => return matches(case, "compile error", b"", &output),
    };
    let stdin = outside.fill(&case.stdin);
    let test = TestRun { stdin: Cow::Borrowed(&stdin), limits: case.limits, expected: b"" };
    let tests = vec![test; 3];
    let mut executions = Vec::new();
    let mut observer = |execution: Execution| {
        executions.push(execution);
        ControlFlow::Continue(())
    };
    let ran = workspace.run_tests(&program, &tests, &mut observer).await;
    ran.map_err(|error| crate::chain(&error))?;
    assert_eq!(executions.len(), tests.len());
    executions.iter().try_for_each(|ran| {
        let judged = matches(case, &describe(ran.outcome), &ran.stdout, &ran.stderr);
        judged.map_err(|wrong| format!("{wrong}\n{:?}", ran.usage))
    })
}

/// Checks that no traces of an earlier run are left.
pub(crate) async fn traces(workspace: &mut Workspace) -> Result<(), String> {
    let program = compile(workspace, LanguageId(PYTHON), TRACES).await?.map_err(|output| shown(&output))?;
    let limits = RunLimits { wall_time: std::time::Duration::from_mins(1), ..RunLimits::default() };
    let ran = workspace.run(&program, Bytes::new(), &limits).await.map_err(|error| crate::chain(&error))?;
    if ran.stdout == NO_TRACES.as_bytes() {
        return Ok(());
    }
    Err(format!("{:?} {} {}", ran.outcome, shown(&ran.stdout), shown(&ran.stderr)))
}

/// Compiles a source. Returns the program, or the compiler's output.
async fn compile(
    workspace: &mut Workspace,
    language: LanguageId,
    source: &[u8],
) -> Result<Result<Program, Vec<u8>>, String> {
    match workspace.compile(language, source).await.map_err(|error| crate::chain(&error))? {
        Compilation::Ready(program) => Ok(Ok(program)),
        Compilation::Failed { output } => Ok(Err(output)),
    }
}

fn matches(case: &Case, outcome: &str, stdout: &[u8], stderr: &[u8]) -> Result<(), String> {
    let contains_text = case.says.as_ref().is_none_or(|says| String::from_utf8_lossy(stderr).contains(says));
    let has_output = case.stdout.as_ref().is_none_or(|expected| expected == stdout);
    if case.expect.iter().any(|expected| expected == outcome) && contains_text && has_output {
        return Ok(());
    }
    let expected = case.expect.join(" or ");
    let streams = format!("stdout {}\nstderr {}", shown(stdout), shown(stderr));
    Err(format!(
        "got {outcome}, expected {expected} with stdout {:?} and text {:?}\n{streams}",
        case.stdout.as_deref().map(shown),
        case.says
    ))
}

fn describe(outcome: Outcome) -> String {
    match outcome {
        Outcome::Exited { code } => format!("exit {code}"),
        Outcome::Signaled { signal } => {
            let known = SIGNALS.iter().find(|(number, _)| *number == signal);
            known.map_or(format!("signal {signal}"), |(_, name)| format!("signal {name}"))
        }
        Outcome::TimeLimit { clock: Clock::Cpu } => "cpu time limit".to_owned(),
        Outcome::TimeLimit { clock: Clock::Wall } => "wall time limit".to_owned(),
        Outcome::MemoryLimit => "memory limit".to_owned(),
        Outcome::OutputLimit { stream: OutputStream::Stdout } => "stdout limit".to_owned(),
        Outcome::OutputLimit { stream: OutputStream::Stderr } => "stderr limit".to_owned(),
    }
}

/// The first 600 bytes as text.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(600)]).into_owned()
}
