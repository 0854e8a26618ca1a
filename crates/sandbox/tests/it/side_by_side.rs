//! Tests of one submission side by side in idle slots. They need two CPUs, and separate user ids for programs.

use std::borrow::Cow;
use std::fs;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gavel_domain::LanguageId;
use gavel_domain::{Execution, Outcome};
use gavel_sandbox::{
    Compilation, Languages, Program, RunLimits, Sandbox, SandboxConfig, SandboxError, TestRun, Workspace,
};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{C, MIB, PYTHON, config, limits, printed, sandbox, tiers};

/// Does what its input says, one word after the other. Names its process like the word, so that tests find it.
const ACTOR: &str = r#"#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
/* The compiler does not know that it is malloc, and so does not remove it. */
void *(*volatile allocate)(size_t) = malloc;
int main(void) {
    char word[64]; long number;
    while (scanf("%60s %ld", word, &number) == 2) {
        prctl(PR_SET_NAME, word);
        if (!strcmp(word, "print")) printf("%ld\n", number);
        else if (!strcmp(word, "err")) fprintf(stderr, "%ld\n", number);
        else if (!strcmp(word, "exit")) { fflush(stdout); _exit(number); }
        else if (!strcmp(word, "kill")) { fflush(stdout); raise(number); }
        else if (!strcmp(word, "flood")) for (;;) puts("flood");
        else if (!strcmp(word, "files")) {
            /* Says whether the box is empty before it leaves something there. */
            struct stat old;
            printf("%d %d\n", stat("/tmp/left", &old), stat("left", &old));
            creat("/tmp/left", 0600); creat("left", 0600);
        } else if (!strcmp(word, "touch")) memset(allocate(number << 20), 1, number << 20);
        else if (!strcmp(word, "burn")) {
            struct timespec now;
            do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
            while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < number);
        } else { /* Any other word is a name. */
            for (int child = 0; child < 3 && fork(); child++);
            usleep(number * 1000);
            break;
        }
    }
    return 0;
}"#;

/// An input for [`ACTOR`] and the output that is expected.
type Test = (String, String);

/// The limits of runs that end by themselves or exceed a small limit.
fn small() -> RunLimits {
    let limits = limits();
    RunLimits {
        cpu_time: limits.cpu_time / 5,
        wall_time: limits.wall_time / 10,
        memory_bytes: 32 * MIB,
        stdout_bytes: 4_096,
        ..limits
    }
}

/// The limits of runs that tests end.
fn long() -> RunLimits {
    RunLimits { wall_time: Duration::from_mins(5), ..limits() }
}

async fn compile(workspace: &mut Workspace, source: &str) -> Program {
    match workspace.compile(C, source.as_bytes()).await.unwrap() {
        Compilation::Ready(program) => program,
        Compilation::Failed { output } => panic!("{}", String::from_utf8_lossy(&output)),
    }
}

/// Runs tests of [`ACTOR`] in this sandbox until one does not succeed.
async fn run_tests(
    sandbox: &Sandbox,
    tests: &[Test],
    limits: &RunLimits,
) -> Result<Vec<Execution>, SandboxError> {
    let mut workspace = sandbox.workspace().await?;
    let program = compile(&mut workspace, ACTOR).await;
    let runs: Vec<_> = tests.iter().map(|test| test_run(test, limits)).collect();
    let mut observed = Vec::new();
    workspace
        .run_tests(&program, &runs, &mut |execution: Execution| {
            let is_success = execution.outcome.is_success();
            observed.push(execution);
            if is_success { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .await?;
    Ok(observed)
}

fn test_run<'a>((stdin, expected): &'a Test, limits: &RunLimits) -> TestRun<'a> {
    TestRun { stdin: Cow::Borrowed(stdin.as_bytes()), limits: *limits, expected: expected.as_bytes() }
}

fn test(stdin: &str) -> Test {
    (stdin.to_owned(), String::new())
}

/// A name that only programs of this process have.
fn name(word: &str) -> String {
    format!("{word}{}", std::process::id())
}

/// The processes of this name on the machine, without those that have exited.
fn processes(word: &str) -> Vec<u32> {
    let name = name(word);
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_named = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.contains(&format!("({name})")) && !stat.contains(") Z ")
    };
    pids.filter(is_named).collect()
}

/// Waits until other processes, which send no event, have reached a state; panics after a minute.
async fn eventually(mut is_reached: impl FnMut() -> bool) {
    let reached = async {
        while !is_reached() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), reached).await.expect("not reached within a minute");
}

/// What a program leaves behind that the next one in the slot could see.
async fn traces(workspace: &mut Workspace) -> String {
    let source =
        b"import os\nprint([os.listdir(d) for d in ('/tmp', '/box/work')], os.listdir('/box/program'), \
        [p for p in os.listdir('/proc') if p.isdigit() and int(p) not in (1, os.getpid())])";
    let Compilation::Ready(program) = workspace.compile(PYTHON, source).await.unwrap() else { panic!() };
    printed(&workspace.run(&program, Bytes::new(), &limits()).await.unwrap())
}

const NO_TRACES: &str = "[[], []] ['main.py'] []";

/// What does not depend on the time that a run took.
fn without_usage(executions: Vec<Execution>) -> Vec<Execution> {
    let usage = gavel_domain::Usage::default();
    executions.into_iter().map(|execution| Execution { usage, ..execution }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_are_those_of_one_test_after_the_other() {
    let (one, two) = (sandbox(1).await, sandbox(2).await);
    let passes = "files 1 print 7 err 8";
    let words = [
        passes,
        passes,
        passes,
        passes,
        passes,
        "print 7 exit 3",
        "kill 11",
        "flood 1",
        "burn 999999",
        "touch 512",
    ];
    let words = proptest::sample::select(words.to_vec());
    let tests = proptest::collection::vec((words, proptest::bool::ANY), 1..8);
    let mut runner = TestRunner::default();
    for _ in 0..25 {
        let tests = tests.new_tree(&mut runner).unwrap().current();
        // Half of the passing tests keep their output, since it is not the expected one.
        let tests: Vec<_> = tests
            .into_iter()
            .enumerate()
            .map(|(index, (words, matches))| {
                let expected = if matches { format!("-1 -1\n7\n{index}\n") } else { String::new() };
                (format!("{words} print {index}"), expected)
            })
            .collect();
        let sequential = run_tests(&one, &tests, &small()).await.unwrap();
        let side_by_side = run_tests(&two, &tests, &small()).await.unwrap();
        assert_eq!(without_usage(side_by_side), without_usage(sequential), "{tests:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_submission_gets_a_borrowed_slot_at_once() {
    let sandbox = sandbox(2).await;
    let tests = ["first", "last"].map(|word| test(&format!("{} 120000", name(word))));
    let submission = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { run_tests(&sandbox, &tests, &long()).await }
    });
    eventually(|| !processes("first").is_empty() && !processes("last").is_empty()).await;
    let asked = Instant::now();
    let mut other = sandbox.workspace().await.unwrap();
    assert_eq!(traces(&mut other).await, NO_TRACES);
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    assert!(processes("last").is_empty() && !processes("first").is_empty() && !submission.is_finished());
    // Dropping the submission stops the first test, too.
    submission.abort();
    assert_eq!(traces(&mut sandbox.workspace().await.unwrap()).await, NO_TRACES);
    assert!(processes("first").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_runs_leave_nothing_behind() {
    let sandbox = sandbox(2).await;
    for _ in 0..10 {
        let stopped = test(&format!("files 1 touch 20 {} 120000", name("stopped")));
        let tests = [test("burn 100 exit 1"), stopped];
        let observed = run_tests(&sandbox, &tests, &long()).await.unwrap();
        assert_eq!(observed.len(), 1);
        let (mut a, mut b) = (sandbox.workspace().await.unwrap(), sandbox.workspace().await.unwrap());
        assert_eq!((traces(&mut a).await, traces(&mut b).await), (NO_TRACES.into(), NO_TRACES.into()));
        assert!(processes("stopped").is_empty());
        drop((a, b));
        // Until both slots are idle again.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_slot_next_to_others_is_no_fault_of_the_submission() {
    let sandbox = sandbox(2).await;
    let tests = ["kept", "harmed"].map(|word| test(&format!("{} 120000", name(word))));
    let submission = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { run_tests(&sandbox, &tests, &long()).await }
    });
    eventually(|| processes("kept").len() == 4 && processes("harmed").len() == 4).await;
    let harmed = processes("harmed");
    let parent = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap().parse::<u32>().unwrap()
    };
    kill(harmed.iter().map(parent).find(|parent| !harmed.contains(parent)).unwrap());
    eventually(|| processes("harmed").is_empty()).await;
    assert!(processes("kept").len() == 4 && !submission.is_finished());
    // The first test decides, whatever has happened to the second.
    processes("kept").into_iter().for_each(kill);
    let observed = submission.await.unwrap().unwrap();
    let outcomes: Vec<_> = observed.iter().map(|execution| execution.outcome).collect();
    assert_eq!(outcomes, [Outcome::Signaled { signal: 9 }]);
}

/// Kills a process, which may have exited.
fn kill(pid: u32) {
    let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL);
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_that_of_each_run() {
    let (one, two) = (sandbox(1).await, sandbox(2).await);
    let tests: Vec<_> = [(40, 4), (160, 24), (80, 2), (20, 40), (120, 12), (60, 32)]
        .map(|(milliseconds, mib)| test(&format!("touch {mib} burn {milliseconds}")))
        .into();
    let alone = run_tests(&one, &tests, &limits()).await.unwrap();
    let shared = run_tests(&two, &tests, &limits()).await.unwrap();
    assert_eq!((alone.len(), shared.len()), (6, 6));
    for (alone, shared) in alone.iter().zip(&shared) {
        let (cpu, memory) = (shared.usage.cpu_time, shared.usage.memory_bytes);
        // The program burns until it has used this much CPU time itself; what comes on top is its start and end.
        let slack = Duration::from_millis(15);
        assert!(
            cpu + slack > alone.usage.cpu_time && cpu < alone.usage.cpu_time + slack,
            "{alone:?} {shared:?}"
        );
        assert!(memory.abs_diff(alone.usage.memory_bytes) <= MIB, "{alone:?} {shared:?}");
    }
}

/// A language whose compiler says how many CPUs it may use, and rejects each source. Python is served, too.
fn counting_compiler(has_threads: bool) -> Languages {
    let file = tempfile::NamedTempFile::new().unwrap();
    let entry = format!(
        "[[language]]\nids = [9001]\nname = \"Counter\"\ntoolchain = \"/usr/bin/nproc\"\nversion = [\"/bin/echo\", \"1.0\"]\n\
         source = \"main\"\nartefact = \"out\"\nrun = [\"/box/program/out\"]\ncompiler_has_threads = {has_threads}\n\
         compile = [\"/bin/sh\", \"-c\", \"nproc; exit 1\"]\n"
    );
    fs::write(file.path(), entry).unwrap();
    Languages::default().with_file(file.path()).unwrap().only(&[9001, PYTHON.0])
}

/// How many CPUs the compiler of [`counting_compiler`] may use.
async fn cpus_of_compiler(workspace: &mut Workspace, source: &str) -> String {
    match workspace.compile(LanguageId(9001), source.as_bytes()).await.unwrap() {
        Compilation::Failed { output } => String::from_utf8(output).unwrap(),
        Compilation::Ready(_) => panic!("the compiler rejects each source"),
    }
}

/// How many CPUs a program may use.
async fn cpus_of_program(workspace: &mut Workspace) -> String {
    let source = b"import os; print(len(os.sched_getaffinity(0)))";
    let Compilation::Ready(program) = workspace.compile(PYTHON, source).await.unwrap() else {
        panic!("Python compiles nothing");
    };
    printed(&workspace.run(&program, Bytes::new(), &limits()).await.unwrap())
}

#[tokio::test]
async fn compiler_with_threads_uses_the_cpu_of_an_idle_slot() {
    for (tier, has_threads) in tiers().into_iter().flat_map(|tier| [(tier, true), (tier, false)]) {
        let config = SandboxConfig { languages: counting_compiler(has_threads), tier, ..config(2) };
        let sandbox = Sandbox::start(config).await.unwrap();
        let mut workspace = sandbox.workspace().await.unwrap();
        // The other slot is idle when it has been free for a moment.
        let (mut cpus, began, mut compiled) = (String::new(), Instant::now(), 0);
        while began.elapsed() < Duration::from_millis(100) || compiled < 2 {
            cpus = cpus_of_compiler(&mut workspace, &format!("idle {compiled}")).await;
            compiled += 1;
        }
        assert_eq!(cpus, if has_threads { "2\n" } else { "1\n" }, "{tier}");
        assert_eq!(cpus_of_program(&mut workspace).await, "1", "{tier}");

        let other = sandbox.workspace().await.unwrap();
        assert_eq!(cpus_of_compiler(&mut workspace, "busy").await, "1\n", "{tier}: no slot is idle");
        drop(other);
        assert_eq!(cpus_of_program(&mut workspace).await, "1", "{tier}");
        drop(workspace);
        sandbox.shutdown().await;
    }
}
