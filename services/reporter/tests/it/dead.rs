//! Dead letters for results that Convex does not accept, and for messages that cannot be decoded.

use gavel_bus::topology;
use gavel_domain::SubmissionId;
use gavel_domain::event::Stage;
use gavel_mock_convex::{Endpoint, HttpFault, Matcher};
use gavel_proto::WireEvent as _;
use gavel_testkit::TEST_TIMEOUT;
use gavel_testkit::fixtures::{passed, submission};

use crate::rig::{Rig, dead_letter};

fn status_fault(code: u16, body: &str) -> HttpFault {
    HttpFault::Status { code, retry_after: None, body: body.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn permanent_refusal_becomes_a_dead_letter_with_the_answer() {
    let rig = Rig::start(&[]).await;
    for code in [400, 401, 403, 405, 413, 422] {
        let submission = submission(&format!("s{code}"));
        let id = submission.id.as_str();
        let answer = format!("{code} because \u{1b}[31mred\n{}", "long ".repeat(500));
        rig.convex.fault(Matcher::of(Endpoint::RESULT).id(id), status_fault(code, &answer));
        let mut live = rig.live_events(&submission.id).await;
        rig.judge(&submission, passed()).await;
        let dead = dead_letter(&mut live).await;
        let is_alarm = |line: &gavel_testkit::LogLine| {
            let alarm = line.field("/alarm").or_else(|| line.field("/fields/alarm"));
            alarm.is_some_and(|alarm| alarm == "convex_refuses_credentials")
                && line.field("/status") == Some(code.into())
        };
        assert_eq!(rig.reporter(0).log().iter().any(is_alarm), matches!(code, 401 | 403), "{code}");
        assert!(dead.cause.starts_with(&format!("Convex answered {code}: {code} because")), "{}", dead.cause);
        assert!(dead.cause.len() < 600 && !dead.cause.contains(char::is_control), "{}", dead.cause);
        assert_eq!((dead.stage, dead.attempts), (Stage::Reporter, 1));
        assert_eq!((dead.key.as_str(), dead.subject), (id, topology::subject("judged", id)));
        let event = gavel_domain::event::Judged::decode(&dead.payload).unwrap();
        assert_eq!((event.submission, event.verdict), (submission.clone(), passed()));
    }
    rig.wait_idle().await;
    assert_eq!(rig.convex.call_count(Endpoint::RESULT), 6, "no retry");
    assert_eq!(rig.stored("submission.reported.*").await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_path_and_persistent_faults_are_retried_until_given_up() {
    let rig = Rig::start(&[("REPORT_GIVE_UP_AFTER_S", "2")]).await;
    let mut subscriptions = Vec::new();
    for code in [404, 500, 503] {
        let submission = submission(&format!("s{code}"));
        rig.convex.fault(Matcher::of(Endpoint::RESULT).id(submission.id.as_str()), HttpFault::status(code));
        subscriptions.push((code, rig.live_events(&submission.id).await));
        rig.judge(&submission, passed()).await;
    }
    for (code, mut live) in subscriptions {
        let dead = dead_letter(&mut live).await;
        assert_eq!(dead.cause, format!("Convex answered {code}"));
        assert!(dead.attempts >= 2, "{dead:?}", dead = dead.attempts);
    }
    rig.wait_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_that_convex_asks_for_is_limited() {
    let rig = Rig::start(&[]).await;
    for (id, seconds) in [("years", "9999999999"), ("overflow", "99999999999999999999999")] {
        let retry_after = Some(seconds.to_owned());
        let fault = HttpFault::Status { code: 503, retry_after, body: String::new() };
        rig.convex.fault(Matcher::of(Endpoint::RESULT).id(id), fault);
        rig.judge(&submission(id), passed()).await;
        let is_limited = |line: &gavel_testkit::LogLine| {
            line.contains(&format!("submission.judged.{id}\""))
                && line.field("/retry_in_ms").is_some_and(|ms| ms == "300000")
        };
        rig.reporter(0).wait_log("a retry in five minutes", TEST_TIMEOUT, is_limited).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_convex_is_retried_until_it_answers() {
    let mut rig = Rig::bare().await;
    // A port that was free a moment ago, without a listener yet.
    let port = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    rig.add_reporter(&[("CONVEX_SITE_URL", format!("http://{port}").as_str())]).await;
    let submission = submission("s1");
    rig.begin(&submission).await;
    rig.judge(&submission, passed()).await;
    let unreachable = |line: &gavel_testkit::LogLine| line.contains("cannot connect to Convex");
    rig.reporter(0).wait_log("the connection error", TEST_TIMEOUT, unreachable).await.unwrap();
    rig.convex = gavel_mock_convex::MockConvex::start(port, Vec::new()).await.unwrap();
    rig.check_final_state(&submission).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_messages_become_dead_letters_and_block_nothing() {
    let rig = Rig::start(&[]).await;
    for (number, payload) in [&b""[..], b"garbage", b"\xff\xff\xff", b"\n\0"].into_iter().enumerate() {
        for event in ["running", "judged"] {
            let id = SubmissionId::new(format!("x{number}{event}")).unwrap();
            let mut live = rig.live_events(&id).await;
            let subject = topology::subject(event, id.as_str());
            rig.jetstream.store(&subject, payload).await;
            let dead = dead_letter(&mut live).await;
            assert_eq!((dead.payload.as_slice(), dead.subject), (payload, subject));
        }
    }
    let submission = submission("s1");
    rig.begin(&submission).await;
    rig.judge(&submission, passed()).await;
    rig.check_final_state(&submission).await;
    rig.wait_idle().await;
}
