//! The output of `--help`. To accept a change: `INSTA_UPDATE=always cargo nextest run -p gavel-judge help`.

use gavel_testkit::Process;

#[tokio::test]
async fn help_matches_snapshot() {
    let (code, output) = Process::builder(env!("CARGO_BIN_EXE_gavel-judge")).arg("--help").output().await;
    assert_eq!(code, Some(0), "{output}");
    // The default is the number of CPUs.
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let output = output.replace(&format!("JUDGE_SLOTS [{cpus}]"), "JUDGE_SLOTS [CPUS]");
    insta::assert_snapshot!("gavel-judge", output);
}
