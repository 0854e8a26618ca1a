//! Live events of one submission.

use gavel_bus::NatsConfig;
use gavel_domain::event::{DeadLetter, Stage};
use gavel_domain::{Status, SubmissionId, Verdict};
use gavel_inspect::{Inspector, LiveEvent, LiveEvents};
use gavel_proto::Event;
use gavel_testkit::fixtures::{judged, queued, ready, reported, running};
use gavel_testkit::{Rig, TEST_TIMEOUT};

/// The future's output; panics after [`TEST_TIMEOUT`].
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TEST_TIMEOUT, future).await.unwrap_or_else(|_| panic!("timeout waiting for {what}"))
}

fn id(text: &str) -> SubmissionId {
    SubmissionId::new(text).unwrap()
}

async fn inspector(rig: &Rig) -> Inspector {
    let config = NatsConfig { url: rig.nats.url(), name: "test".to_owned(), ..NatsConfig::default() };
    Inspector::connect(&config).await.unwrap()
}

async fn next(live: &mut LiveEvents) -> String {
    let event = within("an event", live.next()).await.unwrap();
    let LiveEvent::Message(message) = event else { panic!("not a message: {event:?}") };
    match message.event() {
        Ok(Event::Running(running)) => format!("running on {}", running.instance),
        Ok(Event::Judged(judged)) => format!("judged {}", judged.verdict.status.as_str()),
        Ok(Event::DeadLetter(dead_letter)) => format!("dead letter: {}", dead_letter.cause),
        Ok(_) => message.event_name().unwrap().to_owned(),
        Err(_) => format!("undecodable on {}", message.subject),
    }
}

#[tokio::test]
async fn live_events_come_in_order() {
    let rig = Rig::start().await;
    let mut live = inspector(&rig).await.live_events_of(&id("a")).await.unwrap();
    let dead_letter = DeadLetter {
        key: "a".to_owned(),
        stage: Stage::Reporter,
        cause: "for the test".to_owned(),
        attempts: 1,
        stored_at_ms: 1,
        subject: "submission.judged.a".to_owned(),
        payload: Vec::new(),
        kept_on: None,
    };
    rig.publish(&queued("a")).await;
    rig.publish(&queued("other")).await;
    rig.publish(&ready("a")).await;
    rig.publish(&running("a")).await;
    rig.publish(&judged("a", Verdict::error("for the test"))).await;
    rig.publish(&reported("a", Status::Error)).await;
    rig.publish(&dead_letter).await;
    let client = rig.bus.connection().client();
    client.publish("submission.judged.a", b"\xff".to_vec().into()).await.unwrap();
    for wanted in [
        "queued",
        "ready",
        "running on judge-a",
        "judged error",
        "reported",
        "dead letter: for the test",
        "undecodable on submission.judged.a",
    ] {
        assert_eq!(next(&mut live).await, wanted);
    }
}

#[tokio::test]
async fn live_events_miss_nothing_published_after_the_subscription() {
    let rig = Rig::start().await;
    let inspector = inspector(&rig).await;
    for n in 0..300 {
        let text = format!("a{n}");
        let mut live = inspector.live_events_of(&id(&text)).await.unwrap();
        rig.publish(&queued(&text)).await;
        assert_eq!(next(&mut live).await, "queued", "{n}");
    }
}

#[tokio::test]
async fn live_events_fail_if_the_server_does_not_answer() {
    let rig = Rig::start().await;
    let inspector = inspector(&rig).await;
    rig.nats.freeze().unwrap();
    assert!(within("an answer", inspector.live_events_of(&id("a"))).await.is_err());
}
