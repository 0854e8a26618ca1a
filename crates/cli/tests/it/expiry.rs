//! Test cases that are no longer in the store are fetched again for the submissions that still need them.

use gavel_bus::topology::Stream;
use gavel_mock_convex::{Endpoint, Question, SubmissionKind};
use gavel_testkit::{JetStream, TEST_TIMEOUT, wait_until};

use crate::dead::gavel;
use crate::pipeline::Pipeline;

const ECHO: &str = "print(input())";

/// A pipeline with these submissions ready, no judge, and no test cases in the store.
async fn without_test_cases(ids: &[&str]) -> Pipeline {
    let question = Question::build(SubmissionKind::Standard, "q").public("7", "7").done();
    let pipeline = Pipeline::start(vec![question]).await;
    pipeline.judge.kill().await.unwrap();
    for id in ids {
        pipeline.submit(id, "q", 71, ECHO).await;
    }
    let jetstream = JetStream::connect(&pipeline.nats).await;
    let ready = async || jetstream.message_count(Stream::Ready).await == ids.len() as u64;
    wait_until("ready submissions", TEST_TIMEOUT, ready).await.unwrap();
    jetstream.context.get_stream("BUNDLES").await.unwrap().purge().await.unwrap();
    pipeline
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_test_cases_are_fetched_again() {
    let pipeline = without_test_cases(&["a", "b", "c"]).await;
    let before = pipeline.convex.call_count(Endpoint::TEST_CASES);
    pipeline.judge.restart().await.unwrap();
    for id in ["a", "b", "c"] {
        assert_eq!(pipeline.result(id).await["status"], "passed", "{id}");
        assert_eq!(pipeline.convex.submission(id).unwrap().running_calls, 1, "{id}");
    }
    assert!(pipeline.convex.call_count(Endpoint::TEST_CASES) > before);
    assert_eq!(gavel(&pipeline, &["dead", "list"]).await.lines.len(), 0);
    // The next submission uses the bundle that was stored again.
    pipeline.submit("d", "q", 71, ECHO).await;
    assert_eq!(pipeline.result("d").await["status"], "passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_test_cases_survive_killed_fetcher() {
    let pipeline = without_test_cases(&["a"]).await;
    let hold = pipeline.convex.hold(Endpoint::TEST_CASES);
    pipeline.judge.restart().await.unwrap();
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    pipeline.fetcher.kill().await.unwrap();
    hold.release();
    pipeline.fetcher.restart().await.unwrap();
    assert_eq!(pipeline.result("a").await["status"], "passed");
}
