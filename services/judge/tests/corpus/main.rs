//! The corpus: well-behaved and hostile programs, each with its expected outcome. A case is a folder next to this file
//! with a source and a `case.toml`, whose fields `case.rs` documents.
//!
//! Each case is a separate test on every tier that the machine supports. It runs twice in the same pooled slot, and
//! nothing of the first run may be left for the second. The test `together` runs all cases in parallel. Cases are skipped
//! if the toolchain of their language is not installed; `scripts/languages --list` and `scripts/test` show which.
//!
//! `BUSY_PROCESSES=16` in the environment runs everything together with that many processes that never sleep.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod case;
mod outside;
mod run;

use std::sync::Arc;

use gavel_domain::error::chain;
use gavel_sandbox::{InitProgram, Languages, Sandbox, SandboxConfig, TierChoice};
use gavel_testkit::BusyProcesses;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use case::{Case, PYTHON};
use outside::Outside;

/// The number of parallel runs in `together`: more than CPU cores, so that the runs compete.
const PARALLEL_RUNS: usize = 4;

fn main() {
    // This executable is also the init of its own sandboxes.
    gavel_sandbox::init::enter_if_asked();
    let arguments = Arguments::from_args();
    let runtime = Arc::new(Runtime::new().unwrap());
    let cases = Case::all();
    let tiers = runtime.block_on(tiers(&arguments));
    let mut trials = vec![Trial::test("there_are_cases_and_tiers", {
        let (cases, tiers) = (cases.len(), tiers.len());
        move || {
            if cases >= 100 && tiers > 0 {
                Ok(())
            } else {
                Err(format!("{cases} cases, {tiers} tiers").into())
            }
        }
    })];
    let languages = Languages::default();
    let runnable: Vec<_> =
        cases.into_iter().filter(|case| languages.has_toolchain(case.language())).collect();
    for tier in tiers {
        let name = name(tier);
        let sampled = tier == TierChoice::NoCgroup;
        let cases: Vec<_> = runnable
            .iter()
            .cloned()
            .map(|case| Arc::new(if sampled { case.sampled() } else { case }))
            .collect();
        for case in cases.iter().cloned() {
            let runtime = Arc::clone(&runtime);
            let name = format!("{name}::{}", case.name);
            trials.push(Trial::test(name, move || runtime.block_on(twice(&case, tier))));
        }
        let runtime = Arc::clone(&runtime);
        trials
            .push(Trial::test(format!("{name}::together"), move || runtime.block_on(together(cases, tier))));
    }
    let busy = BusyProcesses::start(busy_processes());
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(busy);
    conclusion.exit();
}

/// The number of processes that `BUSY_PROCESSES` asks for.
fn busy_processes() -> usize {
    std::env::var("BUSY_PROCESSES").map_or(0, |number| number.parse().expect("BUSY_PROCESSES is a number"))
}

/// The tiers that this machine supports. If the arguments name one test, that is its tier: a runner that starts a process
/// for each test has listed the tests before, and to try all tiers takes longer than most cases.
async fn tiers(arguments: &Arguments) -> Vec<TierChoice> {
    let test = arguments.filter.as_ref().filter(|_| arguments.exact);
    if let Some((tier, _)) = test.and_then(|test| test.split_once("::")) {
        return TierChoice::ALL.into_iter().filter(|known| name(*known) == tier).collect();
    }
    let mut supported = Vec::new();
    for tier in TierChoice::ALL {
        if let Ok(sandbox) = Sandbox::start(config(tier, 1, &[])).await {
            sandbox.shutdown().await;
            supported.push(tier);
        }
    }
    supported
}

/// The name of a tier in the names of tests.
fn name(tier: TierChoice) -> String {
    format!("{tier:?}").to_lowercase()
}

fn config(tier: TierChoice, slots: usize, languages: &[u32]) -> SandboxConfig {
    let languages = Languages::default().only(languages);
    SandboxConfig { slots, tier, languages, init: InitProgram::CurrentExe, ..SandboxConfig::default() }
}

/// Runs one case twice in the same slot.
async fn twice(case: &Case, tier: TierChoice) -> Result<(), Failed> {
    let sandbox =
        Sandbox::start(config(tier, 1, &[case.language().0, PYTHON])).await.map_err(|error| chain(&error))?;
    let outside = Outside::open();
    for round in ["first", "second"] {
        let mut workspace = sandbox.workspace().await.map_err(|error| chain(&error))?;
        let judged = run::once(&mut workspace, case, &outside).await;
        judged.map_err(|wrong| format!("in the {round} run: {wrong}"))?;
        let traces = run::traces(&mut workspace).await;
        traces.map_err(|found| format!("after the {round} run: {found}"))?;
    }
    sandbox.shutdown().await;
    outside.untouched().map_err(Failed::from)
}

/// Runs all cases once, in a few slots.
async fn together(cases: Vec<Arc<Case>>, tier: TierChoice) -> Result<(), Failed> {
    let ids: Vec<u32> = cases.iter().map(|case| case.language().0).collect();
    let sandbox = Sandbox::start(config(tier, PARALLEL_RUNS, &ids)).await.map_err(|error| chain(&error))?;
    let outside = Arc::new(Outside::open());
    let mut running = JoinSet::new();
    for case in cases {
        let (sandbox, outside) = (sandbox.clone(), Arc::clone(&outside));
        running.spawn(async move {
            let mut workspace = sandbox.workspace().await.map_err(|fault| fault.to_string())?;
            let judged = run::once(&mut workspace, &case, &outside).await;
            judged.map_err(|wrong| format!("{}: {wrong}", case.name))
        });
    }
    let mut failures = Vec::new();
    while let Some(ended) = running.join_next().await {
        failures.extend(ended?.err());
    }
    sandbox.shutdown().await;
    failures.extend(outside.untouched().err());
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n\n").into()) }
}
