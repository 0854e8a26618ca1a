//! Killed, stopped, cut off: each submission is ready once all the same.

use std::time::{Duration, Instant};

use gavel_mock_convex::Endpoint;
use gavel_testkit::{LogLine, TEST_TIMEOUT};

use crate::rig::{Counts, Rig, question};

const ONE: Counts = Counts { ready: 1, judged: 0, dead: 0 };

fn stopping(line: &LogLine) -> bool {
    line.contains("stopping")
}

#[tokio::test]
async fn killed_in_the_middle_it_begins_anew() {
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
async fn killed_by_and_by_it_loses_nothing() {
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
async fn stopped_in_the_middle_it_finishes() {
    let mut rig = Rig::start(vec![question("q1")]).await;
    let hold = rig.convex.hold(Endpoint::TEST_CASES);
    rig.queue("s1", "q1").await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.fetcher.terminate().unwrap();
    rig.fetcher.wait_log("the stop", TEST_TIMEOUT, stopping).await.unwrap();
    rig.queue("s2", "q1").await;
    hold.release();
    rig.ready("s1").await;
    assert_eq!(rig.fetcher.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
    assert_eq!(rig.counts().await, ONE);
    // What came after the stop is left to others.
    let other = rig.another(&[]).await;
    rig.ready("s2").await;
    assert_eq!(rig.settled().await, Counts { ready: 2, judged: 0, dead: 0 });
    drop(other);
}

#[tokio::test]
async fn stopped_without_the_time_to_finish_it_hands_back_at_once() {
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
    // The server would wait for 15 s for a sign of life.
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert_eq!(rig.settled().await, ONE);
    drop(other);
}

#[tokio::test]
async fn asked_twice_it_does_not_wait() {
    let rig = Rig::with(vec![question("q1")], &[("SHUTDOWN_GRACE_MS", "60000")]).await;
    let hold = rig.convex.hold(Endpoint::TEST_CASES);
    rig.queue("s1", "q1").await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.fetcher.terminate().unwrap();
    rig.fetcher.wait_log("the stop", TEST_TIMEOUT, stopping).await.unwrap();
    rig.fetcher.terminate().unwrap();
    assert_eq!(rig.fetcher.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
    let (waiting, in_hand) = rig.backlog().await;
    assert_eq!((waiting + in_hand as u64, rig.counts().await.ready), (1, 0));
}

#[tokio::test]
async fn without_a_server_it_stops_as_well() {
    let settings = [("SHUTDOWN_GRACE_MS", "500")];
    let rig = Rig::with(vec![question("q1")], &settings).await;
    let hold = rig.convex.hold(Endpoint::TEST_CASES);
    rig.queue("s1", "q1").await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    rig.nats.kill().await.unwrap();
    hold.release();
    let stuck = |line: &LogLine| line.contains("cannot") && line.contains("yet");
    rig.fetcher.wait_log("a publish that fails", TEST_TIMEOUT, stuck).await.unwrap();
    let start = Instant::now();
    rig.fetcher.terminate().unwrap();
    assert_eq!(rig.fetcher.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_costs_nothing() {
    let mut rig = Rig::start(vec![question("q1")]).await;
    let hold = rig.convex.hold(Endpoint::TEST_CASES);
    rig.queue("s1", "q1").await;
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    let mark = rig.fetcher.mark();
    rig.nats.kill().await.unwrap();
    let noticed = |line: &LogLine| line.contains("disconnected from NATS");
    rig.fetcher.wait_log_after(mark, "the loss", TEST_TIMEOUT, noticed).await.unwrap();
    hold.release();
    rig.nats.restart().await.unwrap();
    rig.ready("s1").await;
    rig.queue("s2", "q1").await;
    rig.ready("s2").await;
    assert_eq!(rig.settled().await, Counts { ready: 2, judged: 0, dead: 0 });
}
