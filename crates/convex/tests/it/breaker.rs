//! The circuit breaker: after failures in a row, only probes are sent until one is answered.

use std::time::Duration;

use gavel_convex::{CallPermits, Convex, ConvexConfig, FetchLimits};
use gavel_domain::{QuestionId, SubmissionKind};
use gavel_mock_convex::{Endpoint, HttpFault, MockConvex, Question};

/// The longest wait of a test on a loaded machine. Only a test that fails waits this long.
const TIMEOUT: Duration = Duration::from_mins(1);

async fn start() -> (MockConvex, Convex) {
    let question = Question::build(gavel_mock_convex::SubmissionKind::Standard, "q1").public("1", "2").done();
    let mock = MockConvex::start_local(vec![question]).await.unwrap();
    let config = ConvexConfig {
        site_url: mock.url(),
        timeout: TIMEOUT,
        permits: CallPermits::new(1),
        token: None,
        signing_secrets: Vec::new(),
    };
    (mock, Convex::new(&config).unwrap())
}

async fn call(convex: &Convex) -> bool {
    let Ok(permit) = convex.acquire_permit().await else { return false };
    let limits = FetchLimits { tests: 10, bytes: 1 << 20 };
    let id = QuestionId::new("q1").unwrap();
    convex.fetch_question(&permit, &id, SubmissionKind::Standard, limits, None).await.is_ok()
}

async fn wait_closed(convex: &Convex) {
    let mut is_closed = convex.is_breaker_closed();
    tokio::time::timeout(TIMEOUT, is_closed.wait_for(|is_closed| *is_closed)).await.unwrap().unwrap();
}

#[tokio::test]
async fn only_probes_are_sent_until_one_is_answered() {
    let (mock, convex) = start().await;
    let probes = tokio::spawn(convex.clone().probe_while_open("fetcher"));
    assert!(call(&convex).await && convex.check_breaker().is_ok());
    mock.fault(Endpoint::TEST_CASES, HttpFault::Html(503));
    // All but the first five are refused before they are sent.
    for _ in 0..50 {
        assert!(!call(&convex).await);
    }
    let calls = mock.calls();
    let of_submission = calls.iter().filter(|call| call.id.is_some()).count();
    assert_eq!(of_submission, 6);
    assert!(calls.len() - of_submission <= 2, "{} probes", calls.len() - of_submission);
    assert!(!*convex.is_breaker_closed().borrow());
    let problem = convex.check_breaker().unwrap_err();
    assert!(problem.contains("Convex answered 503"), "{problem}");
    let status = convex.status();
    let shown = status.problem.unwrap();
    assert!(
        shown.starts_with("Convex answers 503; the breaker is open") && status.since_ms.is_some(),
        "{shown}"
    );
    // One probe at a time, and each with the body of none of the submissions.
    mock.wait_calls(Endpoint::TEST_CASES, 8, TIMEOUT).await.unwrap();
    assert!(mock.calls().iter().skip(6).all(|call| call.id.is_none() && *call.body == serde_json::json!({})));
    mock.clear_faults();
    wait_closed(&convex).await;
    assert!(call(&convex).await && convex.check_breaker().is_ok() && convex.status().problem.is_none());
    probes.abort();
}

#[tokio::test]
async fn app_that_accepts_or_refuses_every_probe_closes_the_breaker() {
    for (status, body) in [(200, r#"{"ok":true}"#), (500, r#"{"error":"questionId is missing"}"#)] {
        let (mock, convex) = start().await;
        let probes = tokio::spawn(convex.clone().probe_while_open("fetcher"));
        mock.fault(Endpoint::TEST_CASES, HttpFault::Html(502));
        while convex.check_breaker().is_ok() {
            assert!(!call(&convex).await);
        }
        mock.clear_faults();
        mock.fault(Endpoint::TEST_CASES, HttpFault::Foreign(status, "application/json", body.to_owned()));
        wait_closed(&convex).await;
        probes.abort();
    }
}
