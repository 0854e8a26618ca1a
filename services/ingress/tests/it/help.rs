//! The output of `--help`. To accept a change: `INSTA_UPDATE=always cargo nextest run -p gavel-ingress help`.

use gavel_testkit::Process;

#[tokio::test]
async fn help_matches_snapshot() {
    let (code, output) = Process::builder(env!("CARGO_BIN_EXE_gavel-ingress")).arg("--help").output().await;
    assert_eq!(code, Some(0), "{output}");
    insta::assert_snapshot!("gavel-ingress", output);
}
