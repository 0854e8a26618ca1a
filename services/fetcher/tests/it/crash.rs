//! Fetchers that are killed, stopped or disconnected: each submission becomes ready exactly once.

use std::time::{Duration, Instant};

use gavel_mock_convex::Endpoint;
use gavel_testkit::{LogLine, TEST_TIMEOUT};

use crate::rig::{Counts, Rig, question};

const ONE: Counts = Counts { ready: 1, judged: 0, dead: 0 };

fn stopping(line: &LogLine) -> bool {
    line.contains("stopping")
}

#[tokio::test]
async fn killed_fetcher_fetches_again() {
    let mut rig = Rig::with_short_ack_wait(vec![question("q1")]).await;
    let hold = rig.convex.hold(Endpoint::TEST_CASES);
    rig.queue("s1", "q1").await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.fetcher.kill().await.unwrap();
    hold.release();
    rig.fetcher.restart().await.unwrap();
    rig.ready("s1").await;
    assert_eq!(rig.settled().await, ONE);
    assert_eq!(rig.convex.calls_of("q1").len(), 2);
}

#[tokio::test]
async fn restarts_under_load_lose_nothing() {
    let questions = (0..10).map(|n| question(&format!("q{n}"))).collect();
    let mut rig = Rig::with_short_ack_wait(questions).await;
    for n in 0..300 {
        rig.queue(&format!("s{n}"), &format!("q{}", n % 10)).await;
        if n % 100 == 50 {
            rig.fetcher.restart().await.unwrap();
        }
    }
    for n in 0..300 {
        rig.ready(&format!("s{n}")).await;
    }
    assert_eq!(rig.settled().await, Counts { ready: 300, judged: 0, dead: 0 });
}

#[tokio::test]
async fn stopped_fetcher_finishes_its_work() {
    let mut rig = Rig::start(vec![question("q1")]).await;
    let hold = rig.convex.hold(Endpoint::TEST_CASES);
    rig.queue("s1", "q1").await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.fetcher.terminate().unwrap();
    rig.fetcher.wait_log("the shutdown", TEST_TIMEOUT, stopping).await.unwrap();
    rig.queue("s2", "q1").await;
    hold.release();
    rig.ready("s1").await;
    assert_eq!(rig.fetcher.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
    assert_eq!(rig.counts().await, ONE);
    // Messages published after the stop are left to other fetchers.
    let other = rig.another(&[]).await;
    rig.ready("s2").await;
    assert_eq!(rig.settled().await, Counts { ready: 2, judged: 0, dead: 0 });
    drop(other);
}

#[tokio::test]
async fn stopped_fetcher_hands_back_unfinished_work_after_the_grace_period() {
    let mut rig = Rig::with(vec![question("q1")], &[("SHUTDOWN_GRACE_MS", "200")]).await;
    let hold = rig.convex.hold(Endpoint::TEST_CASES);
    rig.queue("s1", "q1").await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    let other = rig.another(&[]).await;
    let start = Instant::now();
    rig.fetcher.terminate().unwrap();
    assert_eq!(rig.fetcher.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
    hold.wait_arrived(2, TEST_TIMEOUT).await.unwrap();
    hold.release();
    rig.ready("s1").await;
    // Without the hand-over, the server would deliver the message again after 15 s without progress.
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert_eq!(rig.settled().await, ONE);
    drop(other);
}

#[tokio::test]
async fn second_sigterm_stops_the_fetcher_at_once() {
    let rig = Rig::with(vec![question("q1")], &[("SHUTDOWN_GRACE_MS", "60000")]).await;
    let hold = rig.convex.hold(Endpoint::TEST_CASES);
    rig.queue("s1", "q1").await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.fetcher.terminate().unwrap();
    rig.fetcher.wait_log("the shutdown", TEST_TIMEOUT, stopping).await.unwrap();
    rig.fetcher.terminate().unwrap();
    assert_eq!(rig.fetcher.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
    let (pending, in_progress) = rig.backlog().await;
    assert_eq!((pending + in_progress as u64, rig.counts().await.ready), (1, 0));
}

#[tokio::test]
async fn fetcher_stops_without_nats() {
    let settings = [("SHUTDOWN_GRACE_MS", "500")];
    let rig = Rig::with(vec![question("q1")], &settings).await;
    let hold = rig.convex.hold(Endpoint::TEST_CASES);
    rig.queue("s1", "q1").await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.nats.kill().await.unwrap();
    hold.release();
    let failing = |line: &LogLine| line.contains("cannot store the test cases");
    rig.fetcher.wait_log("a bundle that is not stored", TEST_TIMEOUT, failing).await.unwrap();
    let start = Instant::now();
    rig.fetcher.terminate().unwrap();
    assert_eq!(rig.fetcher.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test]
async fn nats_restart_during_a_fetch_loses_nothing() {
    let mut rig = Rig::start(vec![question("q1")]).await;
    let hold = rig.convex.hold(Endpoint::TEST_CASES);
    rig.queue("s1", "q1").await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    let mark = rig.fetcher.mark();
    rig.nats.kill().await.unwrap();
    let disconnected = |line: &LogLine| line.contains("disconnected from NATS");
    rig.fetcher.wait_log_after(mark, "the disconnect", TEST_TIMEOUT, disconnected).await.unwrap();
    hold.release();
    rig.nats.restart().await.unwrap();
    rig.ready("s1").await;
    rig.queue("s2", "q1").await;
    rig.ready("s2").await;
    assert_eq!(rig.settled().await, Counts { ready: 2, judged: 0, dead: 0 });
}
