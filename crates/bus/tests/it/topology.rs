//! The streams and consumers on the server, against the table in the documentation.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{Config as StreamConfig, DiscardPolicy, RetentionPolicy};
use gavel_bus::topology::{Durable, Stream, TopologySettings};
use gavel_bus::{Bus, Stored};
use gavel_testkit::{NatsServer, TEST_TIMEOUT};

use crate::support::{Rig, connect, consumer, judged, queued, ready, recording, settings, within};

const HOUR: u64 = 3_600;

#[tokio::test]
async fn streams_match_the_table() {
    let chosen =
        TopologySettings { store_bytes: 1_000_000_000, ack_wait: Duration::from_secs(7), replicas: 1 };
    let rig = Rig::with(chosen).await;
    let raw = rig.raw().await;
    // Name, subjects, megabytes, hours, write-once, protected.
    let results: &[&str] = &[
        "submission.running.*",
        "submission.running.*.*",
        "submission.judged.*",
        "submission.judged.*.*",
        "submission.reported.*",
        "submission.reported.*.*",
        "submission.rejudged.*.*",
        "callback.claimed.*",
        "callback.claimed.*.*",
        "callback.answered.*",
        "callback.answered.*.*",
        "callback.dropped.*",
        "callback.dropped.*.*",
        "probe.SUB_RESULT",
    ];
    let ready: &[&str] = &[
        "submission.ready.*",
        "submission.ready.*.*",
        "submission.expired.*",
        "submission.expired.*.*",
        "probe.SUB_READY",
    ];
    let queued: &[&str] = &["submission.queued.*", "submission.queued.*.*", "probe.SUB_QUEUED"];
    let waiting: &[&str] = &["submission.waiting.*.*", "submission.waiting.*.*.*", "probe.SUB_WAITING"];
    let attempts: &[&str] = &["callback.attempted.*", "callback.attempted.*.*", "probe.CALLBACKS"];
    let dead: &[&str] = &["submission.dead.*", "submission.dead.*.*", "probe.SUB_DEAD"];
    let table: [(_, &[&str], _, _, _, _); 8] = [
        ("SUB_QUEUED", queued, 200, 72, true, true),
        ("SUB_READY", ready, 100, 0, true, false),
        ("SUB_WAITING", waiting, 20, 0, true, false),
        ("SUB_RESULT", results, 380, 72, true, true),
        ("CALLBACKS", attempts, 20, 72, false, false),
        ("SUB_DEAD", dead, 20, 24 * 30, false, false),
        ("DEAD_MESSAGES", &["dead-message.*.*.*", "probe.DEAD_MESSAGES"], 30, 24 * 30, false, false),
        ("BUNDLES", &["bundle.*.*.*", "probe.BUNDLES"], 230, 24 * 5, true, false),
    ];
    for (name, subjects, megabytes, hours, write_once, protected) in table {
        let config = raw.get_stream(name).await.unwrap().cached_info().config.clone();
        assert_eq!(config.subjects, subjects, "{name}");
        assert_eq!(config.max_bytes, megabytes * 1_000_000, "{name}");
        assert_eq!(config.max_age, Duration::from_secs(hours * HOUR), "{name}");
        let per_subject = if name == "CALLBACKS" { 32 } else { -1 };
        assert_eq!(config.max_messages_per_subject, if write_once { 1 } else { per_subject }, "{name}");
        assert_eq!(config.discard_new_per_subject, write_once, "{name}");
        assert_eq!((config.deny_delete, config.deny_purge), (protected, protected), "{name}");
        let discard = if write_once { DiscardPolicy::New } else { DiscardPolicy::Old };
        assert_eq!((config.discard, config.allow_direct), (discard, true), "{name}");
        let work = config.retention == RetentionPolicy::WorkQueue;
        assert_eq!(work, ["SUB_READY", "SUB_WAITING"].contains(&name), "{name}");
    }
    for durable in Durable::ALL {
        let config = consumer(&raw, durable).await.config;
        assert_eq!((config.ack_wait, config.max_deliver), (Duration::from_secs(7), -1));
        assert!(config.max_ack_pending >= 2_000 && config.max_waiting == 2_048);
    }
}

#[tokio::test]
async fn topology_can_be_created_by_several_at_once() {
    let server = NatsServer::start().await;
    let buses: Vec<Bus> = futures::future::join_all((0..4).map(|_| connect(&server, settings()))).await;
    within("the streams", futures::future::join_all(buses.iter().map(Bus::ensure_topology))).await;
    for bus in &buses {
        for stream in Stream::ALL {
            assert_eq!(bus.check_stream(stream).await, Ok(()));
        }
    }
}

#[tokio::test]
async fn existing_streams_are_left_unchanged() {
    let rig = Rig::start().await;
    let raw = rig.raw().await;
    let mut config = raw.get_stream("SUB_QUEUED").await.unwrap().cached_info().config.clone();
    config.max_age = Duration::from_secs(HOUR);
    raw.update_stream(&config).await.unwrap();
    let other = TopologySettings { store_bytes: 2 << 30, ack_wait: Duration::from_secs(99), replicas: 1 };
    let bus = connect(&rig.nats, other).await;
    within("the streams", bus.ensure_topology()).await;
    let now = raw.get_stream("SUB_QUEUED").await.unwrap().cached_info().config.clone();
    assert_eq!((now.max_age, now.max_bytes), (config.max_age, config.max_bytes));
    assert_eq!(consumer(&raw, Durable::Fetcher).await.config.ack_wait, settings().ack_wait);
    // The loop reports progress according to the consumer on the server, not to its own settings.
    raw.delete_stream("BUNDLES").await.unwrap();
    assert!(bus.check_stream(Stream::Bundles).await.unwrap_err().contains("BUNDLES"));
    within("the streams", bus.ensure_topology()).await;
    assert_eq!(bus.check_stream(Stream::Bundles).await, Ok(()));
}

#[tokio::test]
async fn streams_of_an_earlier_version_get_what_is_missing() {
    let server = NatsServer::start().await;
    let bus = connect(&server, settings()).await;
    let raw = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let config = Stream::Queued.config(&settings());
    let earlier = async_nats::jetstream::stream::Config {
        subjects: vec!["submission.queued.*".to_owned()],
        allow_message_ttl: false,
        max_age: Duration::from_secs(HOUR),
        ..config.clone()
    };
    raw.create_stream(earlier).await.unwrap();
    within("the streams", bus.ensure_topology()).await;
    let now = raw.get_stream("SUB_QUEUED").await.unwrap().cached_info().config.clone();
    assert_eq!((&now.subjects, now.allow_message_ttl), (&config.subjects, true));
    assert_eq!(now.max_age, Duration::from_secs(HOUR), "the rest stays");
    assert_eq!(bus.check_store(Stream::Queued).await, Ok(()));
}

#[tokio::test]
async fn dead_letter_stream_of_an_earlier_version_discards_its_oldest_from_now_on() {
    let rig = Rig::start().await;
    let raw = rig.raw().await;
    let config = async || raw.get_stream("SUB_DEAD").await.unwrap().cached_info().config.clone();
    let earlier = StreamConfig { discard: DiscardPolicy::New, max_bytes: 12_345_678, ..config().await };
    raw.update_stream(&earlier).await.unwrap();
    rig.jetstream.store("submission.dead.a", "kept").await;
    // Several services of the new version start at once.
    let buses = [connect(&rig.nats, settings()).await, connect(&rig.nats, settings()).await];
    within("the streams", futures::future::join_all(buses.iter().map(Bus::ensure_topology))).await;
    let now = config().await;
    assert_eq!((now.discard, now.max_bytes), (DiscardPolicy::Old, earlier.max_bytes));
    assert_eq!(rig.jetstream.message_count(Stream::DeadLetter).await, 1);
}

/// The streams of an earlier version, which had no others, reserve all of the store.
#[tokio::test]
async fn store_of_an_earlier_version_without_space_lacks_only_optional_streams() {
    let bytes = settings().store_bytes;
    let server = NatsServer::builder().max_file_store(bytes).start().await;
    let raw = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let earlier = [
        (Stream::Queued, 20),
        (Stream::Ready, 10),
        (Stream::Waiting, 2),
        (Stream::Result, 40),
        (Stream::DeadLetter, 5),
        (Stream::Bundles, 23),
    ];
    for (stream, percent) in earlier {
        let max_bytes = i64::try_from(bytes / 100 * percent).unwrap();
        let config = StreamConfig { max_bytes, discard: DiscardPolicy::New, ..stream.config(&settings()) };
        raw.create_stream(config).await.unwrap();
    }
    let bus = connect(&server, settings()).await;
    let missing = within("the streams", bus.ensure_topology()).await;
    let named: Vec<_> = missing.iter().map(|missing| missing.stream).collect();
    assert_eq!(named, [Stream::DeadMessages, Stream::Callbacks]);
    let said = missing[0].to_string();
    assert!(said.contains("DEAD_MESSAGES") && said.contains("max_file_store"), "{said}");
    assert_eq!(bus.check_topology(), Ok(()), "the services are ready");
    let dead_letters = raw.get_stream("SUB_DEAD").await.unwrap().cached_info().config.clone();
    assert_eq!(dead_letters.discard, DiscardPolicy::Old, "the rest is up to date");
    for durable in Durable::ALL {
        consumer(&raw, durable).await;
    }
}

#[tokio::test]
async fn queued_stream_cannot_be_purged() {
    let rig = Rig::start().await;
    rig.publish(&queued("a")).await;
    rig.publish(&judged("a")).await;
    let raw = rig.raw().await;
    for name in ["SUB_QUEUED", "SUB_RESULT"] {
        let stream = raw.get_stream(name).await.unwrap();
        assert!(stream.delete_message(1).await.is_err(), "{name}");
        assert!(stream.purge().await.is_err(), "{name}");
    }
    // Not even without the condition to be the first.
    let error = raw.publish("submission.judged.a", "x".into()).await.unwrap().await.unwrap_err();
    let code = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
    let code = code.map(async_nats::jetstream::Error::error_code);
    assert_eq!(code, Some(ErrorCode::STREAM_STORE_FAILED), "{error:?}");
    assert_eq!(rig.publish(&queued("a")).await, Stored::Already);
    rig.nats.kill().await.unwrap();
    rig.nats.restart().await.unwrap();
    gavel_testkit::wait_until("us", TEST_TIMEOUT, async || rig.bus.is_connected()).await.unwrap();
    assert_eq!(rig.publish(&queued("a")).await, Stored::Already, "also after a crash");
    assert_eq!(rig.publish(&judged("a")).await, Stored::Already);
}

#[tokio::test]
async fn acknowledged_work_can_be_stored_again() {
    let rig = Rig::start().await;
    assert_eq!(rig.publish(&ready("a")).await, Stored::New);
    assert_eq!(rig.publish(&ready("a")).await, Stored::Already);
    let (script, mut events) = recording::<gavel_domain::event::Ready>();
    let work = crate::support::Loop::start(&rig.bus, Durable::Judge, 1, script);
    crate::support::next(&mut events).await;
    rig.jetstream.wait_idle(Durable::Judge).await;
    assert_eq!(rig.publish(&ready("a")).await, Stored::New);
    crate::support::next(&mut events).await;
    work.stop().await;
}
