//! A message that kills every judge is given up, and its submission ends as `error`.

use async_nats::jetstream;
use gavel_mock_convex::{Question, Status, SubmissionKind};
use gavel_testkit::{TEST_TIMEOUT, wait_until};

use crate::dead::{gavel, wait_dead_letters};
use crate::pipeline::Pipeline;

#[tokio::test(flavor = "multi_thread")]
async fn message_that_kills_every_judge_ends_in_an_error() {
    let question =
        Question::build(SubmissionKind::Standard, "q").time_limit_seconds(20.0).public("7", "7").done();
    let pipeline = Pipeline::start_with(vec![question], &[("JUDGE_MAX_DELIVERIES", "3")]).await;
    let raw = jetstream::new(async_nats::connect(pipeline.nats.url()).await.unwrap());
    let deliveries = async || {
        let stream = raw.get_stream_no_info("SUB_READY").await.unwrap();
        stream.consumer_info("judge").await.map_or(0, |info| info.delivered.consumer_sequence)
    };
    pipeline.submit("a", "q", 71, "import time\ntime.sleep(15)\nprint(input())").await;
    for delivery in 1..=3 {
        let delivered = async || deliveries().await >= delivery;
        wait_until("the delivery", TEST_TIMEOUT, delivered).await.unwrap();
        pipeline.judge.kill().await.unwrap();
        assert_eq!(deliveries().await, delivery, "each one was met by its own judge");
        pipeline.judge.restart().await.unwrap();
    }
    let result = pipeline.result("a").await;
    assert_eq!(
        (&result["status"], &result["firstFailure"]["errorMessage"]),
        (&"error".into(), &"The judge was interrupted.".into())
    );
    let dead_letters = wait_dead_letters(&pipeline, 1).await;
    assert_eq!((&dead_letters[0]["stage"], &dead_letters[0]["attempts"]), (&"judge".into(), &4.into()));
    assert_eq!(
        dead_letters[0]["cause"],
        "the judge was interrupted in the last of 3 deliveries: killed, stopped, or cut off from NATS"
    );

    // On a judge that survives, the retry succeeds.
    let begun = async || gavel(&pipeline, &["dead", "retry", "a"]).await.code == 0;
    wait_until("a retry once Convex has the error", TEST_TIMEOUT, begun).await.unwrap();
    pipeline.convex.wait_submission("a", TEST_TIMEOUT, |state| state.status == Status::Passed).await.unwrap();
    assert_eq!(
        pipeline.convex.call_count(gavel_mock_convex::Endpoint::TEST_CASES),
        1,
        "its test cases are not fetched again"
    );
}
