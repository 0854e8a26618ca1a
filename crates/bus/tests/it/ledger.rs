//! The ledger: one winner for each claim, with any number of callers, retries and lost answers.

use std::time::{Duration, SystemTime};

use futures::future::join_all;
use gavel_bus::topology::Stream;
use gavel_bus::{Bus, Ledger, LedgerError, ResultClaim, RunningCallState, RunningClaim, Stored};
use gavel_domain::Status;
use gavel_domain::event::Reported;
use gavel_testkit::TEST_TIMEOUT;
use gavel_testkit::fixtures::submission;

use crate::support::{Rig, judged, key, publish, stored, within};

/// How long a running callback may take. A claim without a valid end expires that long after it was stored.
const WINDOW: Duration = Duration::from_secs(5);

fn soon() -> SystemTime {
    SystemTime::now() + Duration::from_secs(3)
}

fn ledger(bus: &Bus) -> Ledger {
    Ledger::new(bus.clone(), "test".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claim_is_won_by_one_of_fifty() {
    let rig = Rig::start().await;
    let mut ledgers = Vec::new();
    for _ in 0..4 {
        ledgers.push(ledger(&rig.connect().await));
    }
    let (mut by_running, mut by_result) = (0, 0);
    for n in 0..40 {
        let id = key(&format!("s{n}"));
        let claims = (0..50).map(|k| {
            let (ledger, id) = (ledgers[k % ledgers.len()].clone(), id.clone());
            // Some verdicts are stored in the middle.
            let judged = (k == 25 && n % 2 == 0).then(|| (rig.bus.clone(), judged(&id.to_string())));
            tokio::spawn(async move {
                if let Some((bus, judged)) = judged {
                    assert_eq!(publish(&bus, &judged).await, Stored::New);
                    return (None, None);
                }
                if (k / 4 + n) % 2 == 0 {
                    (Some(ledger.claim_running(&id, soon()).await.unwrap()), None)
                } else {
                    (None, Some(ledger.claim_result(&id, WINDOW).await.unwrap()))
                }
            })
        });
        let (mut won, mut states) = (0, Vec::new());
        for claim in within("the claims", join_all(claims)).await {
            let (running, result) = claim.unwrap();
            won += usize::from(running == Some(RunningClaim::Won));
            states.extend(result);
        }
        assert!(won <= 1, "{id}: {won} calls of running");
        for state in states {
            let state = match state {
                ResultClaim::Won => RunningCallState::Never,
                ResultClaim::Lost(state) => state,
                ResultClaim::Reported => panic!("{id}: no result was recorded as reported"),
            };
            match state {
                RunningCallState::Never => assert_eq!(won, 0, "{id}: a result that does not know of running"),
                RunningCallState::Open { .. } => assert_eq!(won, 1, "{id}: a result that waits for nothing"),
                RunningCallState::Ended => panic!("{id}: no call was recorded as ended"),
            }
        }
        by_running += won;
        by_result += 1 - won;
    }
    assert!(by_running > 0 && by_result > 0, "both sides must have had a chance: {by_running}, {by_result}");
}

#[tokio::test]
async fn running_callback_is_not_claimed_after_the_verdict() {
    let rig = Rig::start().await;
    let ledger = ledger(&rig.bus);
    assert!(!ledger.is_judged(&key("a")).await.unwrap());
    rig.publish(&judged("a")).await;
    assert!(ledger.is_judged(&key("a")).await.unwrap());
    assert_eq!(ledger.claim_running(&key("a"), soon()).await.unwrap(), RunningClaim::Lost);
    for claim in [ResultClaim::Won, ResultClaim::Lost(RunningCallState::Never)] {
        assert_eq!(ledger.claim_result(&key("a"), WINDOW).await.unwrap(), claim);
    }
}

#[tokio::test]
async fn claim_is_not_given_to_a_result_that_was_reported_without_one() {
    let rig = Rig::start().await;
    let ledger = ledger(&rig.bus);
    let submission = submission("a");
    let reported = Reported {
        submission: submission.clone(),
        status: Status::Passed,
        attempts: 1,
        instance: "guarded".into(),
        callback_attempts: Vec::new(),
    };
    assert_eq!(publish(&rig.bus, &reported).await, Stored::New);
    for _ in 0..2 {
        assert_eq!(ledger.claim_result(&submission.key(), WINDOW).await.unwrap(), ResultClaim::Reported);
    }
    let raw = rig.raw().await;
    assert!(stored(&raw, Stream::Result, "callback.claimed.a").await.is_none());
    // Claimed before, by whichever callback: it was reported all the same.
    assert_eq!(ledger.claim_running(&key("a"), soon()).await.unwrap(), RunningClaim::Won);
    assert_eq!(ledger.claim_result(&key("a"), WINDOW).await.unwrap(), ResultClaim::Reported);
}

#[tokio::test]
async fn result_claim_reports_the_state_of_the_running_callback() {
    let rig = Rig::start().await;
    let (ledger, other) = (ledger(&rig.bus), ledger(&rig.connect().await));
    // In whole milliseconds, and after the window, but within the limit of a plausible clock.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(now) + WINDOW + Duration::from_millis(2_123);
    assert_eq!(ledger.claim_running(&key("a"), until).await.unwrap(), RunningClaim::Won);
    assert_eq!(other.claim_running(&key("a"), until).await.unwrap(), RunningClaim::Lost);
    let open = ResultClaim::Lost(RunningCallState::Open { expires_at: until });
    assert_eq!(other.claim_result(&key("a"), WINDOW).await.unwrap(), open);
    assert!(!other.has_running_ended(&key("a")).await.unwrap());
    ledger.running_ended(&key("a")).await.unwrap();
    ledger.running_ended(&key("a")).await.unwrap();
    assert!(other.has_running_ended(&key("a")).await.unwrap());
    let ended = ResultClaim::Lost(RunningCallState::Ended);
    assert_eq!(other.claim_result(&key("a"), WINDOW).await.unwrap(), ended);
    assert!(!other.is_reported(&key("a")).await.unwrap());
}

#[tokio::test]
async fn dropped_running_callback_holds_up_the_result_for_a_second() {
    let rig = Rig::start().await;
    let (ledger, other) = (ledger(&rig.bus), ledger(&rig.connect().await));
    let until = SystemTime::now() + WINDOW;
    for id in ["a", "a.2"] {
        assert_eq!(ledger.claim_running(&key(id), until).await.unwrap(), RunningClaim::Won);
        ledger.running_dropped(&key(id)).await.unwrap();
        let dropped_before = SystemTime::now();
        let claim = other.claim_result(&key(id), WINDOW).await.unwrap();
        let ResultClaim::Lost(RunningCallState::Open { expires_at }) = claim else {
            panic!("Convex may still apply it")
        };
        let second = Duration::from_secs(1);
        assert!(expires_at > SystemTime::now() - TEST_TIMEOUT && expires_at <= dropped_before + second);
        // Its window is over earlier.
        let earlier = RunningCallState::Open { expires_at: SystemTime::UNIX_EPOCH };
        assert_eq!(other.running_state(&key(id), SystemTime::UNIX_EPOCH).await.unwrap(), earlier);
    }
}

#[tokio::test]
async fn lost_answer_grants_no_second_claim() {
    let rig = Rig::start().await;
    let (ledger, other) = (ledger(&rig.bus), ledger(&rig.connect().await));
    rig.nats.freeze().unwrap();
    // The caller times out, and the claims reach the server later.
    let (a, b) = (key("a"), key("b"));
    let (running, result) = tokio::join!(ledger.claim_running(&a, soon()), ledger.claim_result(&b, WINDOW));
    rig.nats.thaw().unwrap();
    assert!(matches!(running, Err(LedgerError::Write(_))), "{running:?}");
    assert!(matches!(result, Err(LedgerError::Write(_))), "{result:?}");
    // No later claim wins, whether the stored claim is from the same reporter or not.
    let raw = rig.raw().await;
    let look = async || {
        stored(&raw, Stream::Result, "callback.claimed.a").await.is_some()
            && stored(&raw, Stream::Result, "callback.claimed.b").await.is_some()
    };
    gavel_testkit::wait_until("both claims", TEST_TIMEOUT, look).await.unwrap();
    for ledger in [&ledger, &other] {
        assert_eq!(ledger.claim_running(&a, soon()).await.unwrap(), RunningClaim::Lost);
        assert_eq!(ledger.claim_running(&b, soon()).await.unwrap(), RunningClaim::Lost);
    }
    let open = ledger.claim_result(&a, WINDOW).await.unwrap();
    assert!(matches!(open, ResultClaim::Lost(RunningCallState::Open { .. })), "{open:?}");
    let never = ResultClaim::Lost(RunningCallState::Never);
    assert_eq!(ledger.claim_result(&b, WINDOW).await.unwrap(), never);
}
