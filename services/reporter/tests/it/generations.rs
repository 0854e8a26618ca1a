//! A later generation is reported like the first; a late message of an earlier one is refused.

use gavel_domain::{FirstFailure, Generation, Status, Verdict};
use gavel_mock_convex::{Endpoint, HttpFault, Matcher};
use gavel_testkit::TEST_TIMEOUT;
use gavel_testkit::fixtures::{passed, submission};
use serde_json::json;

use crate::rig::{Rig, dead_letter};

fn failed() -> Verdict {
    let first_failure = FirstFailure {
        index: 0,
        stdin: Some("1".into()),
        actual_output: Some("2".into()),
        expected_output: Some("3".into()),
        error_message: "Runtime error".into(),
    };
    let (first_failure, stderr) = (Some(first_failure), Some("trouble".into()));
    Verdict { status: Status::Failed, passed_count: Some(0), first_failure, stderr, ..passed() }
}

#[tokio::test(flavor = "multi_thread")]
async fn later_generation_is_reported_and_replaces_the_earlier_result() {
    let rig = Rig::start(&[]).await;
    let first = submission("s1");
    assert!(rig.begin(&first).await);
    rig.wait_applied("s1", Endpoint::RUNNING).await;
    rig.judge(&first, failed()).await;
    rig.wait_reported(std::slice::from_ref(&first)).await;
    assert_eq!(rig.convex.submission("s1").unwrap().fields["firstFailure"]["errorMessage"], "Runtime error");
    let second = rig.rejudge(&first).await;
    assert!(rig.begin(&second).await, "the verdict of an earlier generation does not block it");
    rig.convex
        .wait_submission("s1", TEST_TIMEOUT, |state| state.status == gavel_mock_convex::Status::Running)
        .await
        .unwrap();
    rig.judge(&second, passed()).await;
    rig.wait_reported(std::slice::from_ref(&second)).await;
    let state = rig.convex.submission("s1").unwrap();
    assert_eq!(
        (state.status, state.running_calls, state.result_calls),
        (gavel_mock_convex::Status::Passed, 2, 2)
    );
    assert_eq!(state.fields["firstFailure"], json!({}));
    assert_eq!((&state.fields["stderr"], &state.fields["compileOutput"]), (&json!(""), &json!("")));
}

#[tokio::test(flavor = "multi_thread")]
async fn late_message_of_an_earlier_generation_is_refused() {
    let rig = Rig::start(&[]).await;
    // Its result was given up, so only the newer generation prevents that it is sent on redelivery.
    let first = submission("s1");
    rig.convex.fault(Matcher::of(Endpoint::RESULT).first(1), HttpFault::status(422));
    let mut live = rig.live_events(&first.id).await;
    rig.begin(&first).await;
    rig.judge(&first, failed()).await;
    dead_letter(&mut live).await;
    let second = rig.rejudge(&first).await;
    rig.begin(&second).await;
    rig.judge(&second, passed()).await;
    rig.wait_reported(std::slice::from_ref(&second)).await;
    rig.wait_idle().await;
    let before = rig.convex.call_count(None);
    rig.delete_consumers().await;
    let refused = |line: &gavel_testkit::LogLine| line.contains("refused: a newer generation has begun");
    let logged = rig.reporter(0).wait_log("the refusal", TEST_TIMEOUT, refused).await.unwrap();
    assert_eq!(logged.field("/generation"), Some(json!(Generation::FIRST.to_string())));
    rig.wait_idle().await;
    assert_eq!(rig.convex.call_count(None), before);
    assert_eq!(rig.stored("submission.reported.s1").await, Some(0));
}
