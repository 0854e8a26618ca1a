//! The corpus: well-behaved and hostile programs, each with its expected outcome. A case is a folder next to this file
//! with a source and a `case.toml`, whose fields `case.rs` documents.
//!
//! Each case is a separate test on every tier that the machine supports; the output names the other tiers. All tests of a
//! tier share one sandbox, in whose slots the cases run in parallel. Each case runs twice, and after each run a program in
//! the same slot looks for what it has left. Cases are skipped if the toolchain of their language is not installed;
//! `scripts/languages --list` and `scripts/test` show which.
//!
//! `cargo test -p gavel-judge --test corpus -- FILTER` runs the cases whose names contain `FILTER`.
//! `SIDE_BY_SIDE=1` in the environment runs each case three times as the tests of one submission, side by side in two
//! slots (ADR 13), and one case at a time.
//! `BUSY_PROCESSES=16` in the environment runs everything together with that many processes that never sleep, and
//! `SLOWNESS=6` multiplies all limits on time by that, for an emulated machine (`scripts/vm`). The tiers that the names in
//! `REQUIRED_TIERS=cgroupv1,nocgroup` stand for must work, or everything fails.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod case;
mod outside;
mod run;

use std::sync::Arc;
use std::time::Duration;

use gavel_domain::error::chain;
use gavel_sandbox::{InitProgram, Languages, Sandbox, SandboxConfig, TierChoice};
use gavel_testkit::BusyProcesses;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

use case::{Case, PYTHON};
use outside::Outside;

/// The number of tests that run in parallel, unless the arguments have another: on a small machine the runs compete.
const PARALLEL_TESTS: usize = 4;
/// The longest that a case may take; even the slowest one takes a tenth of this next to many busy processes.
const MAX_TIME: Duration = Duration::from_mins(10);

fn main() {
    // This executable is also the init of its own sandboxes.
    gavel_sandbox::init::enter_if_asked();
    let mut arguments = Arguments::from_args();
    let is_side_by_side = is_side_by_side();
    let parallel = if is_side_by_side { 1 } else { PARALLEL_TESTS };
    let parallel = *arguments.test_threads.get_or_insert(parallel);
    let slots = if is_side_by_side { 2 * parallel } else { parallel };
    let runtime = Arc::new(Runtime::new().unwrap());
    let cases = cases();
    let (mut sandboxes, mut trials, mut is_refused) = (Vec::new(), Vec::new(), false);
    for tier in TierChoice::ALL {
        let chosen: Vec<_> =
            cases.iter().filter(|case| is_chosen(&arguments, &test_name(tier, case))).collect();
        if chosen.is_empty() {
            continue;
        }
        // A list needs no toolchains.
        let ids = if arguments.list { Vec::new() } else { languages(&chosen) };
        match runtime.block_on(Sandbox::start(config(tier, slots, &ids))) {
            Ok(sandbox) => {
                trials.extend(chosen.into_iter().map(|case| trial(tier, case, &sandbox, &runtime)));
                sandboxes.push(sandbox);
            }
            Err(error) => {
                let name = tier_name(tier);
                assert!(!is_required(&name), "{name} is required: {}", chain(&error));
                eprintln!("not on this machine: {name}: {}", chain(&error));
                is_refused = true;
            }
        }
    }
    assert!(!is_refused || !sandboxes.is_empty(), "no tier works on this machine");
    let busy = BusyProcesses::start(busy_processes());
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(busy);
    for sandbox in sandboxes {
        runtime.block_on(sandbox.shutdown());
    }
    conclusion.exit();
}

/// The cases in the languages that are installed.
fn cases() -> Vec<Case> {
    let cases = Case::all();
    assert!(cases.len() >= 400, "only {} cases were found", cases.len());
    let table = Languages::default();
    cases.into_iter().filter(|case| table.has_toolchain(case.language())).collect()
}

/// The languages of the cases, and that of the program that looks for traces.
fn languages(cases: &[&Case]) -> Vec<u32> {
    cases.iter().map(|case| case.language().0).chain([PYTHON]).collect()
}

/// Whether the arguments choose the test, by the rules of libtest.
fn is_chosen(arguments: &Arguments, test: &str) -> bool {
    let matches = |filter: &String| if arguments.exact { test == filter } else { test.contains(filter) };
    arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
}

fn test_name(tier: TierChoice, case: &Case) -> String {
    format!("{}::{}", tier_name(tier), case.name)
}

fn tier_name(tier: TierChoice) -> String {
    format!("{tier:?}").to_lowercase()
}

/// Whether `REQUIRED_TIERS` has the tier.
fn is_required(tier: &str) -> bool {
    std::env::var("REQUIRED_TIERS").is_ok_and(|tiers| tiers.split(',').any(|name| name == tier))
}

fn trial(tier: TierChoice, case: &Case, sandbox: &Sandbox, runtime: &Arc<Runtime>) -> Trial {
    let name = test_name(tier, case);
    let case = if tier == TierChoice::NoCgroup { case.clone().sampled() } else { case.clone() };
    let (sandbox, runtime) = (sandbox.clone(), Arc::clone(runtime));
    Trial::test(name, move || {
        runtime.block_on(async {
            let ended = tokio::time::timeout(MAX_TIME, twice(&case, &sandbox)).await;
            ended.unwrap_or_else(|_| Err(format!("no end after {MAX_TIME:?}").into()))
        })
    })
}

/// Whether `SIDE_BY_SIDE` asks for it.
fn is_side_by_side() -> bool {
    std::env::var_os("SIDE_BY_SIDE").is_some()
}

/// The number of processes that `BUSY_PROCESSES` asks for.
fn busy_processes() -> usize {
    std::env::var("BUSY_PROCESSES").map_or(0, |number| number.parse().expect("BUSY_PROCESSES is a number"))
}

fn config(tier: TierChoice, slots: usize, languages: &[u32]) -> SandboxConfig {
    let languages = Languages::default().only(languages);
    SandboxConfig { slots, tier, languages, init: InitProgram::CurrentExe, ..SandboxConfig::default() }
}

/// Runs one case twice, and looks for traces after each run.
async fn twice(case: &Case, sandbox: &Sandbox) -> Result<(), Failed> {
    let outside = Outside::open();
    for round in ["first", "second"] {
        let mut workspace = sandbox.workspace().await.map_err(|error| chain(&error))?;
        if is_side_by_side() {
            let judged = run::side_by_side(workspace, case, &outside).await;
            judged.map_err(|wrong| format!("in the {round} runs side by side: {wrong}"))?;
            let mut other = sandbox.workspace().await.map_err(|error| chain(&error))?;
            workspace = sandbox.workspace().await.map_err(|error| chain(&error))?;
            let traces = run::traces(&mut other).await;
            traces.map_err(|found| format!("after the {round} runs side by side: {found}"))?;
        } else {
            let judged = run::once(&mut workspace, case, &outside).await;
            judged.map_err(|wrong| format!("in the {round} run: {wrong}"))?;
        }
        let traces = run::traces(&mut workspace).await;
        traces.map_err(|found| format!("after the {round} run: {found}"))?;
    }
    outside.untouched().map_err(Failed::from)
}
