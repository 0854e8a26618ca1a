//! Streams that cannot store: a full disk, and probes that find out.

use std::time::Duration;

use gavel_bus::topology::{Stream, TopologySettings};
use gavel_bus::{PublishError, StoreError, Stored, Trace};
use gavel_domain::event::Queued;
use gavel_testkit::{NatsServer, SmallDisk, TEST_TIMEOUT, wait_until};

use crate::support::{Rig, queued, settings, submission};

async fn messages(rig: &Rig, stream: Stream) -> u64 {
    rig.raw().await.get_stream(stream.name()).await.unwrap().cached_info().state.messages
}

#[tokio::test]
async fn probe_is_stored_once_and_expires() {
    let rig = Rig::start().await;
    for _ in 0..3 {
        for stream in Stream::ALL {
            assert_eq!(rig.bus.check_store(stream).await, Ok(()));
        }
    }
    // The streams of dead letters and their messages are not limited per subject, and that of callbacks discards the older ones.
    let mut counts = Vec::new();
    for stream in Stream::ALL {
        counts.push((stream, messages(&rig, stream).await));
    }
    for (stream, count) in counts {
        let most = if [Stream::DeadLetter, Stream::DeadMessages, Stream::Callbacks].contains(&stream) {
            3
        } else {
            1
        };
        assert!((1..=most).contains(&count), "{}: {count}", stream.name());
    }
    for stream in Stream::ALL {
        let expired = async || messages(&rig, stream).await == 0;
        wait_until("the end of the probe", TEST_TIMEOUT, expired).await.unwrap();
    }
}

#[tokio::test]
async fn full_stream_has_a_store_that_works() {
    let rig = Rig::with(TopologySettings { store_bytes: 1 << 20, ..settings() }).await;
    let large = |n: usize| Queued { source: "x".repeat(10_000), ..queued(&format!("a{n}")) };
    let mut n = 0;
    while rig.bus.publish(&(&large(n)).into(), &Trace::default(), TEST_TIMEOUT).await.is_ok() {
        n += 1;
    }
    assert_eq!(rig.bus.check_store(Stream::Queued).await, Ok(()));
}

/// A discarded message leaves more room in a small stream than a few percent.
#[tokio::test]
async fn discards_of_a_small_stream_are_counted() {
    let rig = Rig::with(TopologySettings { store_bytes: 100 << 20, ..settings() }).await;
    let raw = rig.raw().await;
    let store = async |numbers: std::ops::Range<u32>| {
        for n in numbers {
            let message = vec![b'x'; 800_000].into();
            raw.publish(format!("dead-message.S.{n}.1"), message).await.unwrap().await.unwrap();
        }
    };
    let snapshot = async |before| rig.bus.snapshot(Stream::DeadMessages, before).await.unwrap();
    let empty = snapshot(None).await;
    // Three of them fit.
    store(0..3).await;
    let full = snapshot(Some(empty)).await;
    assert_eq!((full.messages, full.discarded), (3, 0));
    store(3..5).await;
    let discarded = snapshot(Some(full)).await;
    assert_eq!((discarded.messages, discarded.discarded), (3, 2));
    assert_eq!(snapshot(Some(discarded)).await.discarded, 0);
    // A person drops one.
    raw.get_stream("DEAD_MESSAGES").await.unwrap().purge().filter("dead-message.S.2.1").await.unwrap();
    let dropped = snapshot(Some(discarded)).await;
    assert_eq!((dropped.messages, dropped.discarded), (2, 0));
}

/// Probes leave a stream all the time.
#[tokio::test]
async fn probes_that_expire_are_no_discards() {
    // The stream is smaller than one of the largest messages.
    let rig = Rig::with(TopologySettings { store_bytes: 1 << 20, ..settings() }).await;
    let raw = rig.raw().await;
    let snapshot = async |before| rig.bus.snapshot(Stream::DeadLetter, before).await.unwrap();
    let probe = async || {
        for _ in 0..3 {
            assert_eq!(rig.bus.check_store(Stream::DeadLetter).await, Ok(()));
        }
        let expired = async || snapshot(None).await.messages == messages(&rig, Stream::DeadLetter).await;
        wait_until("the end of the probes", TEST_TIMEOUT, expired).await.unwrap();
    };
    let empty = snapshot(None).await;
    probe().await;
    let still_empty = snapshot(Some(empty)).await;
    assert_eq!((still_empty.messages, still_empty.discarded), (0, 0));
    let store = async |id: u32| {
        let letter = vec![b'x'; 4_000].into();
        raw.publish(format!("submission.dead.a{id}"), letter).await.unwrap().await.unwrap();
    };
    for id in 0..5 {
        store(id).await;
    }
    let mut last = snapshot(Some(still_empty)).await;
    assert_eq!((last.messages, last.discarded), (5, 0), "five fit");
    for id in 5..15 {
        // Then every discarded one has expired probes behind it.
        if id % 5 == 0 {
            probe().await;
        }
        store(id).await;
        let next = snapshot(Some(last)).await;
        assert_eq!(last.messages + 1 - next.messages, next.discarded, "{id}");
        last = next;
    }
    assert!(last.messages >= 4, "{last:?}");
}

#[tokio::test]
async fn full_disk_is_a_failure_of_the_store_until_the_server_restarts() {
    let disk = SmallDisk::mount(32 << 20).await.unwrap();
    let rig = Rig::on(NatsServer::builder().disk(disk).start().await, settings()).await;
    let disk = rig.nats.disk().unwrap();
    disk.fill().unwrap();
    let mut stored = 0;
    let failed = loop {
        let event = Queued { submission: submission(&format!("a{stored}")), source: "x".repeat(1_000) };
        match rig.bus.publish(&(&event).into(), &Trace::default(), Duration::from_secs(5)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    // Since 2.15 the server does not answer; before, it answered with the error.
    assert!(matches!(failed, PublishError::StoreFailed(_) | PublishError::Unknown(_)), "{failed:?}");
    let found = rig.bus.check_store(Stream::Queued).await;
    assert!(found.as_ref().is_err_and(StoreError::needs_restart), "{found:?}");
    assert_eq!(rig.bus.check_stream(Stream::Queued).await, Ok(()), "which is why a trace is not enough");

    disk.empty().unwrap();
    rig.nats.stop().await.unwrap();
    rig.nats.restart().await.unwrap();
    wait_until("the store", TEST_TIMEOUT, async || rig.bus.check_store(Stream::Queued).await.is_ok())
        .await
        .unwrap();
    for n in 0..stored {
        assert_eq!(rig.publish(&queued(&format!("a{n}"))).await, Stored::Already, "{n}");
    }
    assert_eq!(rig.publish(&queued("later")).await, Stored::New);
}

#[tokio::test]
async fn missing_stream_is_no_failure_of_the_store() {
    let rig = Rig::start().await;
    rig.raw().await.delete_stream("BUNDLES").await.unwrap();
    assert_eq!(rig.bus.check_store(Stream::Bundles).await, Err(StoreError::Missing(Stream::Bundles)));
    assert!(!StoreError::Missing(Stream::Bundles).needs_restart());
}
