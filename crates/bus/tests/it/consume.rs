//! The consumer loop without failures: each message once, within the slots, outputs before the acknowledgement.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gavel_bus::topology::{self, Durable, Stream, TopologySettings};
use gavel_bus::{Cause, ConsumeSettings, Delivery, Failure, Handler, Outgoing, Stored, Trace};
use gavel_domain::RequestId;
use gavel_domain::event::{Queued, Ready, Stage};
use gavel_testkit::TEST_TIMEOUT;
use tokio::sync::{mpsc, watch};

use crate::support::{
    Loop, Received, Rig, Script, consumer, holding, judged, next, queued, ready, recording, settings,
    several, stored,
};

#[tokio::test]
async fn message_is_acknowledged_after_its_outputs_are_stored() {
    let rig = Rig::start().await;
    rig.queue("a", 500).await;
    // Observes the acknowledgements as the server receives them, each with the outputs stored by then.
    let raw = rig.raw().await;
    let mut acks = raw.client().subscribe("$JS.ACK.>").await.unwrap();
    let (events_tx, mut events) = mpsc::unbounded_channel();
    let script = Script::<Queued>::new(move |received: Received| {
        events_tx.send(received.clone()).unwrap();
        async move { Ok(vec![Outgoing::from(&ready(&received.id)), Outgoing::from(&judged(&received.id))]) }
    });
    let work = Loop::start(&rig.bus, Durable::Fetcher, 16, script);
    let all = several(&mut events, 500).await;
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    assert!(all.iter().all(|received| received.attempt == 1));
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 500);
    assert!(events.try_recv().is_err(), "no event is handled twice");
    for n in 0..500 {
        let found = stored(&raw, Stream::Ready, &format!("submission.ready.a{n}")).await;
        assert!(found.is_some(), "{n}");
        let ack = crate::support::within("an acknowledgement", futures::StreamExt::next(&mut acks)).await;
        assert_eq!(ack.unwrap().payload, "+ACK");
    }
    work.stop().await;
}

#[tokio::test]
async fn message_is_not_acknowledged_while_its_outputs_cannot_be_stored() {
    // The result stream is full, so no verdict is stored, and no message is lost.
    let rig = Rig::with(TopologySettings { store_bytes: 100_000, ..settings() }).await;
    let mut filler = 0;
    let full = loop {
        filler += 1;
        let fill = Outgoing::from(&judged(&format!("f{filler}")));
        match rig.bus.publish(&fill, &Trace::default(), Duration::from_secs(5)).await {
            Ok(Stored::New) => {}
            other => break other,
        }
    };
    assert!(matches!(full, Err(gavel_bus::PublishError::Full)), "{full:?}");
    let id = "a".repeat(100);
    rig.publish(&queued(&id)).await;
    let (events_tx, mut events) = mpsc::unbounded_channel();
    let script = Script::<Queued>::new(move |received: Received| {
        events_tx.send(received.clone()).unwrap();
        async move { Ok(vec![Outgoing::from(&ready(&received.id)), Outgoing::from(&judged(&received.id))]) }
    });
    let work = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    next(&mut events).await;
    let raw = rig.raw().await;
    // The first output is stored, so the loop is publishing the second one.
    let look = async || stored(&raw, Stream::Ready, &topology::subject("ready", &id)).await.is_some();
    gavel_testkit::wait_until("the first output", TEST_TIMEOUT, look).await.unwrap();
    assert_eq!(consumer(&raw, Durable::Fetcher).await.num_ack_pending, 1);
    // An operator raises the limit.
    let mut config = raw.get_stream("SUB_RESULT").await.unwrap().cached_info().config.clone();
    config.max_bytes *= 2;
    raw.update_stream(&config).await.unwrap();
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    assert!(stored(&raw, Stream::Result, &topology::subject("judged", &id)).await.is_some());
    assert!(events.try_recv().is_err(), "its work was done twice");
    work.stop().await;
}

#[tokio::test]
async fn loop_holds_no_more_messages_than_slots() {
    let rig = Rig::start().await;
    rig.queue("a", 20).await;
    let (script, mut busy) = holding::<Queued>();
    let first = Loop::start(&rig.bus, Durable::Fetcher, 4, script);
    let held = several(&mut busy, 4).await;
    // Another loop gets at once what the busy one has no slot for.
    let (script, mut free) = recording::<Queued>();
    let second = Loop::start(&rig.connect().await, Durable::Fetcher, 4, script);
    let rest = several(&mut free, 16).await;
    assert!(rest.iter().chain(&held).all(|received| received.attempt == 1));
    assert_eq!(rest.iter().chain(&held).collect::<HashSet<_>>().len(), 20);
    assert!(busy.try_recv().is_err(), "no fifth message in progress");
    let info = consumer(&rig.raw().await, Durable::Fetcher).await;
    assert_eq!((info.num_pending, info.num_redelivered), (0, 0));
    second.stop().await;
    first.abort.cancel();
    first.stop().await;
}

#[tokio::test]
async fn slots_are_all_in_use_under_load() {
    for slots in [1, 2, 3, 16] {
        let rig = Rig::start().await;
        rig.queue("a", 200).await;
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (events_tx, mut events) = mpsc::unbounded_channel();
        let script = Script::<Queued>::new({
            let most = Arc::clone(&most);
            move |received| {
                let (now, most, events_tx) = (Arc::clone(&now), Arc::clone(&most), events_tx.clone());
                async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    events_tx.send(received).unwrap();
                    Ok(Vec::new())
                }
            }
        });
        let work = Loop::start(&rig.bus, Durable::Fetcher, slots, script);
        several(&mut events, 200).await;
        work.stop().await;
        assert_eq!(most.load(Ordering::SeqCst), slots);
    }
}

#[tokio::test]
async fn message_is_handled_at_once_by_a_waiting_loop() {
    let rig = Rig::start().await;
    let (script, mut events) = recording::<Queued>();
    let mut work = Loop::start(&rig.bus, Durable::Fetcher, 4, script);
    work.is_attached(true).await;
    for n in 0..50 {
        let asked = std::time::Instant::now();
        rig.publish(&queued(&format!("a{n}"))).await;
        next(&mut events).await;
        assert!(asked.elapsed() < Duration::from_millis(500), "{n}: {:?}", asked.elapsed());
    }
    work.stop().await;
}

#[tokio::test]
async fn message_of_a_slow_handler_is_not_redelivered() {
    let rig = Rig::with(TopologySettings { ack_wait: Duration::from_secs(1), ..settings() }).await;
    rig.publish(&queued("a")).await;
    let (events_tx, mut events) = mpsc::unbounded_channel();
    let script = Script::<Queued>::new(move |received: Received| {
        events_tx.send(received).unwrap();
        async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            Ok(vec![Outgoing::from(&judged("a"))])
        }
    });
    let work = Loop::start(&rig.bus, Durable::Fetcher, 1, script);
    assert_eq!(next(&mut events).await.attempt, 1);
    let (script, mut other) = recording::<Queued>();
    let idle = Loop::start(&rig.connect().await, Durable::Fetcher, 1, script);
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    assert!(stored(&rig.raw().await, Stream::Result, "submission.judged.a").await.is_some());
    assert!(other.try_recv().is_err() && events.try_recv().is_err(), "it was delivered to another loop");
    work.stop().await;
    idle.stop().await;
}

#[tokio::test]
async fn submission_with_a_verdict_is_not_started() {
    let rig = Rig::start().await;
    rig.publish(&ready("a")).await;
    rig.publish(&judged("a")).await;
    rig.publish(&ready("b")).await;
    let (script, mut events) = recording::<Ready>();
    let work = Loop::start(&rig.bus, Durable::Judge, 1, script.with_started_event());
    assert_eq!(next(&mut events).await.id, "b");
    rig.jetstream.wait_idle(Durable::Judge).await;
    assert!(events.try_recv().is_err());
    let raw = rig.raw().await;
    assert!(stored(&raw, Stream::Result, "submission.running.a").await.is_none());
    assert!(stored(&raw, Stream::Result, "submission.running.b").await.is_some());
    work.stop().await;
}

/// Sends the trace and the age of each delivery.
struct Passing(mpsc::UnboundedSender<(Trace, Duration)>);

impl Handler for Passing {
    type Event = Queued;
    const STAGE: Stage = Stage::Fetcher;

    async fn handle(&self, delivery: &Delivery<Queued>) -> Result<Vec<Outgoing>, Failure> {
        self.0.send((delivery.trace.clone(), delivery.age())).unwrap();
        Ok(vec![Outgoing::from(&ready(delivery.event.submission.id.as_str()))])
    }

    fn give_up(&self, _: &Queued, _: &Cause) -> Vec<Outgoing> {
        Vec::new()
    }
}

#[tokio::test]
async fn trace_headers_are_passed_on() {
    let rig = Rig::start().await;
    let trace = Trace {
        request_id: RequestId::new("r-1"),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    };
    rig.bus.publish(&(&queued("a")).into(), &trace, TEST_TIMEOUT).await.unwrap();
    let (events_tx, mut events) = mpsc::unbounded_channel();
    let settings = ConsumeSettings {
        durable: Durable::Fetcher,
        slots: 1,
        max_deliveries: None,
        stop: tokio_util::sync::CancellationToken::new(),
        abort: tokio_util::sync::CancellationToken::new(),
    };
    let stop = settings.stop.clone();
    let work =
        gavel_bus::consume(rig.bus.clone(), Arc::new(Passing(events_tx)), settings, watch::channel(false).0);
    let work = tokio::spawn(work);
    let (seen, age) = next(&mut events).await;
    assert_eq!(seen, trace);
    assert!(age < Duration::from_secs(30), "{age:?}");
    rig.jetstream.wait_idle(Durable::Fetcher).await;
    let output = stored(&rig.raw().await, Stream::Ready, "submission.ready.a").await.unwrap();
    assert_eq!(output.headers.get("Gavel-Request-Id").unwrap().as_str(), "r-1");
    assert_eq!(output.headers.get("traceparent").unwrap().as_str(), trace.traceparent.unwrap());
    stop.cancel();
    work.await.unwrap();
}
