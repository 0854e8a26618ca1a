//! Whether verdicts depend on the machine's load: programs close to their CPU time limit, on both sides of it, judged on
//! two CPUs by the judge's own engine: alone, next to busy processes, and with more slots than CPUs. Prints a table, and
//! exits with 1 if a verdict is wrong.

#![expect(clippy::unwrap_used, reason = "a benchmark panics on errors")]

mod programs;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use gavel_config::Env;
use gavel_domain::engine::Job;
use gavel_domain::{HiddenOutput, Outcome, Scorer, Status, Verdict};
use gavel_judge::{Config, Engine, SandboxEngine};
use gavel_testkit::BusyProcesses;
use programs::Program;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The CPUs that everything shares, busy processes included.
const CPUS: usize = 2;
/// The name, the number of busy processes, and the slots of each configuration.
const CONFIGURATIONS: [(&str, usize, usize); 5] = [
    ("quiet", 0, CPUS),
    ("busy2", 2, CPUS),
    ("busy4", 4, CPUS),
    ("busy16", 16, CPUS),
    ("slots4", 0, 2 * CPUS),
];

/// Judge programs close to their CPU time limit next to other work.
#[derive(Parser)]
#[command(name = "verdicts")]
struct Arguments {
    /// How often each program is judged in each configuration
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Only this configuration: quiet, busy2, busy4, busy16 or slots4
    #[arg(long, value_parser = CONFIGURATIONS.map(|(name, ..)| name))]
    only: Option<String>,
    /// Submissions that are judged in parallel, in place of each configuration's own number
    #[arg(long)]
    slots: Option<usize>,
    /// Ignored; cargo passes it to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// The result of one submission.
struct Judged {
    /// The program, and what is wrong with its verdict.
    wrong: Option<String>,
    /// The elapsed time of the submission divided by the wall time that its run was charged with.
    ratio: f64,
}

fn main() -> ExitCode {
    gavel_sandbox::init::enter_if_asked();
    let arguments = Arguments::parse();
    use_few_cpus();
    let programs = Arc::new(programs::all());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!("{:<12}{:>8}{:>8}{:>16}{:>16}  how wrong", "", "runs", "wrong", "median ratio", "largest ratio");
    let mut wrong = 0;
    for (name, busy, slots) in CONFIGURATIONS {
        if arguments.only.as_ref().is_none_or(|only| only == name) {
            let slots = arguments.slots.unwrap_or(slots);
            let judged = runtime.block_on(configuration(&programs, arguments.runs, busy, slots));
            wrong += show(name, judged);
        }
    }
    ExitCode::from(u8::from(wrong > 0))
}

/// Keeps this process, and every process that it starts, on the first few CPUs.
fn use_few_cpus() {
    let allowed = sched_getaffinity(None).unwrap();
    let mut few = CpuSet::new();
    for cpu in (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).take(CPUS) {
        few.set(cpu);
    }
    sched_setaffinity(None, &few).unwrap();
}

/// Judges every program as often as asked, as many at a time as there are slots.
async fn configuration(programs: &Arc<Vec<Program>>, runs: usize, busy: usize, slots: usize) -> Vec<Judged> {
    let variables = [("ENGINE", "sandbox".to_owned()), ("JUDGE_SLOTS", slots.to_string())];
    let mut env = Env::from_vars(variables.map(|(name, value)| (name.to_owned(), value)));
    let engine = Arc::new(SandboxEngine::start(&Config::read(&mut env)).await.unwrap());
    // Compiles each program once, so that the elapsed times below are those of runs.
    for program in programs.iter() {
        judge(&engine, program).await;
    }
    let _busy = BusyProcesses::start(busy);
    let next = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..slots)
        .map(|_| {
            let (engine, programs, next) = (Arc::clone(&engine), Arc::clone(programs), Arc::clone(&next));
            tokio::spawn(async move {
                let mut judged = Vec::new();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= programs.len() * runs {
                        return judged;
                    }
                    judged.push(judge(&engine, &programs[index % programs.len()]).await);
                }
            })
        })
        .collect();
    let mut judged = Vec::new();
    for worker in workers {
        judged.extend(worker.await.unwrap());
    }
    judged
}

/// Judges a program as the judge does.
async fn judge(engine: &SandboxEngine, program: &Program) -> Judged {
    let job = Job {
        language: program.language,
        source: program.source,
        question: &program.question,
        max_output_bytes: 4 << 20,
    };
    let mut scorer = Scorer::new(&program.question, 1_000, HiddenOutput::Send);
    let mut verdict = None;
    let started = Instant::now();
    let executed = engine
        .execute(&job, &mut |execution| match scorer.next(&execution) {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(decided) => {
                verdict = Some(decided);
                ControlFlow::Break(())
            }
        })
        .await;
    let elapsed = started.elapsed();
    let Some(verdict) = verdict else {
        return Judged { wrong: Some(format!("{}: no verdict: {executed:?}", program.name)), ratio: 1.0 };
    };
    let charged = verdict.tests[0].usage.wall_time.max(Duration::from_micros(1));
    Judged { wrong: difference(program, &verdict), ratio: elapsed.as_secs_f64() / charged.as_secs_f64() }
}

/// What is wrong with a verdict.
fn difference(program: &Program, verdict: &Verdict) -> Option<String> {
    let test = &verdict.tests[0];
    let is_right = if program.is_right {
        verdict.status == Status::Passed
    } else {
        matches!(test.outcome, Outcome::TimeLimit { .. })
    };
    (!is_right).then(|| format!("{}: {:?}, {:?}", program.name, test.outcome, test.usage))
}

/// Prints the line of a configuration and what is wrong. Returns the number of wrong verdicts.
fn show(name: &str, judged: Vec<Judged>) -> usize {
    let mut ratios: Vec<f64> = judged.iter().map(|judged| judged.ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let (runs, median) = (ratios.len(), ratios[ratios.len() / 2]);
    let wrong: Vec<String> = judged.into_iter().filter_map(|judged| judged.wrong).collect();
    let mut kinds = BTreeMap::<&str, usize>::new();
    for text in &wrong {
        *kinds.entry(text.split([':', ',']).nth(1).unwrap_or_default().trim()).or_default() += 1;
    }
    let kinds: Vec<_> = kinds.into_iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
    let largest = ratios[runs - 1];
    println!("{name:<12}{runs:>8}{:>8}{median:>16.2}{largest:>16.2}  {}", wrong.len(), kinds.join("; "));
    for text in &wrong {
        println!("    {text}");
    }
    wrong.len()
}
