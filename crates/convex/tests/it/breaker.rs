//! The circuit breaker: after failures in a row, only probes are sent until one is answered.

use std::time::Duration;

use gavel_convex::{CallPermits, Convex, ConvexConfig};
use gavel_domain::{SubmissionId, SubmissionKind};
use gavel_mock_convex::{Endpoint, HttpFault, MockConvex};

/// The longest wait of a test on a loaded machine. Only a test that fails waits this long.
const TIMEOUT: Duration = Duration::from_mins(1);

async fn call(convex: &Convex) -> bool {
    let Ok(permit) = convex.acquire_permit().await else { return false };
    let (id, kind) = (SubmissionId::new("k97").unwrap(), SubmissionKind::Standard);
    convex.notify_running(&permit, &id, kind, "running-k97", None, TIMEOUT).await.is_ok()
}

#[tokio::test]
async fn only_probes_are_sent_until_one_is_answered() {
    let mock = MockConvex::start_local(Vec::new()).await.unwrap();
    let convex = Convex::new(&ConvexConfig {
        site_url: mock.url(),
        timeout: TIMEOUT,
        permits: CallPermits::new(1),
        token: None,
        signing_secrets: Vec::new(),
    })
    .unwrap();
    let probes = tokio::spawn(convex.clone().probe_while_open("reporter"));
    assert!(call(&convex).await && convex.check_breaker().is_ok());
    mock.fault(Endpoint::RUNNING, HttpFault::status(503));
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
    mock.wait_calls(Endpoint::RUNNING, 8, TIMEOUT).await.unwrap();
    assert!(mock.calls().iter().skip(6).all(|call| call.id.is_none() && *call.body == serde_json::json!({})));
    mock.clear_faults();
    let mut is_closed = convex.is_breaker_closed();
    tokio::time::timeout(TIMEOUT, is_closed.wait_for(|is_closed| *is_closed)).await.unwrap().unwrap();
    assert!(call(&convex).await && convex.check_breaker().is_ok() && convex.status().problem.is_none());
    probes.abort();
}
