//! An outage of Convex: results wait in NATS untouched, only probes are sent, and all results follow at once afterwards.

use gavel_bus::topology::Durable;
use gavel_mock_convex::{Endpoint, HttpFault, Lateness, Matcher, MockConvex};
use gavel_testkit::fixtures::{passed, submission};
use gavel_testkit::{LogLine, TEST_TIMEOUT, wait_until};

use crate::rig::{Rig, submissions};

const FEW_SLOTS: [(&str, &str); 2] = [("REPORTER_SLOTS", "8"), ("CONVEX_MAX_IN_FLIGHT", "2")];

/// Waits until at least `count` probes have arrived.
async fn wait_probes(rig: &Rig, count: usize) {
    let probed = |convex: &MockConvex| {
        (convex.calls().iter().filter(|call| call.id.is_none()).count() >= count).then_some(())
    };
    rig.convex.wait_for("probes", TEST_TIMEOUT, probed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn outage_is_probed_and_leaves_results_in_the_queue() {
    let rig = Rig::start(&FEW_SLOTS).await;
    let outage = rig.convex.fault(Matcher::any(), HttpFault::Html(503));
    let all = submissions("s", 300);
    for submission in &all {
        rig.run(submission).await;
    }
    wait_probes(&rig, 3).await;
    let calls = rig.convex.calls();
    let of_submissions = calls.iter().filter(|call| call.id.is_some()).count();
    assert!((5..=20).contains(&of_submissions), "{of_submissions} calls, besides probes");
    let info = rig.jetstream.consumer_info(Durable::ReporterJudged).await;
    assert!(info.num_pending >= 270 && info.num_ack_pending <= 30, "most are untouched: {info:?}");
    // Probes are sent one at a time.
    let probes: Vec<_> = calls.iter().filter(|call| call.id.is_none()).collect();
    assert!(
        probes.windows(2).all(|two| two[0].answer().is_some_and(|answer| answer.at <= two[1].received_at))
    );
    rig.convex.remove_fault(outage);
    rig.wait_reported(&all).await;
    for submission in &all {
        let state = rig.check_final_state(submission).await;
        assert!(state.result_calls <= 3, "{state:?}");
        assert_eq!(rig.late(submission.id.as_str(), Lateness::Started), 0);
    }
    rig.wait_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_breaker_shows_on_readyz_and_metrics_until_convex_answers() {
    let rig = Rig::start(&FEW_SLOTS).await;
    let get = async |path: &str| rig.reporter(0).get_text(path).await;
    let ready = async || get("/readyz").await.0 == 200;
    wait_until("readiness", TEST_TIMEOUT, ready).await.unwrap();
    let closed = "gavel_convex_breaker{service=\"reporter\",state=\"closed\"} 1";
    let shows_closed = async || get("/metrics").await.1.contains(closed);
    wait_until("the closed breaker", TEST_TIMEOUT, shows_closed).await.unwrap();
    let outage = rig.convex.fault(Matcher::any(), HttpFault::Reset);
    let submission = submission("s1");
    rig.judge(&submission, passed()).await;
    let unready = async || get("/readyz").await.0 == 503;
    wait_until("readiness to end", TEST_TIMEOUT, unready).await.unwrap();
    let (_, problem) = get("/readyz").await;
    assert!(
        problem.contains("Convex has not worked for") && problem.contains("Convex did not answer"),
        "{problem}"
    );
    let open = "gavel_convex_breaker{service=\"reporter\",state=\"open\"} 1";
    assert!(get("/metrics").await.1.contains(open));
    rig.convex.remove_fault(outage);
    rig.check_final_state(&submission).await;
    wait_until("readiness again", TEST_TIMEOUT, ready).await.unwrap();
    assert!(shows_closed().await);
    let again = |line: &LogLine| line.contains("Convex works again");
    rig.reporter(0).wait_log("the end of the outage", TEST_TIMEOUT, again).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_and_faulty_submissions_do_not_open_the_breaker() {
    let mut rig = Rig::bare().await;
    let all = submissions("s", 30);
    for (n, submission) in all.iter().enumerate() {
        let calls = Matcher::of(Endpoint::RESULT).id(submission.id.as_str());
        // Calls that succeed are between those that fail, so that a pause of the machine is no outage.
        match n {
            // Each time, as for one that is unknown, or has too much data.
            0 | 1 | 5 | 6 | 10 | 11 => _ = rig.convex.fault(calls, HttpFault::status(500)),
            // Once, as for writes that conflict.
            3 | 4 | 8 | 9 | 13 | 14 => _ = rig.convex.fault(calls.first(1), HttpFault::retry_after(503, 30)),
            15 => _ = rig.convex.fault(calls, HttpFault::Refused(422)),
            _ => {}
        }
        rig.judge(submission, passed()).await;
    }
    rig.add_reporter(&FEW_SLOTS).await;
    for submission in all.iter().skip(2).step_by(5).chain(&all[16..]) {
        rig.check_final_state(submission).await;
    }
    rig.wait_result_calls("s0", 4).await;
    let opened = |line: &LogLine| line.contains("Convex does not work");
    assert!(!rig.reporter(0).log().iter().any(opened), "the breaker opened");
    assert!(rig.convex.calls().iter().all(|call| call.id.is_some()), "no probe");
}
