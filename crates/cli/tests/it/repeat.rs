//! Invariant 2: one verdict, however often a submission is sent and however many judges share the work.

use futures::future::join_all;
use gavel_mock_convex::{Endpoint, Question, SubmissionKind};
use gavel_testkit::TEST_TIMEOUT;

use crate::pipeline::{Pipeline, service, submission};

fn question() -> Question {
    Question::build(SubmissionKind::Standard, "q").public("7", "7").done()
}

const ECHO: &str = "print(input())";

#[tokio::test(flavor = "multi_thread")]
async fn duplicate_request_is_202_and_changes_nothing() {
    let pipeline = Pipeline::start(vec![question()]).await;
    pipeline.submit("again", "q", 71, ECHO).await;
    pipeline.submit("again", "q", 71, ECHO).await;
    pipeline.result("again").await;
    pipeline.submit("again", "q", 71, ECHO).await;
    // A duplicate with another program is the same submission: the first program counts.
    pipeline.submit("again", "q", 71, "print('other')").await;
    pipeline.submit("other", "q", 71, ECHO).await;
    pipeline.result("other").await;
    assert_eq!(pipeline.result("again").await["status"], "passed");
    assert_eq!(pipeline.convex.submission("again").unwrap().result_calls, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn hundred_concurrent_duplicates_are_one_submission() {
    let pipeline = Pipeline::start(vec![question()]).await;
    let body = submission("crowd", "q", 71, ECHO);
    let answers = join_all((0..100).map(|_| pipeline.post(&body))).await;
    assert_eq!(answers, vec![202; 100]);
    assert_eq!(pipeline.result("crowd").await["status"], "passed");
    pipeline.submit("after", "q", 71, ECHO).await;
    pipeline.result("after").await;
    assert_eq!(pipeline.convex.submission("crowd").unwrap().result_calls, 1);
    assert_eq!(pipeline.convex.call_count(Endpoint::TEST_CASES), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_judges_share_a_hundred_submissions() {
    let pipeline = Pipeline::start(vec![question()]).await;
    let second = service("gavel-judge", &pipeline.nats, &pipeline.convex);
    second.wait_log("its port", TEST_TIMEOUT, |entry| entry.contains("\"listening\"")).await.unwrap();
    let ids: Vec<String> = (0..100).map(|n| format!("shared{n}")).collect();
    for id in &ids {
        pipeline.submit(id, "q", 71, ECHO).await;
    }
    pipeline.convex.wait_all_final(&ids, TEST_TIMEOUT).await.unwrap();
    let judged = |entries: Vec<gavel_testkit::LogLine>| {
        entries.iter().filter(|entry| entry.field("/message").is_some_and(|text| text == "judged")).count()
    };
    let (first, second) = (judged(pipeline.judge.log()), judged(second.log()));
    assert_eq!(first + second, 100);
    assert!(first >= 20 && second >= 20, "{first} and {second}");
    assert!(pipeline.convex.with_conflicting_results().is_empty());
    assert!(pipeline.convex.running_after_result().is_empty());
}
