//! The corpus: programs, honest and hostile, each with how it must end. A case is a folder beside this file with a
//! source and a `case.toml`; `case.rs` says what may stand there.
//!
//! Each case is a test of its own, on every tier that the machine offers: twice in a row in one pooled slot, where
//! nothing of the first run is left. `together` runs all of them side by side. Languages whose toolchain is not
//! installed are left out; `scripts/languages --list` shows which, and `scripts/test` says so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod case;
mod outside;
mod run;

use std::sync::Arc;

use gavel_domain::error::chain;
use gavel_sandbox::{InitProgram, Languages, Sandbox, SandboxConfig, TierChoice};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use case::{Case, PYTHON};
use outside::Outside;

/// Runs side by side in `together`; more than there are cores, so that they disturb each other.
const CROWD: usize = 4;

fn main() {
    // This program is the init of its own sandboxes.
    gavel_sandbox::init::enter_if_asked();
    let arguments = Arguments::from_args();
    let runtime = Arc::new(Runtime::new().unwrap());
    let cases = Case::all();
    let tiers = runtime.block_on(tiers());
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
    let here: Vec<_> = cases.into_iter().filter(|case| languages.has_toolchain(case.language())).collect();
    for tier in tiers {
        let name = format!("{tier:?}").to_lowercase();
        let sampled = tier == TierChoice::NoCgroup;
        let here: Vec<_> =
            here.iter().cloned().map(|case| Arc::new(if sampled { case.sampled() } else { case })).collect();
        for case in here.iter().cloned() {
            let runtime = Arc::clone(&runtime);
            let name = format!("{name}::{}", case.name);
            trials.push(Trial::test(name, move || runtime.block_on(twice(&case, tier))));
        }
        let runtime = Arc::clone(&runtime);
        trials.push(Trial::test(format!("{name}::together"), move || runtime.block_on(together(here, tier))));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// The means of isolation that this machine offers.
async fn tiers() -> Vec<TierChoice> {
    let mut offered = Vec::new();
    for tier in TierChoice::ALL {
        if let Ok(sandbox) = Sandbox::start(config(tier, 1, &[])).await {
            sandbox.shutdown().await;
            offered.push(tier);
        }
    }
    offered
}

fn config(tier: TierChoice, slots: usize, languages: &[u32]) -> SandboxConfig {
    let languages = Languages::default().only(languages);
    SandboxConfig { slots, tier, languages, init: InitProgram::CurrentExe, ..SandboxConfig::default() }
}

/// One case, two times in the same slot.
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

/// All cases once, in slots that take turns.
async fn together(cases: Vec<Arc<Case>>, tier: TierChoice) -> Result<(), Failed> {
    let ids: Vec<u32> = cases.iter().map(|case| case.language().0).collect();
    let sandbox = Sandbox::start(config(tier, CROWD, &ids)).await.map_err(|error| chain(&error))?;
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
