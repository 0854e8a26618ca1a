//! The distribution of submissions among judges, and submissions that cannot be judged.

use gavel_domain::Status;
use gavel_domain::event::BundleKey;
use gavel_testkit::{ServiceProcess, TEST_TIMEOUT};

use crate::rig::Rig;

/// Runs three times as long as the acknowledgement timeout.
const LONG: &str = "import time\nwhile time.process_time() < 6: pass\nprint(input())";

#[tokio::test(flavor = "multi_thread")]
async fn long_submission_stays_with_its_judge() {
    let rig = Rig::start().await;
    let (first, second) = (rig.judge().await, rig.judge().await);
    let end = rig.watch("long").await;
    rig.ready("long", rig.question().await, LONG).await;
    let end = end.await;
    assert_eq!((end.judged.verdict.status, end.dead), (Status::Passed, None));
    let judged = |line: &gavel_testkit::LogLine| line.field("/message").is_some_and(|text| text == "judged");
    let count = |judge: &gavel_testkit::Process| judge.log().iter().filter(|line| judged(line)).count();
    first.terminate().unwrap();
    second.terminate().unwrap();
    assert!(first.wait_exit(TEST_TIMEOUT).await.unwrap().success());
    assert!(second.wait_exit(TEST_TIMEOUT).await.unwrap().success());
    assert_eq!(count(&first) + count(&second), 1, "the submission ran once");
}

#[tokio::test(flavor = "multi_thread")]
async fn next_submission_goes_to_another_judge_if_one_is_busy() {
    let rig = Rig::start().await;
    let question = rig.question().await;
    // Ready before there is work: a judge may take longer to start than the long submission.
    let _judges = (rig.judge().await, rig.judge().await);
    let long = rig.watch("long").await;
    rig.ready("long", question.clone(), LONG).await;
    let short = rig.watch("short").await;
    rig.ready("short", question, "print(input())").await;
    let (short, long) = (short.await.judged, long.await.judged);
    assert_eq!((short.verdict.status, long.verdict.status), (Status::Passed, Status::Passed));
    assert_ne!(short.instance, long.instance);
    let [short, long] = [short, long].map(|judged| judged.submission.accepted_at_ms + judged.duration_ms);
    assert!(short < long, "it waited for the long submission: judged {} ms after it", short - long);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_test_cases_lead_to_an_error_and_a_dead_letter() {
    let rig = Rig::start().await;
    let judge = ServiceProcess::start(rig.builder().env("JUDGE_MAX_DELIVERIES", "2")).await;
    let end = rig.watch("lost").await;
    rig.renewed("lost", BundleKey { day: 1, digest: "ab".repeat(32) }, "print(7)", 3).await;
    let end = end.await;
    assert_eq!(end.judged.verdict.status, Status::Error);
    assert_eq!(end.judged.verdict.reason.as_deref(), Some("The test cases could not be loaded."));
    assert_eq!(end.dead.as_deref(), Some("the test cases are not in the store"));
    assert!(judge.log().iter().any(|line| line.contains("the test cases are not in the store")));
}

/// The usage of each test is part of the event.
#[tokio::test(flavor = "multi_thread")]
async fn verdict_carries_the_usage_of_the_tests() {
    let rig = Rig::start().await;
    let _judge = rig.judge().await;
    let end = rig.watch("cost").await;
    let source = "import time\nx = b'x' * (40 << 20)\nwhile time.process_time() < 0.3: pass\nprint(input())";
    rig.ready("cost", rig.question().await, source).await;
    let verdict = end.await.judged.verdict;
    assert_eq!(verdict.status, Status::Passed);
    let usage = verdict.tests[0].usage;
    assert!((300..600).contains(&usage.cpu_time.as_millis()), "{usage:?}");
    assert!(usage.wall_time >= usage.cpu_time.mul_f64(0.9), "{usage:?}");
    assert!(usage.memory_bytes > 40 << 20 && usage.memory_bytes < 100 << 20, "{usage:?}");
}
