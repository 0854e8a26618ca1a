//! What a run costs beside a bare `posix_spawn` and wait: back to back, which flatters, and with 30 ms between
//! runs, which is how a judge in use works. Prints a table, and one line of JSON a figure.

use std::ffi::CString;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gavel_domain::LanguageId;
use gavel_sandbox::{Compilation, Program, RunLimits, Sandbox, SandboxConfig};

const P0: &str = "int main(){return 0;}";
const PYTHON: &str = "print(1)";
const PAUSE: Duration = Duration::from_millis(30);
/// Runs of each turn that are not counted.
const WARM_UP: usize = 3;
/// How often the two sides take turns.
const ROUNDS: usize = 10;
/// Runs after which nothing may have grown.
const MANY: usize = 10_000;
/// How long throughput is measured.
const SPAN: Duration = Duration::from_secs(3);

fn main() {
    gavel_sandbox::init::enter_if_asked();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let p0 = directory.path().join("p0");
    compile_p0(directory.path(), &p0);
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
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        // In turns, so that what else the machine does falls on both alike.
        for _ in 0..ROUNDS {
            theirs.extend(bare_runs(bare, pause, times / ROUNDS));
            ours.extend(runtime.block_on(sandboxed_runs(&sandbox, &program, pause, times / ROUNDS)));
        }
        row(name, &theirs, &ours);
    }
    let program = runtime.block_on(program(&sandbox, LanguageId(50), P0));
    let one = runtime.block_on(throughput(&sandbox, &program, 1));
    let two = runtime.block_on(throughput(&sandbox, &program, 2));
    println!("{:<28}{one:>10.0} runs/s; two {two:.0} runs/s, {:.2} times", "one slot", two / one);
    figure("p0_two_slots_per_s", two, one);
    runtime.block_on(sandboxed_runs(&sandbox, &program, Duration::ZERO, MANY));
    let after = resident_mib();
    println!("{:<28}{idle:>10.1} MiB idle; {after:.1} MiB after {MANY} more runs", "memory");
    figure("memory_mib", after, idle);
    runtime.block_on(sandbox.shutdown());
}

fn compile_p0(directory: &Path, output: &Path) {
    let source = directory.join("p0.c");
    std::fs::write(&source, P0).expect("the source is written");
    let compiled =
        Command::new("/usr/bin/gcc").args(["-O2", "-static", "-o"]).arg(output).arg(&source).status();
    assert!(compiled.is_ok_and(|status| status.success()), "gcc compiles");
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

/// Milliseconds of each run, as a task of a runtime with several threads, like a judge's.
async fn sandboxed_runs(sandbox: &Sandbox, program: &Program, pause: Duration, times: usize) -> Vec<f64> {
    let (sandbox, program) = (sandbox.clone(), program.clone());
    let task = tokio::spawn(async move {
        let mut workspace = sandbox.workspace().await.expect("a workspace");
        let limits = RunLimits::default();
        let mut spent = Vec::new();
        for _ in 0..times + WARM_UP {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let started = Instant::now();
            let run = workspace.run(&program, Bytes::new(), &limits).await.expect("a run");
            spent.push(milliseconds(started.elapsed()));
            assert!(run.ending.is_success(), "{run:?}");
        }
        spent.split_off(WARM_UP)
    });
    task.await.expect("the task ends")
}

/// Runs a second on so many slots at once.
async fn throughput(sandbox: &Sandbox, program: &Program, slots: usize) -> f64 {
    let started = Instant::now();
    let tasks: Vec<_> = (0..slots)
        .map(|_| {
            let (sandbox, program) = (sandbox.clone(), program.clone());
            tokio::spawn(async move {
                let mut workspace = sandbox.workspace().await.expect("a workspace");
                let limits = RunLimits::default();
                let mut runs = 0_u32;
                while started.elapsed() < SPAN {
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

/// Memory of this process and its inits, shared pages split among them (`Pss`), in MiB.
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
    let mut spent = Vec::new();
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
        spent.push(milliseconds(started.elapsed()));
        assert_eq!(status, 0, "the bare program runs");
    }
    spent.split_off(WARM_UP)
}

fn row(name: &str, bare: &[f64], ours: &[f64]) {
    let (b50, b99) = (percentile(bare, 50), percentile(bare, 99));
    let (o50, o99) = (percentile(ours, 50), percentile(ours, 99));
    println!("{name:<28}{b50:>10.3}{b99:>10.3}{o50:>10.3}{o99:>10.3}{:>8.2}", o50 / b50);
    figure(&format!("{name}_ms"), o50, b50);
}

fn figure(metric: &str, value: f64, baseline: f64) {
    println!(
        "{{\"bench\":\"sandbox\",\"metric\":\"{metric}\",\"value\":{value:.4},\"baseline\":{baseline:.4},\
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
