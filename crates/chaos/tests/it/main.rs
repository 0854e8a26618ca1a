//! Short runs of three seeds, each with its processes of its own.

use std::path::Path;
use std::time::Duration;

use gavel_chaos::plan::Asked;

/// What these must come to is what long runs must come to; they only meet fewer faults.
#[tokio::test(flavor = "multi_thread")]
async fn chaos_of_three_seeds_loses_nothing() {
    let evidence = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos");
    for seed in [1, 2, 3] {
        let asked = Asked { seed, lasts: Duration::from_secs(10), submissions: 40, cluster: false };
        let outcome = gavel_chaos::run(&asked, &evidence, std::future::pending()).await.unwrap().unwrap();
        println!("chaos: {} seed={seed}", outcome.tally);
        assert_eq!(outcome.wrong, [""; 0], "seed {seed}; evidence in {:?}", outcome.evidence);
        assert_eq!(outcome.tally.last, outcome.tally.accepted);
        assert!(outcome.tally.accepted > 20, "too little was taken to tell: {}", outcome.tally);
    }
}
