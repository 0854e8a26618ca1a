//! Test cases that have left the store are fetched anew, whoever still needs them.

use async_nats::jetstream;
use gavel_mock_convex::{Endpoint, Question, SubmissionKind};
use gavel_testkit::wait_until;

use crate::dead::gavel;
use crate::line::{Line, PATIENCE};

const ECHO: &str = "print(input())";

/// A line with these submissions ready, no judge, and no test cases left.
async fn without_test_cases(ids: &[&str]) -> Line {
    let question = Question::build(SubmissionKind::Standard, "q").public("7", "7").done();
    let line = Line::start(vec![question]).await;
    line.judge.kill().await.unwrap();
    for id in ids {
        line.submit(id, "q", 71, ECHO).await;
    }
    let raw = jetstream::new(async_nats::connect(line.nats.url()).await.unwrap());
    let ready = async || raw.get_stream("SUB_READY").await.unwrap().cached_info().state.messages;
    wait_until("ready submissions", PATIENCE, async || ready().await == ids.len() as u64).await.unwrap();
    raw.get_stream("BUNDLES").await.unwrap().purge().await.unwrap();
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_is_fetched_again() {
    let line = without_test_cases(&["a", "b", "c"]).await;
    let before = line.convex.call_count(Endpoint::TEST_CASES);
    line.judge.restart().await.unwrap();
    for id in ["a", "b", "c"] {
        assert_eq!(line.result(id).await["status"], "passed", "{id}");
        assert_eq!(line.convex.submission(id).unwrap().running_calls, 1, "{id}");
    }
    assert!(line.convex.call_count(Endpoint::TEST_CASES) > before);
    assert_eq!(gavel(&line, &["dead", "list"]).await.lines.len(), 0);
    // The next one finds what was stored anew.
    line.submit("d", "q", 71, ECHO).await;
    assert_eq!(line.result("d").await["status"], "passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_fetcher_is_killed_meanwhile_another_goes_on() {
    let line = without_test_cases(&["a"]).await;
    let hold = line.convex.hold(Endpoint::TEST_CASES);
    line.judge.restart().await.unwrap();
    hold.wait_arrived(1, PATIENCE).await.unwrap();
    line.fetcher.kill().await.unwrap();
    hold.release();
    line.fetcher.restart().await.unwrap();
    assert_eq!(line.result("a").await["status"], "passed");
}
