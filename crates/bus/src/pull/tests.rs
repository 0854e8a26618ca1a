//! The accounting of pull requests, against a real server, with requests that expire quickly.

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
use crate::topology::{Durable, Stream, TopologySettings};
use crate::{Cause, ConsumeSettings, Delivery, Failure, Handler, NatsConfig, Outgoing, Trace};

const TIMEOUT: Duration = Duration::from_secs(30);

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
    tokio::time::timeout(TIMEOUT, puller.next()).await.unwrap()
}

/// Reads until `count` messages are outstanding; returns the number of messages read.
async fn until_outstanding(puller: &mut Puller, count: usize) -> usize {
    let mut messages = 0;
    while puller.outstanding() > count {
        messages += usize::from(next(puller).await.unwrap().is_some());
    }
    assert_eq!(puller.outstanding(), count);
    messages
}

#[tokio::test]
async fn expired_request_is_not_outstanding() {
    let (_server, bus) = start().await;
    let mut puller = Puller::open(&bus, Durable::Fetcher).await.unwrap();
    assert!(!puller.was_useful());
    // One request without messages; one with half of them; several with some.
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
async fn connection_that_is_up_before_its_event_loses_no_message() {
    let (_server, mut bus) = start().await;
    let (events, state) = watch::channel(ConnectionState::default());
    bus.state = state;
    let event = async {
        tokio::time::sleep(EVENT_TIMEOUT * 4 / 5).await;
        events.send_modify(|state| state.connects = 1);
    };
    let (opened, ()) = tokio::join!(Puller::open(&bus, Durable::Fetcher), event);
    let mut puller = opened.unwrap();
    puller.request(1).await.unwrap();
    put(&bus, "a").await;
    assert_eq!(until_outstanding(&mut puller, 0).await, 1);
}

#[tokio::test]
async fn filled_request_ends_without_status() {
    let (_server, bus) = start().await;
    let mut puller = Puller::open(&bus, Durable::Fetcher).await.unwrap();
    for n in 0..6 {
        put(&bus, &format!("a{n}")).await;
    }
    puller.request(2).await.unwrap();
    puller.request(3).await.unwrap();
    assert_eq!(until_outstanding(&mut puller, 0).await, 5);
    // A status that followed would be subtracted from the next request.
    puller.request(2).await.unwrap();
    assert_eq!(until_outstanding(&mut puller, 0).await, 1);
}

#[tokio::test]
async fn puller_ends_at_once_if_the_consumer_is_deleted() {
    let (_server, bus) = start().await;
    let mut puller = Puller::open(&bus, Durable::Fetcher).await.unwrap();
    puller.request(3).await.unwrap();
    // Its heartbeat: a request that the consumer has not accepted yet would be lost silently.
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
    // A request to a deleted consumer is answered, too.
    let mut late = Puller::open(&bus, Durable::Fetcher).await.unwrap();
    stream.delete_consumer(Durable::Fetcher.name()).await.unwrap();
    late.request(1).await.unwrap();
    let lost = next(&mut late).await.err();
    assert!(matches!(lost, Some(Lost::Status(StatusCode::NO_RESPONDERS, _))), "{lost:?}");
}

#[tokio::test]
async fn refused_request_does_not_count_as_accepted() {
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
async fn close_returns_all_messages_in_transit() {
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
        // Every message that the server counts as delivered has arrived. It delivers and ends subscriptions concurrently, so
        // on a loaded machine some may be lost in between; they are redelivered.
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

/// Reports that it has started, and never returns.
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
async fn every_slot_is_usable_after_idle_cycles() {
    for slots in [1, 2, 7, 40] {
        let (_server, bus) = start().await;
        let (events_tx, mut events) = mpsc::unbounded_channel();
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let settings = ConsumeSettings {
            durable: Durable::Fetcher,
            slots,
            max_deliveries: None,
            stop,
            abort: abort.clone(),
        };
        let work =
            crate::consume(bus.clone(), Arc::new(Holding(events_tx)), settings, watch::channel(false).0);
        let work = tokio::spawn(work);
        // Some requests expire while the loop is idle, and some while one slot is in use.
        for taken in [0, 1] {
            let statuses = bus.client.statistics().in_messages.load(std::sync::atomic::Ordering::Relaxed);
            let look = async || {
                let now = bus.client.statistics().in_messages.load(std::sync::atomic::Ordering::Relaxed);
                now >= statuses + 12 || slots == taken
            };
            wait_until("heartbeats and expiries", TIMEOUT, look).await.unwrap();
            let first = taken * (slots - 1);
            for n in first..first + if taken == 0 { 1 } else { slots - 1 } {
                let event = queued(slots * 100 + n);
                bus.publish(&Outgoing::from(&event), &Trace::default(), TIMEOUT).await.unwrap();
                tokio::time::timeout(TIMEOUT, events.recv()).await.unwrap().unwrap();
            }
        }
        abort.cancel();
        work.await.unwrap();
    }
}
