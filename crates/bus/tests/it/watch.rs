//! Watching a submission live.

use gavel_bus::{Seen, Watch};
use gavel_domain::Status;
use gavel_domain::event::{DeadLetter, Reported, Stage};

use crate::support::{Rig, id, judged, queued, ready, running, submission, within};

async fn word(watch: &mut Watch) -> String {
    match within("an event", watch.next()).await.unwrap() {
        Seen::Queued => "queued".to_owned(),
        Seen::Ready => "ready".to_owned(),
        Seen::Running(running) => format!("running on {}", running.instance),
        Seen::Judged(judged) => format!("judged {}", judged.verdict.status.as_str()),
        Seen::Reported => "reported".to_owned(),
        Seen::DeadLetter(dead) => format!("dead of {}", dead.cause),
        Seen::Unreadable(subject) => format!("unreadable on {subject}"),
    }
}

#[tokio::test]
async fn every_event_is_seen_in_order() {
    let rig = Rig::start().await;
    let mut watch = rig.connect().await.watch(&id("a")).await.unwrap();
    let reported = Reported {
        submission: submission("a"),
        status: Status::Error,
        attempts: 1,
        instance: "test".to_owned(),
        callback_attempts: Vec::new(),
    };
    let dead = DeadLetter {
        key: "a".to_owned(),
        stage: Stage::Reporter,
        cause: "boredom".to_owned(),
        attempts: 1,
        stored_at_ms: 1,
        subject: "submission.judged.a".to_owned(),
        payload: Vec::new(),
    };
    rig.publish(&queued("a")).await;
    rig.publish(&queued("other")).await;
    rig.publish(&ready("a")).await;
    rig.publish(&running("a")).await;
    rig.publish(&judged("a")).await;
    rig.publish(&reported).await;
    rig.publish(&dead).await;
    let garbage = b"\xff".to_vec();
    let raw = rig.raw().await;
    raw.client().publish("submission.judged.a", garbage.into()).await.unwrap();
    for wanted in [
        "queued",
        "ready",
        "running on test",
        "judged error",
        "reported",
        "dead of boredom",
        "unreadable on submission.judged.a",
    ] {
        assert_eq!(word(&mut watch).await, wanted);
    }
}

#[tokio::test]
async fn what_is_published_once_it_watches_is_seen() {
    let rig = Rig::start().await;
    let watcher = rig.connect().await;
    for n in 0..300 {
        let text = format!("a{n}");
        let mut watch = watcher.watch(&id(&text)).await.unwrap();
        rig.publish(&queued(&text)).await;
        assert_eq!(word(&mut watch).await, "queued", "{n}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_an_error() {
    let rig = Rig::start().await;
    rig.nats.freeze().unwrap();
    assert!(within("an answer", rig.bus.watch(&id("a"))).await.is_err());
}
