//! Short runs with three seeds, each with its own processes.

use std::path::Path;
use std::time::Duration;

use gavel_chaos::plan::{CallbackOrder, RunOptions};

/// Checks the same as long runs, with fewer faults.
#[tokio::test(flavor = "multi_thread")]
async fn chaos_of_three_seeds_loses_nothing() {
    let evidence = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos");
    for (seed, order) in [(1, CallbackOrder::Strict), (2, CallbackOrder::Guarded), (3, CallbackOrder::Strict)]
    {
        let duration = Duration::from_secs(10);
        let options = RunOptions { seed, duration, submissions: 40, cluster: false, order, previous: None };
        let result = gavel_chaos::run(&options, &evidence, std::future::pending()).await.unwrap().unwrap();
        println!("chaos: {} seed={seed}", result.summary);
        assert_eq!(result.violations, [""; 0], "seed {seed}; evidence in {:?}", result.evidence);
        assert_eq!(result.summary.finals, result.summary.accepted);
        assert!(
            result.summary.accepted > 20,
            "too few submissions were accepted for a meaningful run: {}",
            result.summary
        );
    }
}
