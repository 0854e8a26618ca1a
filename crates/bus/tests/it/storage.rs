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
    for stream in Stream::ALL {
        // The stream of dead letters is not write-once.
        let most = if stream == Stream::DeadLetter { 3 } else { 1 };
        assert!(messages(&rig, stream).await <= most, "{}", stream.name());
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
async fn small_stream_that_discards_messages_is_full() {
    let rig = Rig::with(TopologySettings { store_bytes: 100 << 20, ..settings() }).await;
    let raw = rig.raw().await;
    let before = rig.bus.removals(Stream::DeadMessages).await.unwrap();
    assert!(!before.is_full);
    // Three of them fit.
    for n in 0..5 {
        let message = vec![b'x'; 800_000].into();
        raw.publish(format!("dead-message.S.{n}.1"), message).await.unwrap().await.unwrap();
    }
    let after = rig.bus.removals(Stream::DeadMessages).await.unwrap();
    assert_eq!((after.is_full, after.count - before.count), (true, 2));
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
