//! The same tests without privilege: init and programs have the judge's id, and usage is sampled unless
//! `SANDBOX_TIER` names another tier.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "it/artefacts.rs"]
mod artefacts;
#[path = "it/cleanliness.rs"]
mod cleanliness;
#[path = "it/compilers.rs"]
mod compilers;
#[path = "it/compiling.rs"]
mod compiling;
#[path = "it/elf.rs"]
mod elf;
#[path = "it/isolation.rs"]
mod isolation;
#[path = "it/load.rs"]
mod load;
#[path = "it/neighbours.rs"]
mod neighbours;
#[path = "it/outcomes.rs"]
mod outcomes;
#[path = "it/same_slot.rs"]
mod same_slot;
#[path = "it/speedups.rs"]
mod speedups;
#[path = "it/streams.rs"]
mod streams;
#[path = "it/support.rs"]
mod support;

/// Programs have the id of the user that runs the tests.
const AS_ROOT: bool = false;

#[tokio::test]
async fn sandbox_runs_without_privilege_and_names_its_tier() {
    use gavel_sandbox::{IdMapping, TierChoice};
    let sandbox = support::sandbox(1).await;
    assert_eq!(sandbox.tier().id_mapping, IdMapping::JudgeOnly);
    if support::tier() == TierChoice::NoCgroup {
        assert_eq!(sandbox.tier().cgroups, None);
        assert!(sandbox.tier().to_string().starts_with("no cgroup (memory and CPU time are sampled)"));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    sandbox.shutdown().await;
}
