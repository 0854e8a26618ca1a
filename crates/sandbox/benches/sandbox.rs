//! The time of a run in the sandbox compared with a bare `posix_spawn` and wait: back to back, which is the best case,
//! and with 30 ms between runs, which is how a judge in use works. Prints a table, whether each target is met, and one
//! line of JSON for each metric. If bubblewrap is installed, it is measured as well.

use std::ffi::CString;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gavel_domain::LanguageId;
use gavel_sandbox::{Compilation, Program, RunLimits, Sandbox, SandboxConfig};

const P0: &str = "int main(){return 0;}";
const CPP: &str =
    "#include <iostream>\nint main(){long a, b; if(std::cin >> a >> b) std::cout << a + b << std::endl;}";
/// About 50 ms of work that does not use the caches, and 8 MiB.
const WORK: &str = "#include <stdlib.h>\n#include <string.h>\nint main(){char *a = malloc(8 << 20); memset(a, 1, 8 << 20); \
    unsigned x = 1; for (int i = 0; i < 40000000; i++) x = x * 1664525u + 1013904223u; return a[x >> 9] == 2;}";
/// The tests of one submission.
const TESTS: usize = 50;
const BUBBLEWRAP: &str = "/usr/bin/bwrap";
const PYTHON: &str = "print(1)";
const PAUSE: Duration = Duration::from_millis(30);
/// Runs of each round that are not counted.
const WARM_UP: usize = 3;
/// How often bare and sandboxed runs alternate.
const ROUNDS: usize = 10;
/// Runs after which memory and descriptors must not have grown.
const ENDURANCE_RUNS: usize = 10_000;
/// How long throughput is measured.
const THROUGHPUT_TIME: Duration = Duration::from_secs(3);

fn main() {
    gavel_sandbox::init::enter_if_asked();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let p0 = directory.path().join("p0");
    compile(directory.path(), "gcc", "p0.c", P0, &p0);
    let sum = directory.path().join("sum");
    compile(directory.path(), "g++", "sum.cpp", CPP, &sum);
    let p0 = vec![p0.to_string_lossy().into_owned()];
    let python = vec!["/usr/bin/python3".to_owned(), "-c".to_owned(), PYTHON.to_owned()];
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sandbox = runtime.block_on(open());
    println!("{}", sandbox.tier());
    let idle = resident_mib();
    println!("{:<28}{:>10}{:>10}{:>10}{:>10}{:>8}", "", "bare ms", "p99", "gavel ms", "p99", "ratio");
    let cases = [
        ("p0", LanguageId(50), P0, &p0, Duration::ZERO, 1500),
        ("p0_paced", LanguageId(50), P0, &p0, PAUSE, 150),
        ("python", LanguageId(71), PYTHON, &python, Duration::ZERO, 150),
        ("python_paced", LanguageId(71), PYTHON, &python, PAUSE, 100),
    ];
    for (name, language, source, bare, pause, times) in cases {
        let program = runtime.block_on(program(&sandbox, language, source));
        let (mut bare_ms, mut sandbox_ms, mut bubblewrap_ms) = (Vec::new(), Vec::new(), Vec::new());
        let bubblewrap = Path::new(BUBBLEWRAP).exists().then(|| bubblewrapped(bare));
        // Alternating, so that other load on the machine affects both equally.
        for _ in 0..ROUNDS {
            bare_ms.extend(bare_runs(bare, pause, times / ROUNDS));
            sandbox_ms.extend(runtime.block_on(sandboxed_runs(&sandbox, &program, pause, times / ROUNDS)));
            if let Some(argv) = &bubblewrap {
                bubblewrap_ms.extend(bare_runs(argv, pause, times / ROUNDS / 3));
            }
        }
        row(name, &bare_ms, &sandbox_ms);
        let (median, p99) = if name.starts_with("p0") { (1.5, Some(3.0)) } else { (1.15, None) };
        at_most(&format!("{name}_ms"), percentile(&sandbox_ms, 50), percentile(&bare_ms, 50), median);
        if let Some(p99) = p99 {
            at_most(&format!("{name}_p99_ms"), percentile(&sandbox_ms, 99), percentile(&bare_ms, 99), p99);
        }
        if !bubblewrap_ms.is_empty() {
            row(&format!("{name}, bubblewrap"), &bare_ms, &bubblewrap_ms);
            let (value, baseline) = (percentile(&bubblewrap_ms, 50), percentile(&bare_ms, 50));
            metric(&format!("{name}_bubblewrap_ms"), value, baseline);
        }
    }
    let program = runtime.block_on(program(&sandbox, LanguageId(50), P0));
    let one = runtime.block_on(throughput(&sandbox, &program, 1));
    let two = runtime.block_on(throughput(&sandbox, &program, 2));
    println!("{:<28}{one:>10.0} runs/s; two {two:.0} runs/s, {:.2} times", "one slot", two / one);
    at_least("p0_two_slots_per_s", two, one, 1.65);
    submission(&runtime, &sandbox, &sum.to_string_lossy());
    let work = directory.path().join("work");
    compile(directory.path(), "gcc", "work.c", WORK, &work);
    repeatability(&runtime, &sandbox, &work.to_string_lossy());
    endurance(&runtime, &sandbox, &program, idle);
    runtime.block_on(sandbox.shutdown());
}

/// Measures a submission of fifty tests, compared with the bare program on the same inputs.
fn submission(runtime: &tokio::runtime::Runtime, sandbox: &Sandbox, bare: &str) {
    let program = runtime.block_on(program(sandbox, LanguageId(54), CPP));
    let bare = vec![bare.to_owned()];
    let (mut bare_ms, mut sandbox_ms) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare_ms.extend(bare_runs(&bare, Duration::ZERO, TESTS));
        sandbox_ms.extend(runtime.block_on(sandboxed_runs(sandbox, &program, Duration::ZERO, TESTS)));
    }
    row("C++, one test of 50", &bare_ms, &sandbox_ms);
    let mean =
        |values: &[f64]| values.iter().sum::<f64>() / f64::from(u32::try_from(values.len()).unwrap_or(1));
    let overhead = mean(&sandbox_ms) - mean(&bare_ms);
    println!("{:<28}{overhead:>10.3} ms of overhead for each test", "");
    at_most("cpp_50_tests_ms_a_test", overhead, 1.0, 1.3);
}

/// Measures how much the reported usage of one program varies between runs. How much the bare program's time varies
/// in the same minute shows what the machine adds.
fn repeatability(runtime: &tokio::runtime::Runtime, sandbox: &Sandbox, bare: &str) {
    let program = runtime.block_on(program(sandbox, LanguageId(50), WORK));
    let mut workspace = runtime.block_on(sandbox.workspace()).expect("a workspace");
    let bare = vec![bare.to_owned()];
    let (mut bare_ms, mut cpu, mut wall, mut memory) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare_ms.extend(bare_runs(&bare, Duration::ZERO, TESTS / ROUNDS));
        for _ in 0..TESTS / ROUNDS {
            let run = runtime.block_on(workspace.run(&program, Bytes::new(), &RunLimits::default()));
            let usage = run.expect("a run").usage;
            cpu.push(milliseconds(usage.cpu_time));
            wall.push(milliseconds(usage.wall_time));
            memory.push(u32::try_from(usage.memory_bytes >> 10).map_or(f64::MAX, f64::from));
        }
    }
    spread("bare_ms", &bare_ms);
    for (name, values) in [("cpu_ms", cpu), ("wall_ms", wall), ("memory_kib", memory)] {
        let (range, middle) = spread(name, &values);
        at_most(&format!("repeat_{name}_spread"), range, middle, 0.05);
    }
}

/// Prints how much a value varies between runs; returns the range from its tenth to its 90th percentile, and its
/// median.
fn spread(name: &str, values: &[f64]) -> (f64, f64) {
    let (low, middle, high) = (percentile(values, 10), percentile(values, 50), percentile(values, 90));
    let share = (high - low) / middle * 100.0;
    println!("{:<28}{middle:>10.2} {name}, from {low:.2} to {high:.2} ({share:.1} %)", "the same work");
    (high - low, middle)
}

/// Checks that many runs leak no memory, descriptors, mounts, processes or cgroups.
fn endurance(runtime: &tokio::runtime::Runtime, sandbox: &Sandbox, program: &Program, idle: f64) {
    let before = (resident_mib(), leftovers());
    runtime.block_on(sandboxed_runs(sandbox, program, Duration::ZERO, ENDURANCE_RUNS));
    let after = (resident_mib(), leftovers());
    println!(
        "{:<28}{idle:>10.1} MiB idle; {:.1}, then {:.1} MiB after {ENDURANCE_RUNS} runs",
        "memory", before.0, after.0
    );
    println!("{:<28}{:>10} before, {} after", "descriptors, mounts, children, cgroups", before.1, after.1);
    at_most("idle_mib", idle, 1.0, 20.0);
    at_most("memory_after_10000_runs_mib", after.0, before.0, 1.05);
    at_most("leftovers_after_10000_runs", f64::from(u8::from(before.1 != after.1)), 1.0, 0.0);
}

/// The counts of what runs could leave: descriptors of this process, mounts, children including zombies, cgroups.
fn leftovers() -> String {
    let lines = |path: &str| std::fs::read_to_string(path).unwrap_or_default().lines().count();
    let children = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let children: usize = children
        .map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default())
        .map(|pids| pids.split_whitespace().count())
        .sum();
    let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let hierarchies =
        mounts.lines().filter(|line| line.contains(" - cgroup")).filter_map(|line| line.split(' ').nth(4));
    let own = format!("gavel-{}-0", std::process::id());
    let groups: usize = hierarchies
        .filter_map(|top| std::fs::read_dir(Path::new(top).join(&own)).ok())
        .map(|entries| entries.flatten().filter(|entry| entry.path().is_dir()).count())
        .sum();
    format!("{descriptors}/{}/{children}/{groups}", lines("/proc/self/mountinfo"))
}

fn compile(directory: &Path, compiler: &str, name: &str, text: &str, output: &Path) {
    let source = directory.join(name);
    std::fs::write(&source, text).expect("the source is written");
    let status = Command::new(format!("/usr/bin/{compiler}"))
        .args(["-O2", "-static", "-o"])
        .arg(output)
        .arg(&source)
        .status();
    assert!(status.is_ok_and(|status| status.success()), "{compiler} compiles");
}

/// The command that runs the same program in bubblewrap, with all namespaces.
fn bubblewrapped(argv: &[String]) -> Vec<String> {
    let wrap = [
        BUBBLEWRAP,
        "--unshare-all",
        "--die-with-parent",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
    ];
    wrap.iter().map(|part| (*part).to_owned()).chain(argv.iter().cloned()).collect()
}

async fn open() -> Sandbox {
    match Sandbox::start(SandboxConfig { slots: 2, ..SandboxConfig::default() }).await {
        Ok(sandbox) => sandbox,
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

async fn program(sandbox: &Sandbox, language: LanguageId, source: &str) -> Program {
    let mut workspace = sandbox.workspace().await.expect("a workspace");
    match workspace.compile(language, source.as_bytes()).await {
        Ok(Compilation::Ready(program)) => program,
        other => panic!("{other:?}"),
    }
}

/// The milliseconds of each run, in a task of a multi-threaded runtime, as in a judge.
async fn sandboxed_runs(sandbox: &Sandbox, program: &Program, pause: Duration, times: usize) -> Vec<f64> {
    let (sandbox, program) = (sandbox.clone(), program.clone());
    let task = tokio::spawn(async move {
        let mut workspace = sandbox.workspace().await.expect("a workspace");
        let limits = RunLimits::default();
        let mut times_ms = Vec::new();
        for _ in 0..times + WARM_UP {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let started = Instant::now();
            let run = workspace.run(&program, Bytes::new(), &limits).await.expect("a run");
            times_ms.push(milliseconds(started.elapsed()));
            assert!(run.outcome.is_success(), "{run:?}");
        }
        times_ms.split_off(WARM_UP)
    });
    task.await.expect("the task ends")
}

/// Runs per second with this many slots at the same time.
async fn throughput(sandbox: &Sandbox, program: &Program, slots: usize) -> f64 {
    let started = Instant::now();
    let tasks: Vec<_> = (0..slots)
        .map(|_| {
            let (sandbox, program) = (sandbox.clone(), program.clone());
            tokio::spawn(async move {
                let mut workspace = sandbox.workspace().await.expect("a workspace");
                let limits = RunLimits::default();
                let mut runs = 0_u32;
                while started.elapsed() < THROUGHPUT_TIME {
                    workspace.run(&program, Bytes::new(), &limits).await.expect("a run");
                    runs += 1;
                }
                runs
            })
        })
        .collect();
    let mut runs = 0;
    for task in tasks {
        runs += task.await.expect("the task ends");
    }
    f64::from(runs) / started.elapsed().as_secs_f64()
}

/// The memory of this process and its inits, with shared pages divided among them (`Pss`), in MiB.
fn resident_mib() -> f64 {
    let own = std::process::id();
    let parent = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse::<u32>().ok())
    };
    let entries = std::fs::read_dir("/proc").expect("a /proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let kib: f64 = pids
        .filter(|pid| *pid == own || parent(pid) == Some(own))
        .filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok())
        .filter_map(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.trim().trim_end_matches(" kB").parse::<f64>().ok()
        })
        .sum();
    kib / 1024.0
}

#[expect(unsafe_code, reason = "the baseline is the bare system interface")]
fn bare_runs(argv: &[String], pause: Duration, times: usize) -> Vec<f64> {
    let texts: Vec<_> = argv.iter().map(|text| CString::new(text.as_str()).expect("no NUL")).collect();
    let mut pointers: Vec<_> = texts.iter().map(|text| text.as_ptr().cast_mut()).collect();
    pointers.push(std::ptr::null_mut());
    let env = [c"PATH=/usr/bin:/bin".as_ptr().cast_mut(), std::ptr::null_mut()];
    let null = c"/dev/null".as_ptr();
    let mut times_ms = Vec::new();
    for _ in 0..times + WARM_UP {
        std::thread::sleep(pause);
        let started = Instant::now();
        // SAFETY: the actions are initialised before and destroyed after use; argv and env end with null and
        // outlive the call.
        let status = unsafe {
            let mut actions = std::mem::zeroed();
            libc::posix_spawn_file_actions_init(&raw mut actions);
            libc::posix_spawn_file_actions_addopen(&raw mut actions, 1, null, libc::O_WRONLY, 0);
            let (mut pid, mut status) = (0, -1);
            libc::posix_spawn(
                &raw mut pid,
                pointers[0],
                &raw const actions,
                std::ptr::null(),
                pointers.as_ptr(),
                env.as_ptr(),
            );
            libc::waitpid(pid, &raw mut status, 0);
            libc::posix_spawn_file_actions_destroy(&raw mut actions);
            status
        };
        times_ms.push(milliseconds(started.elapsed()));
        assert_eq!(status, 0, "the bare program runs");
    }
    times_ms.split_off(WARM_UP)
}

fn row(name: &str, bare_ms: &[f64], sandbox_ms: &[f64]) {
    let (b50, b99) = (percentile(bare_ms, 50), percentile(bare_ms, 99));
    let (s50, s99) = (percentile(sandbox_ms, 50), percentile(sandbox_ms, 99));
    println!("{name:<28}{b50:>10.3}{b99:>10.3}{s50:>10.3}{s99:>10.3}{:>8.2}", s50 / b50);
}

/// Prints a metric whose target is at most `ratio` times its baseline.
fn at_most(name: &str, value: f64, baseline: f64, ratio: f64) {
    target(name, value, baseline, value / baseline <= ratio, &format!("at most {ratio}"));
}

/// Prints a metric whose target is at least `ratio` times its baseline.
fn at_least(name: &str, value: f64, baseline: f64, ratio: f64) {
    target(name, value, baseline, value / baseline >= ratio, &format!("at least {ratio}"));
}

fn target(name: &str, value: f64, baseline: f64, is_met: bool, wanted: &str) {
    let result = if is_met { "met" } else { "NOT MET" };
    println!("  target {name}: {:.3}, wanted {wanted}: {result}", value / baseline);
    metric(name, value, baseline);
}

fn metric(name: &str, value: f64, baseline: f64) {
    println!(
        "{{\"bench\":\"sandbox\",\"metric\":\"{name}\",\"value\":{value:.4},\"baseline\":{baseline:.4},\
         \"ratio\":{:.4}}}",
        value / baseline
    );
}

fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) * percent / 100]
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
