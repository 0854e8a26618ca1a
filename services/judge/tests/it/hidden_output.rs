//! `HIDDEN_OUTPUT`: a program can print the input of a hidden test.

use gavel_domain::{Limits, Question, Visibility};
use gavel_testkit::{ServiceProcess, fixtures};

use crate::rig::Rig;

/// Prints its input on both streams, and fails.
const LEAK: &str = "import sys\ntext = input()\nprint(text)\nsys.exit(text)";

async fn hidden_question(rig: &Rig) -> gavel_domain::event::BundleKey {
    let limits = Limits::new(10.0, 128.0).unwrap();
    let mut question = Question { limits, ..fixtures::question(&[("hidden-input", "7")]) };
    question.tests[0].visibility = Visibility::Hidden;
    rig.bundle(&question).await
}

#[tokio::test]
async fn hidden_output_is_sent_by_default() {
    let rig = Rig::start().await;
    let _judge = rig.judge().await;
    let end = rig.watch("s1").await;
    rig.ready("s1", hidden_question(&rig).await, LEAK).await;
    let verdict = end.await.judged.verdict;
    let failure = verdict.first_failure.unwrap();
    assert_eq!(failure.actual_output.as_deref(), Some("hidden-input\n"));
    assert_eq!((failure.error_message.trim(), failure.stdin), ("hidden-input", None));
    assert_eq!(verdict.stderr.unwrap().trim(), "hidden-input");
}

#[tokio::test]
async fn withheld_hidden_output_is_in_neither_event_nor_log() {
    let rig = Rig::start().await;
    let judge = ServiceProcess::start(rig.builder().env("HIDDEN_OUTPUT", "withhold")).await;
    let end = rig.watch("s1").await;
    rig.ready("s1", hidden_question(&rig).await, LEAK).await;
    let judged = end.await.judged;
    assert_eq!(judged.verdict.first_failure.as_ref().unwrap().error_message, "Runtime error (exit code 1)");
    assert!(!format!("{judged:?}").contains("hidden-input"), "{judged:?}");
    assert!(!judge.log().iter().any(|line| line.contains("hidden-input")));
}
