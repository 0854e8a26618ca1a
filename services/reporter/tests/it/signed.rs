//! The ids of signed calls: one for all attempts of a callback, and another for the final result.

use gavel_mock_convex::{Endpoint, HttpFault, Matcher};
use gavel_testkit::TEST_TIMEOUT;
use gavel_testkit::fixtures::{passed, submission};

use crate::rig::Rig;

const SIGNED: [(&str, &str); 3] = [
    (
        "CONVEX_SIGNING_SECRETS",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw,whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    ),
    ("CONVEX_TOKEN", "the-token"),
    ("RUNNING_TIMEOUT_MS", "700"),
];

/// The ids of a submission's calls to an endpoint, in order.
fn ids(rig: &Rig, id: &str, endpoint: Endpoint) -> Vec<String> {
    let calls = rig.convex.calls_of(id).into_iter().filter(|call| call.endpoint == endpoint);
    calls
        .map(|call| {
            assert_eq!(call.header("authorization"), Some("Bearer the-token"));
            assert_eq!(call.header("webhook-signature").unwrap().matches("v1,").count(), 2);
            call.header("webhook-id").unwrap().to_owned()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_of_a_callback_share_its_id() {
    let rig = Rig::start(&SIGNED).await;
    rig.convex.fault(Matcher::of(Endpoint::RUNNING).first(1), HttpFault::status(503));
    rig.convex.fault(Matcher::of(Endpoint::RESULT).first(2), HttpFault::status(503));
    let submission = submission("s1");
    assert!(rig.begin(&submission).await);
    rig.wait_applied("s1", Endpoint::RUNNING).await;
    rig.judge(&submission, passed()).await;
    rig.wait_reported(std::slice::from_ref(&submission)).await;
    assert_eq!(ids(&rig, "s1", Endpoint::RUNNING), ["running-s1"; 2]);
    assert_eq!(ids(&rig, "s1", Endpoint::RESULT), ["result-s1"; 3]);
}

/// A receiver that dropped the final result as a repeat would stay on a `running` call applied in between.
#[tokio::test(flavor = "multi_thread")]
async fn final_result_has_its_own_callback_id() {
    let rig = Rig::start(&SIGNED).await;
    rig.convex.fault(Matcher::of(Endpoint::RUNNING).first(1), HttpFault::Reset);
    let submission = submission("s1");
    assert!(rig.begin(&submission).await);
    let called =
        |mock_convex: &gavel_mock_convex::MockConvex| (!mock_convex.calls_of("s1").is_empty()).then_some(());
    rig.convex.wait_for("running", TEST_TIMEOUT, called).await.unwrap();
    rig.judge(&submission, passed()).await;
    rig.wait_reported(std::slice::from_ref(&submission)).await;
    let ids = ids(&rig, "s1", Endpoint::RESULT);
    assert_eq!(ids.last().unwrap(), "last-word-s1", "{ids:?}");
}
