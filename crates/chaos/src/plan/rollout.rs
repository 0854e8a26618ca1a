//! Plans a rolling upgrade: the services of the previous release are replaced one at a time.

use std::time::Duration;

use super::{InjectedFault, PlannedFault, Release, RunOptions, Target};

/// Replaces all services in the order of the pipeline, from the ingress to the reporters, then goes back to the previous release
/// in the reverse order, and upgrades again in that order. So each service runs next to the other release of each other one.
pub(super) fn plan(options: &RunOptions) -> PlannedFault {
    let forward: Vec<_> =
        Target::all(options.cluster).into_iter().filter(|target| target.is_service()).collect();
    let backward = || forward.iter().rev().copied();
    let upgraded = forward.iter().map(|&target| (target, Release::Current));
    let steps = upgraded
        .chain(backward().map(|target| (target, Release::Previous)))
        .chain(backward().map(|target| (target, Release::Current)));
    let fault = InjectedFault::Rollout(steps.collect());
    PlannedFault { at: Duration::ZERO, lasts: options.duration, fault }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::plan::{CallbackOrder, Role};

    #[test]
    fn each_service_is_upgraded_twice_and_each_step_changes_one_release() {
        let (duration, order, previous) = (Duration::from_mins(1), CallbackOrder::Strict, Some("old".into()));
        let options = RunOptions { seed: 7, duration, submissions: 0, cluster: false, order, previous };
        let InjectedFault::Rollout(steps) = plan(&options).fault else { panic!("no rollout") };
        let mut running = HashMap::new();
        for (target, release) in &steps {
            assert!(target.is_service());
            let before = running.insert(*target, *release).unwrap_or(Release::Previous);
            assert_ne!(before, *release, "{target}");
        }
        assert_eq!(steps.len(), running.len() * 3);
        assert!(running.values().all(|release| *release == Release::Current));
        let first_upgrade = |nth: usize| steps[nth * running.len() * 2].0.role;
        assert_eq!((first_upgrade(0), first_upgrade(1)), (Role::Ingress, Role::Reporter), "both orders");
    }
}
