//! The accounting of requests, against a real server, with requests that live for a moment only.

use std::collections::HashSet;
use std::sync::Arc;

use async_nats::jetstream::consumer::pull::Config;
use gavel_domain::event::{Queued, Stage};
use gavel_domain::{LanguageId, QuestionId, Submission, SubmissionId, SubmissionKind};
use gavel_testkit::{NatsServer, wait_until};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::timing::PullTiming;
use crate::topology::{Stream, TopologySettings};
use crate::{Cause, ConsumeSettings, Delivery, Failure, Handler, NatsConfig, Outgoing, Trace};

const PATIENCE: Duration = Duration::from_secs(30);

/// Requests that expire three times a second.
const SHORT_TIMING: PullTiming = PullTiming {
    expires: Duration::from_millis(300),
    heartbeat: Duration::from_millis(100),
    silence: Duration::from_millis(1_500),
};

async fn start() -> (NatsServer, Bus) {
    let server = NatsServer::start().await;
    let config = NatsConfig { url: server.url(), name: "test".to_owned(), ..NatsConfig::default() };
    let settings = TopologySettings { store_bytes: 1 << 30, ..TopologySettings::default() };
    let mut bus = Bus::connect(&config, settings).await.unwrap();
    bus.ensure_topology().await;
    bus.pull_timing = SHORT_TIMING;
    (server, bus)
}

async fn put(bus: &Bus, id: &str) {
    bus.context.publish(format!("submission.queued.{id}"), "x".into()).await.unwrap().await.unwrap();
}

async fn next(puller: &mut Puller) -> Result<Option<Message>, Lost> {
    tokio::time::timeout(PATIENCE, puller.next()).await.unwrap()
}

/// Reads on until so many are outstanding; returns the messages.
async fn until_outstanding(puller: &mut Puller, count: usize) -> usize {
    let mut messages = 0;
    while puller.outstanding() > count {
        messages += usize::from(next(puller).await.unwrap().is_some());
    }
    assert_eq!(puller.outstanding(), count);
    messages
}

#[tokio::test]
async fn what_expires_is_no_longer_outstanding() {
    let (_server, bus) = start().await;
    let mut puller = Puller::open(&bus, Durable::Fetcher).await.unwrap();
    assert!(!puller.was_useful());
    // One request, unanswered; one half answered; several, some of whose messages come.
    puller.request(3).await.unwrap();
    assert_eq!(until_outstanding(&mut puller, 0).await, 0);
    assert!(puller.was_useful());
    puller.request(4).await.unwrap();
    put(&bus, "a").await;
    assert_eq!(until_outstanding(&mut puller, 0).await, 1);
    for (round, batches) in [[1, 5, 2], [4, 4, 4], [1, 1, 1]].into_iter().enumerate() {
        for batch in batches {
            puller.request(batch).await.unwrap();
        }
        put(&bus, &format!("b{round}")).await;
        put(&bus, &format!("c{round}")).await;
        assert_eq!(until_outstanding(&mut puller, 0).await, 2);
    }
}

#[tokio::test]
async fn a_filled_request_ends_without_a_word() {
    let (_server, bus) = start().await;
    let mut puller = Puller::open(&bus, Durable::Fetcher).await.unwrap();
    for n in 0..6 {
        put(&bus, &format!("a{n}")).await;
    }
    puller.request(2).await.unwrap();
    puller.request(3).await.unwrap();
    assert_eq!(until_outstanding(&mut puller, 0).await, 5);
    // Had a status followed, it would take from what the next one asks for.
    puller.request(2).await.unwrap();
    assert_eq!(until_outstanding(&mut puller, 0).await, 1);
}

#[tokio::test]
async fn a_deleted_consumer_ends_the_puller_at_once() {
    let (_server, bus) = start().await;
    let mut puller = Puller::open(&bus, Durable::Fetcher).await.unwrap();
    puller.request(3).await.unwrap();
    // Its heartbeat: a request that the consumer had not taken yet would be forgotten without a word.
    assert!(next(&mut puller).await.unwrap().is_none());
    let stream = bus.context.get_stream_no_info(Stream::Queued.name()).await.unwrap();
    stream.delete_consumer(Durable::Fetcher.name()).await.unwrap();
    let lost = loop {
        if let Err(lost) = next(&mut puller).await {
            break lost;
        }
    };
    assert!(matches!(lost, Lost::Status(_, _)), "{lost:?}");
    assert!(puller.close().await.is_empty());
    // And one that asks a consumer that is gone hears so, too.
    let mut late = Puller::open(&bus, Durable::Fetcher).await.unwrap();
    stream.delete_consumer(Durable::Fetcher.name()).await.unwrap();
    late.request(1).await.unwrap();
    let lost = next(&mut late).await.err();
    assert!(matches!(lost, Some(Lost::Status(StatusCode::NO_RESPONDERS, _))), "{lost:?}");
}

#[tokio::test]
async fn a_refused_request_is_not_useful() {
    let (_server, bus) = start().await;
    let stream = bus.context.get_stream_no_info(Stream::Queued.name()).await.unwrap();
    stream.delete_consumer(Durable::Fetcher.name()).await.unwrap();
    let config = Config { max_batch: 2, ..Durable::Fetcher.config(&bus.settings) };
    stream.create_consumer(config).await.unwrap();
    let mut puller = Puller::open(&bus, Durable::Fetcher).await.unwrap();
    puller.request(3).await.unwrap();
    let lost = next(&mut puller).await.err();
    assert!(matches!(lost, Some(Lost::Status(_, _))), "{lost:?}");
    assert!(!puller.was_useful());
}

#[tokio::test]
async fn nothing_on_its_way_is_lost_at_the_end() {
    let (_server, bus) = start().await;
    let count = 300;
    for n in 0..count {
        put(&bus, &format!("a{n}")).await;
    }
    let (mut seen, mut rounds) = (HashSet::new(), 0);
    let (mut missing, mut rounds_with_losses) = (0, 0);
    while seen.len() < count {
        let mut puller = Puller::open(&bus, Durable::Fetcher).await.unwrap();
        puller.request(40).await.unwrap();
        let mut taken = Vec::new();
        while taken.len() < rounds % 7 {
            taken.extend(next(&mut puller).await.unwrap());
        }
        taken.extend(puller.close().await);
        // All that the server has counted as delivered is in our hands. It hands over and ends subscriptions side by
        // side, so on a starved machine some may fall in between; they come again.
        let stream = bus.context.get_stream_no_info(Stream::Queued.name()).await.unwrap();
        let info = stream.consumer_info(Durable::Fetcher.name()).await.unwrap();
        let missing_now = info.num_ack_pending.saturating_sub(taken.len());
        rounds_with_losses += usize::from(missing_now > missing);
        missing = missing_now;
        assert_eq!(info.num_waiting, 0, "round {rounds}");
        for message in &taken {
            assert!(seen.insert(message.subject.to_string()), "twice: {}", message.subject);
            message.double_ack().await.unwrap();
        }
        rounds += 1;
    }
    assert!(rounds_with_losses * 4 <= rounds, "{rounds_with_losses} of {rounds} rounds lost something");
}

/// Tells that it has begun, and never ends.
struct Holding(mpsc::UnboundedSender<()>);

impl Handler for Holding {
    type Event = Queued;
    const STAGE: Stage = Stage::Fetcher;

    async fn handle(&self, _: &Delivery<Queued>) -> Result<Vec<Outgoing>, Failure> {
        self.0.send(()).unwrap();
        futures::future::pending().await
    }

    fn give_up(&self, _: &Queued, _: &Cause) -> Vec<Outgoing> {
        Vec::new()
    }
}

fn queued(n: usize) -> Queued {
    let submission = Submission {
        id: SubmissionId::new(format!("a{n}")).unwrap(),
        question_id: QuestionId::new("q").unwrap(),
        language: LanguageId(71),
        kind: SubmissionKind::Standard,
        accepted_at_ms: 1,
        generation: gavel_domain::Generation::FIRST,
    };
    Queued { submission, source: String::new() }
}

#[tokio::test]
async fn after_idle_cycles_every_slot_is_of_use() {
    for slots in [1, 2, 7, 40] {
        let (_server, bus) = start().await;
        let (tell, mut told) = mpsc::unbounded_channel();
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let settings = ConsumeSettings {
            durable: Durable::Fetcher,
            slots,
            max_deliveries: None,
            stop,
            abort: abort.clone(),
        };
        let work = crate::consume(bus.clone(), Arc::new(Holding(tell)), settings, watch::channel(false).0);
        let work = tokio::spawn(work);
        // A few expiries while it is idle, and some while one slot is taken.
        for taken in [0, 1] {
            let statuses = bus.client.statistics().in_messages.load(std::sync::atomic::Ordering::Relaxed);
            let look = async || {
                let now = bus.client.statistics().in_messages.load(std::sync::atomic::Ordering::Relaxed);
                now >= statuses + 12 || slots == taken
            };
            wait_until("heartbeats and expiries", PATIENCE, look).await.unwrap();
            let first = taken * (slots - 1);
            for n in first..first + if taken == 0 { 1 } else { slots - 1 } {
                let event = queued(slots * 100 + n);
                bus.publish(&Outgoing::from(&event), &Trace::default(), PATIENCE).await.unwrap();
                tokio::time::timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
            }
        }
        abort.cancel();
        work.await.unwrap();
    }
}
