//! What operators see: log lines, health endpoints and configuration errors.

use gavel_domain::{FirstFailure, Status, Verdict};
use gavel_mock_convex::{Endpoint, HttpFault, Matcher};
use gavel_testkit::fixtures::{passed, submission};
use gavel_testkit::{LogLine, Process, TEST_TIMEOUT};

use crate::rig::{Rig, dead_letter};

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_name_submission_and_request_and_contain_no_user_texts() {
    let rig = Rig::start(&[("LOG_LEVEL", "debug")]).await;
    let submission = submission("s1");
    let mut verdict = Verdict { status: Status::Failed, ..passed() };
    verdict.stderr = Some("text-of-stderr".into());
    verdict.compile_output = Some("text-of-compiler".into());
    verdict.first_failure = Some(FirstFailure {
        index: 0,
        stdin: Some("text-of-stdin".into()),
        actual_output: Some("text-of-output".into()),
        expected_output: Some("text-of-expected".into()),
        error_message: "text-of-message".into(),
    });
    rig.convex.fault(Matcher::of(Endpoint::RESULT).first(1), HttpFault::status(503));
    assert!(rig.begin(&submission).await);
    rig.wait_applied("s1", Endpoint::RUNNING).await;
    rig.judge(&submission, verdict).await;
    rig.wait_reported(std::slice::from_ref(&submission)).await;
    for message in ["running reported", "event failed: retrying", "result reported"] {
        let is_message = |line: &LogLine| line.field("/message").is_some_and(|text| text == message);
        let line = rig.reporter(0).wait_log(message, TEST_TIMEOUT, is_message).await.unwrap();
        assert!(line.contains("req-s1"), "{}", line.text);
        assert!(line.contains("s1\""), "{}", line.text);
    }
    // The error response of Convex may quote the request, so it appears in the dead letter only.
    let refused = HttpFault::Status { code: 400, retry_after: None, body: "text-of-answer".into() };
    rig.convex.fault(Matcher::of(Endpoint::RESULT).id("s2"), refused);
    let refused = self::submission("s2");
    let mut live = rig.live_events(&refused.id).await;
    rig.judge(&refused, passed()).await;
    let dead = dead_letter(&mut live).await;
    assert_eq!(dead.cause, "Convex answered 400: text-of-answer");
    let given_up = |line: &LogLine| line.contains("event failed permanently");
    rig.reporter(0).wait_log("given up", TEST_TIMEOUT, given_up).await.unwrap();
    for line in rig.reporter(0).log() {
        assert!(!line.contains("text-of-"), "{}", line.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_endpoints_follow_nats() {
    let rig = Rig::start(&[]).await;
    let get = async |path: &str| rig.reporter(0).get_text(path).await;
    assert_eq!(get("/healthz").await, (200, r#"{"ok":true}"#.to_owned()));
    let ready = async || get("/readyz").await.0 == 200;
    gavel_testkit::wait_until("readiness", TEST_TIMEOUT, ready).await.unwrap();
    rig.nats.kill().await.unwrap();
    let unready = async || get("/readyz").await.0 == 503;
    gavel_testkit::wait_until("readiness to end", TEST_TIMEOUT, unready).await.unwrap();
    assert_eq!(get("/healthz").await.0, 200);
    rig.nats.restart().await.unwrap();
    gavel_testkit::wait_until("readiness again", TEST_TIMEOUT, ready).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_problems_are_reported_together() {
    let bad =
        [("PORT", "many"), ("RUNNING_TIMEOUT_MS", "0"), ("REPORTER_SLOTS", "-1"), ("CONVEX_ORDER", "loose")];
    let no_url = Process::builder(env!("CARGO_BIN_EXE_gavel-reporter")).envs(bad).start().unwrap();
    assert_eq!(no_url.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(64));
    for name in ["PORT", "RUNNING_TIMEOUT_MS", "REPORTER_SLOTS", "CONVEX_ORDER", "CONVEX_SITE_URL"] {
        no_url.wait_log(name, TEST_TIMEOUT, |line| line.contains(name)).await.unwrap();
    }
    for url in ["ftp://convex.site", "convex.site", "mailto:a@b"] {
        let process = Process::builder(env!("CARGO_BIN_EXE_gavel-reporter")).env("CONVEX_SITE_URL", url);
        let process = process.start().unwrap();
        assert_eq!(process.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(64), "{url}");
    }
}
