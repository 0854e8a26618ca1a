//! The results of a publish: stored, stored before, refused, or unknown without an answer.

use std::time::{Duration, Instant};

use gavel_bus::topology::{self, Stream, TopologySettings};
use gavel_bus::{Bus, NatsConfig, Outgoing, PublishError, Stored, Trace};
use gavel_domain::event::{DeadLetter, Queued, Stage};
use gavel_proto::WireEvent as _;
use gavel_testkit::{NatsServer, TEST_TIMEOUT, wait_until};

use crate::support::{Rig, judged, queued, running, settings, stored, submission, within};

fn dead(id: &str, stage: Stage, payload: Vec<u8>) -> DeadLetter {
    DeadLetter {
        key: id.to_owned(),
        stage,
        cause: "for the test".to_owned(),
        attempts: 1,
        stored_at_ms: 1_700_000_000_000,
        subject: format!("submission.queued.{id}"),
        payload,
        kept_on: None,
    }
}

fn large(id: &str, bytes: usize) -> Queued {
    Queued { submission: submission(id), source: "x".repeat(bytes) }
}

async fn publish<'e, E>(bus: &Bus, event: &'e E, timeout: Duration) -> Result<Stored, PublishError>
where
    Outgoing: From<&'e E>,
{
    bus.publish(&Outgoing::from(event), &Trace::default(), timeout).await
}

/// Publishes until the stream is full; returns how many were stored.
async fn fill(bus: &Bus, mut event: impl FnMut(usize) -> Outgoing) -> usize {
    for n in 0..10_000 {
        match bus.publish(&event(n), &Trace::default(), TEST_TIMEOUT).await {
            Ok(stored) => assert_eq!(stored, Stored::New, "message {n}"),
            Err(PublishError::Full) => return n,
            Err(error) => panic!("message {n}: {error:?}"),
        }
    }
    panic!("it is never full");
}

#[tokio::test]
async fn second_message_on_a_subject_is_not_stored() {
    let rig = Rig::start().await;
    assert_eq!(rig.publish(&queued("a")).await, Stored::New);
    assert_eq!(rig.publish(&large("a", 10)).await, Stored::Already);
    let kept = stored(&rig.raw().await, Stream::Queued, "submission.queued.a").await.unwrap();
    assert_eq!(kept.payload, gavel_proto::WireEvent::encode(&queued("a")), "the first one stays");
    assert_eq!(kept.headers.get("Gavel-Schema").unwrap().as_str(), "gavel.v1.Queued");
}

#[tokio::test]
async fn running_event_is_not_stored_after_the_verdict() {
    let rig = Rig::start().await;
    assert_eq!(rig.publish(&running("a")).await, Stored::New);
    assert_eq!(rig.publish(&running("a")).await, Stored::Already);
    assert_eq!(rig.publish(&judged("a")).await, Stored::New);
    assert_eq!(rig.publish(&running("a")).await, Stored::Superseded);
    assert_eq!(rig.publish(&judged("b")).await, Stored::New);
    assert_eq!(rig.publish(&running("b")).await, Stored::Superseded);
    assert!(stored(&rig.raw().await, Stream::Result, "submission.running.b").await.is_none());
}

#[tokio::test]
async fn dead_letter_is_stored_once_per_stage() {
    let rig = Rig::start().await;
    assert_eq!(rig.publish(&dead("a", Stage::Fetcher, vec![1])).await, Stored::New);
    assert_eq!(rig.publish(&dead("a", Stage::Judge, vec![1])).await, Stored::New);
    assert_eq!(rig.publish(&dead("a", Stage::Fetcher, vec![1])).await, Stored::Already);
    let stream = rig.raw().await.get_stream(Stream::DeadLetter.name()).await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 2);
}

#[tokio::test]
async fn full_stream_refuses_messages_and_keeps_the_stored_ones() {
    let rig = Rig::with(TopologySettings { store_bytes: 1 << 20, ..settings() }).await;
    let count = fill(&rig.bus, |n| (&large(&format!("a{n}"), 10_000)).into()).await;
    assert!((10..30).contains(&count), "{count} of 10 kB in a fifth of 1 MiB");
    assert_eq!(rig.publish(&large("a0", 10_000)).await, Stored::Already);
    assert_eq!(rig.publish(&judged("a0")).await, Stored::New, "a full queue stops no verdict");

    // Nothing waits for room for a dead letter.
    for n in 0..40 {
        let dead_letter = dead("one", Stage::Judge, vec![n; 5_000]);
        let dead_letter = DeadLetter { stored_at_ms: 1_700_000_000_000 + u64::from(n), ..dead_letter };
        assert_eq!(rig.publish(&dead_letter).await, Stored::New, "dead letter {n}");
    }
    let latest = stored(&rig.raw().await, Stream::DeadLetter, "submission.dead.one").await.unwrap();
    assert_eq!(DeadLetter::decode(&latest.payload).unwrap().payload[0], 39, "the oldest are discarded");
    let count = rig.jetstream.message_count(Stream::DeadLetter).await;
    assert!((2..10).contains(&count), "{count} of 5 kB in a fiftieth of 1 MiB");
}

#[tokio::test]
async fn too_large_message_is_refused_without_losing_the_connection() {
    let server = NatsServer::builder().max_payload(100_000).start().await;
    let rig = Rig::on(server, settings()).await;
    let raw = rig.raw().await;
    let limit = raw.client().server_info().max_payload;
    // Around the limit, headers included, each size is either stored or refused.
    let mut sizes = Vec::new();
    for bytes in (limit - 300..limit + 100).step_by(7) {
        match publish(&rig.bus, &large(&format!("a{bytes}"), bytes), TEST_TIMEOUT).await {
            Ok(Stored::New) => sizes.push(bytes),
            Err(PublishError::TooLarge(_)) => {}
            other => panic!("{bytes}: {other:?}"),
        }
    }
    assert!(!sizes.is_empty() && sizes.iter().all(|bytes| *bytes < limit));
    let reconnects = rig.nats.process().log().iter().filter(|line| line.contains("aximum")).count();
    assert_eq!(reconnects, 0, "the server has complained");
}

#[tokio::test]
async fn publish_fails_at_once_without_a_connection() {
    let rig = Rig::start().await;
    rig.nats.stop().await.unwrap();
    wait_until("the disconnection", TEST_TIMEOUT, async || !rig.bus.is_connected()).await.unwrap();
    let asked = Instant::now();
    let answer = publish(&rig.bus, &queued("a"), TEST_TIMEOUT).await;
    assert!(matches!(answer, Err(PublishError::Disconnected)), "{answer:?}");
    assert!(asked.elapsed() < Duration::from_millis(200), "{:?}", asked.elapsed());

    rig.nats.restart().await.unwrap();
    wait_until("the connection", TEST_TIMEOUT, async || rig.bus.is_connected()).await.unwrap();
    assert_eq!(rig.publish(&queued("a")).await, Stored::New, "the first one was not kept for later");
}

#[tokio::test]
async fn publish_without_answer_is_unknown_after_the_timeout() {
    let rig = Rig::start().await;
    for (id, timeout) in [("a", 500), ("b", 3_000)] {
        let timeout = Duration::from_millis(timeout);
        rig.nats.freeze().unwrap();
        let asked = Instant::now();
        let answer = publish(&rig.bus, &queued(id), timeout).await;
        let took = asked.elapsed();
        rig.nats.thaw().unwrap();
        assert!(matches!(answer, Err(PublishError::Unknown(_))), "{answer:?}");
        assert!(took >= timeout && took < timeout + Duration::from_millis(700), "{took:?}");
        assert_eq!(rig.publish(&queued(id)).await, Stored::Already);
    }
}

#[tokio::test]
async fn publish_stays_unknown_if_the_connection_is_lost_after_sending() {
    let rig = Rig::start().await;
    rig.nats.freeze().unwrap();
    let event = queued("a");
    let answer = publish(&rig.bus, &event, Duration::from_secs(4));
    let mut answer = std::pin::pin!(answer);
    // While frozen it may have accepted the message; once killed it cannot answer.
    assert!(futures::poll!(&mut answer).is_pending());
    rig.nats.kill().await.unwrap();
    wait_until("the disconnection", TEST_TIMEOUT, async || !rig.bus.is_connected()).await.unwrap();
    let answer = within("an answer", answer).await;
    assert!(matches!(answer, Err(PublishError::Unknown(_))), "{answer:?}");
}

#[tokio::test]
async fn publish_survives_a_restart_of_the_server() {
    let rig = Rig::start().await;
    rig.nats.freeze().unwrap();
    let event = queued("a");
    let mut answer = std::pin::pin!(publish(&rig.bus, &event, TEST_TIMEOUT));
    assert!(futures::poll!(&mut answer).is_pending());
    rig.nats.kill().await.unwrap();
    rig.nats.restart().await.unwrap();
    let answer = within("an answer", answer).await;
    // It is open whether the frozen server had accepted it; now it is stored.
    assert!(matches!(answer, Ok(Stored::New | Stored::Already)), "{answer:?}");
    let subject = topology::subject("queued", "a");
    assert!(stored(&rig.raw().await, Stream::Queued, &subject).await.is_some());
}

#[tokio::test]
async fn connect_succeeds_with_one_of_several_servers() {
    let server = NatsServer::start().await;
    let url = format!("nats://127.0.0.1:1, {}", server.url());
    let bus = Bus::connect(&NatsConfig { url, name: "test".to_owned(), ..NatsConfig::default() }, settings())
        .await
        .unwrap();
    within("the streams", bus.ensure_topology()).await;
    assert_eq!(bus.check_stream(Stream::Queued).await, Ok(()));
}

#[tokio::test]
async fn connect_fails_for_an_invalid_url_but_not_for_an_unreachable_server() {
    for url in ["", "::", "nats://127.0.0.1:notaport", "nats://127.0.0.1:1,,"] {
        let config = NatsConfig { url: url.to_owned(), name: "test".to_owned(), ..NatsConfig::default() };
        assert!(Bus::connect(&config, settings()).await.is_err(), "{url:?}");
    }
    let config =
        NatsConfig { url: "nats://127.0.0.1:1".to_owned(), name: "test".to_owned(), ..NatsConfig::default() };
    let bus = Bus::connect(&config, settings()).await.unwrap();
    assert!(!bus.is_connected());
    assert_eq!(bus.check_stream(Stream::Queued).await, Err("not connected to NATS".to_owned()));
}
