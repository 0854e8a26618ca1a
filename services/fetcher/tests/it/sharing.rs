//! Simultaneous fetches of a question are shared, a hanging fetch blocks no other, and fetchers share the work.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use gavel_mock_convex::{Endpoint, Matcher};
use gavel_testkit::TEST_TIMEOUT;

use crate::rig::{Counts, Rig, question};

#[tokio::test]
async fn simultaneous_submissions_of_a_question_share_one_call() {
    let mut rig = Rig::with_short_ack_wait(vec![question("q1")]).await;
    let hold = rig.convex.hold(Endpoint::TEST_CASES);
    let mut progress = rig.jetstream.client.subscribe("$JS.ACK.SUB_QUEUED.fetcher.>").await.unwrap();
    rig.jetstream.client.flush().await.unwrap();
    for n in 0..50 {
        rig.queue(&format!("s{n}"), "q1").await;
    }
    // A progress acknowledgement shows that the message was delivered and waits for the fetch.
    let mut waiting = HashSet::new();
    while waiting.len() < 50 {
        let message = tokio::time::timeout(TEST_TIMEOUT, progress.next()).await.unwrap().unwrap();
        assert_eq!(&message.payload[..], b"+WPI");
        waiting.insert(message.subject.split('.').nth(5).unwrap().to_owned());
    }
    hold.release();
    for n in 0..50 {
        rig.ready(&format!("s{n}")).await;
    }
    assert_eq!(rig.convex.call_count(None), 1);
    assert_eq!(rig.settled().await, Counts { ready: 50, judged: 0, dead: 0 });
}

#[tokio::test]
async fn hanging_question_blocks_no_other() {
    let mut rig = Rig::start(vec![question("hangs"), question("works")]).await;
    let hold = rig.convex.hold(Matcher::of(Endpoint::TEST_CASES).id("hangs"));
    // More submissions than there are slots.
    for n in 0..200 {
        rig.queue(&format!("s{n}"), "hangs").await;
    }
    hold.wait_arrived(1, TEST_TIMEOUT).await.unwrap();
    let start = Instant::now();
    for n in 0..20 {
        rig.queue(&format!("other{n}"), "works").await;
        rig.ready(&format!("other{n}")).await;
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(hold.arrived(), 1);
    hold.release();
    assert_eq!(rig.settled().await, Counts { ready: 220, judged: 0, dead: 0 });
}

#[tokio::test]
async fn two_fetchers_share_the_work() {
    let ids: Vec<String> = (0..40).map(|n| format!("q{n}")).collect();
    let one_slot = [("FETCHER_SLOTS", "1")];
    let mut rig = Rig::with(ids.iter().map(|id| question(id)).collect(), &one_slot).await;
    let other = rig.another(&one_slot).await;
    let hold = rig.convex.hold(Endpoint::TEST_CASES);
    for id in &ids {
        rig.queue(id, id).await;
    }
    // With one slot each, two parallel calls mean that both fetchers work.
    hold.wait_arrived(2, TEST_TIMEOUT).await.unwrap();
    assert_eq!(rig.backlog().await, (38, 2), "messages without a slot stay on the server");
    hold.release();
    for id in &ids {
        rig.ready(id).await;
    }
    assert_eq!(rig.settled().await, Counts { ready: 40, judged: 0, dead: 0 });
    assert_eq!(rig.convex.call_count(None), 40);
    drop(other);
}
