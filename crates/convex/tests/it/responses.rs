//! What each response to each of the three calls means (ADR 0012).

use std::time::Duration;

use gavel_convex::{
    CallError, CallPermit, CallPermits, Convex, ConvexConfig, FailureKind, FetchError, FetchLimits,
};
use gavel_domain::event::Judged;
use gavel_domain::{
    Generation, LanguageId, Question, QuestionId, Submission, SubmissionId, SubmissionKind, Verdict,
};
use gavel_mock_convex::{Endpoint, HttpFault, MockConvex};

const LIMITS: FetchLimits = FetchLimits { tests: 10, bytes: 1 << 20 };

/// What a caller learns from a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Accepted,
    /// The app does not know the question.
    NotFound,
    /// The app does not accept the question's id.
    BadId,
    Failed(FailureKind),
}

use FailureKind::{Misrouted, Refused, Unavailable};
use Outcome::{Accepted, BadId, Failed, NotFound};

const APP: (&str, &str) = ("application/json", r#"{"ok":false,"message":"no"}"#);
const PLATFORM: (&str, &str) = ("application/json", r#"{"code":"DeploymentPaused","message":"no"}"#);
const TEXT: (&str, &str) = ("text/plain", "This Convex deployment does not have HTTP actions enabled.");
const EMPTY: (&str, &str) = ("application/json", "");
const PAGE: (&str, &str) = ("text/html; charset=utf-8", "<!doctype html><title>Sign in</title>");
const OTHERS: [(&str, &str); 3] = [PLATFORM, TEXT, EMPTY];

/// A row: statuses, bodies, the outcome for test cases, and the outcome for both callbacks.
type Row<'a> = (&'a [u16], &'a [(&'a str, &'a str)], Outcome, Outcome);

const TABLE: [Row<'static>; 12] = [
    (&[200], &[PAGE], Failed(Unavailable), Failed(Unavailable)),
    (&[200], &[APP, PLATFORM, TEXT, EMPTY], Failed(Unavailable), Accepted),
    (&[201, 202, 299], &[PAGE], Failed(Misrouted), Failed(Unavailable)),
    (&[201, 202, 299], &[APP, PLATFORM, TEXT, EMPTY], Failed(Misrouted), Accepted),
    (&[301, 302, 303, 307, 308], &[APP, PLATFORM, TEXT, EMPTY, PAGE], Failed(Misrouted), Failed(Misrouted)),
    (&[404], &[APP], NotFound, Failed(Misrouted)),
    (&[404], &[PLATFORM, TEXT, EMPTY, PAGE], Failed(Misrouted), Failed(Misrouted)),
    (&[400], &[APP], BadId, Failed(Refused)),
    (&[400], &OTHERS, Failed(Refused), Failed(Refused)),
    (
        &[401, 403, 405, 409, 410, 413, 415, 422],
        &[APP, PLATFORM, TEXT, EMPTY],
        Failed(Refused),
        Failed(Refused),
    ),
    (&[400, 401, 403, 405, 409, 410, 413, 415, 422], &[PAGE], Failed(Misrouted), Failed(Misrouted)),
    (
        &[408, 425, 429, 500, 501, 502, 503, 504, 520, 529],
        &[APP, PLATFORM, TEXT, EMPTY, PAGE],
        Failed(Unavailable),
        Failed(Unavailable),
    ),
];

/// A client for a mock of Convex, with a permit that an open breaker does not take away.
struct Caller {
    mock: MockConvex,
    convex: Convex,
    permit: CallPermit,
}

impl Caller {
    async fn start() -> Self {
        let question = gavel_mock_convex::Question::build(gavel_mock_convex::SubmissionKind::Standard, "q1");
        let question = question.public("1\n", "2\n").hidden(&"x".repeat(100_000), "y").done();
        let mock = MockConvex::start_local(vec![question]).await.unwrap();
        let convex = Convex::new(&ConvexConfig {
            site_url: mock.url(),
            timeout: Duration::from_secs(30),
            permits: CallPermits::new(1),
            token: None,
            signing_secrets: Vec::new(),
        })
        .unwrap();
        let permit = convex.acquire_permit().await.unwrap();
        Self { mock, convex, permit }
    }

    async fn fetch(&self) -> Result<Question, FetchError> {
        let (id, kind) = (QuestionId::new("q1").unwrap(), SubmissionKind::Standard);
        self.convex.fetch_question(&self.permit, &id, kind, LIMITS, None).await
    }

    async fn fetch_with(&self, fault: HttpFault) -> Result<Question, FetchError> {
        self.mock.clear_faults();
        self.mock.fault(Endpoint::TEST_CASES, fault);
        self.fetch().await
    }

    async fn running(&self) -> Result<u16, CallError> {
        let (id, timeout) = (SubmissionId::new("k97").unwrap(), Duration::from_secs(30));
        self.convex
            .notify_running(&self.permit, &id, SubmissionKind::Standard, "running-k97", None, timeout)
            .await
    }

    async fn result(&self) -> Result<u16, CallError> {
        let submission = Submission {
            id: SubmissionId::new("k97").unwrap(),
            question_id: QuestionId::new("q1").unwrap(),
            language: LanguageId(71),
            kind: SubmissionKind::Standard,
            accepted_at_ms: 0,
            generation: Generation::FIRST,
        };
        let verdict = Verdict::error("no such question");
        let judged =
            Judged { submission, verdict, duration_ms: 1, instance: "judge".into(), assignment: None };
        self.convex.notify_result(&self.permit, &judged, "result-k97", None).await
    }
}

fn outcome(called: Result<u16, CallError>) -> Outcome {
    called.map_or_else(|error| Failed(error.kind()), |_| Accepted)
}

#[tokio::test]
async fn each_response_to_each_call_has_one_meaning() {
    let caller = Caller::start().await;
    for (statuses, bodies, of_test_cases, of_callbacks) in TABLE {
        for (&status, &(media, body)) in
            statuses.iter().flat_map(|status| bodies.iter().map(move |body| (status, body)))
        {
            let fault = || HttpFault::Foreign(status, media, body.to_owned());
            let fetched = match caller.fetch_with(fault()).await {
                Ok(_) => Accepted,
                Err(FetchError::NotFound) => NotFound,
                Err(FetchError::BadId) => BadId,
                Err(FetchError::Call(error)) => Failed(error.kind()),
                Err(error) => panic!("{status} {media} {body}: {error}"),
            };
            assert_eq!(fetched, of_test_cases, "test cases: {status} {media} {body}");
            for endpoint in [Endpoint::RUNNING, Endpoint::RESULT] {
                caller.mock.fault(endpoint, fault());
            }
            assert_eq!(outcome(caller.running().await), of_callbacks, "running: {status} {media} {body}");
            assert_eq!(outcome(caller.result().await), of_callbacks, "result: {status} {media} {body}");
        }
    }
    caller.mock.clear_faults();
    assert_eq!(caller.fetch().await.unwrap().tests.len(), 2);
    assert_eq!((outcome(caller.running().await), outcome(caller.result().await)), (Accepted, Accepted));
}

#[tokio::test]
async fn compressed_test_cases_are_decompressed() {
    let caller = Caller::start().await;
    let plain = caller.fetch().await.unwrap();
    let compressed = caller.fetch_with(HttpFault::Gzip).await.unwrap();
    assert!(compressed.tests == plain.tests);
}

#[tokio::test]
async fn compressed_body_is_read_up_to_the_size_of_a_question() {
    let caller = Caller::start().await;
    let bomb = caller.fetch_with(HttpFault::GzipBomb(32 << 20)).await.err();
    assert!(matches!(bomb, Some(FetchError::TooLarge { max }) if max == LIMITS.bytes), "{bomb:?}");
    // Within the limits, but JSON writes each byte with six, which must not cost six times as much memory.
    let body = |input: &str| {
        let comparison = r#"{"trimOutputs":true,"normalizeWhitespace":false,"caseSensitive":true}"#;
        format!(
            r#"{{"question":{{"timeLimitSeconds":1,"memoryLimitMb":64,"outputComparison":{comparison}}},"testCases":[{{"visibility":"public","order":0,"stdin":"{input}","expectedStdout":""}}]}}"#
        )
    };
    let answer = |input: String| HttpFault::Foreign(200, "application/json", body(&input));
    let escaped = caller.fetch_with(answer("\\u0001".repeat(LIMITS.bytes / 2))).await.err();
    assert!(matches!(escaped, Some(FetchError::TooLarge { .. })), "{escaped:?}");
    assert!(
        caller.fetch_with(answer("\\n".repeat(LIMITS.bytes))).await.is_ok(),
        "the largest question of lines"
    );
}

#[tokio::test]
async fn body_that_is_cut_or_unreadable_is_a_call_that_failed() {
    let caller = Caller::start().await;
    for fault in [
        HttpFault::HalfBody,
        HttpFault::CutBody,
        HttpFault::Foreign(200, "application/json", "\u{1f}\u{8b} not gzip".to_owned()),
        HttpFault::Foreign(200, "application/json", "[1,2]".to_owned()),
        HttpFault::Foreign(200, "text/plain", "OK".to_owned()),
    ] {
        let fetched = caller.fetch_with(fault.clone()).await.err();
        let is_unavailable =
            matches!(&fetched, Some(FetchError::Call(error)) if error.kind() == FailureKind::Unavailable);
        assert!(is_unavailable, "{fault:?}: {fetched:?}");
    }
}
