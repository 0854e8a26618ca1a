//! 503: the queue cannot take it, and is taken up again by itself.

use std::time::{Duration, Instant};

use serde_json::json;

use gavel_bus::topology::Stream;
use gavel_testkit::{NatsServer, TEST_TIMEOUT};

use crate::rig::{Answer, Ingress, Queue, Rig, binary, submission, with};

fn unavailable(answer: &Answer, id: &str) {
    assert_eq!((answer.status, &answer.body["status"]), (503, &json!("error")), "{answer:?}");
    assert_eq!(answer.body["submissionId"], id);
    assert!(answer.body["message"].is_string() && answer.retry_after() >= 1);
}

#[tokio::test]
async fn without_a_server_the_answer_is_quick_and_the_server_is_found_later() {
    let nats = NatsServer::start().await;
    nats.kill().await.unwrap();
    let ingress = Ingress::start(binary(&nats.url())).await;
    let start = Instant::now();
    unavailable(&ingress.post(&submission("s1")).await, "s1");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    nats.restart().await.unwrap();
    ingress.process.wait_ready().await;
    let queue = Queue::of(&nats).await;
    assert_eq!(queue.count().await, 0, "what was answered 503 is not sent later");
    assert_eq!(ingress.post(&submission("s1")).await.status, 202);
    assert_eq!(queue.count().await, 1);
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_again() {
    let rig = Rig::start().await;
    assert_eq!(rig.ingress.post(&submission("s1")).await.status, 202);
    for round in 0..3 {
        let mark = rig.ingress.process.mark();
        rig.nats.kill().await.unwrap();
        let noticed = |line: &gavel_testkit::LogLine| line.contains("NATS disconnected");
        rig.ingress.process.wait_log_after(mark, "the loss", TEST_TIMEOUT, noticed).await.unwrap();
        for n in 0..5 {
            let start = Instant::now();
            unavailable(&rig.ingress.post(&submission(&format!("lost{n}"))).await, &format!("lost{n}"));
            assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        }
        rig.nats.restart().await.unwrap();
        rig.ingress.process.wait_ready().await;
        assert_eq!(rig.ingress.post(&submission(&format!("round{round}"))).await.status, 202);
    }
    let queue = Queue::of(&rig.nats).await;
    assert_eq!(queue.count().await, 4);
}

#[tokio::test]
async fn a_server_that_hangs_costs_seconds_not_minutes() {
    let rig = Rig::start().await;
    rig.nats.freeze().unwrap();
    let start = Instant::now();
    let (one, two) = (submission("s1"), submission("s2"));
    let (one, two) = tokio::join!(rig.ingress.post(&one), rig.ingress.post(&two));
    unavailable(&one, "s1");
    unavailable(&two, "s2");
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert_eq!(rig.ingress.get("/healthz").await.status, 200);
    assert_eq!(rig.ingress.get("/readyz").await.status, 503);
    rig.nats.thaw().unwrap();
    rig.ingress.process.wait_ready().await;
    // What became of them is not known; a repeat says.
    assert_eq!(rig.ingress.post(&submission("s1")).await.status, 202);
    assert_eq!(rig.ingress.post(&submission("s3")).await.status, 202);
    assert!(rig.queue.message("s1").await.is_some());
}

#[tokio::test]
async fn a_hang_within_the_patience_is_not_noticed() {
    let rig = Rig::start().await;
    rig.nats.freeze().unwrap();
    let body = submission("s1");
    let thaw = async {
        // The request's log line comes only with its end; a look that times out is a second in which it waits.
        assert!(tokio::time::timeout(Duration::from_secs(1), rig.queue.message("s1")).await.is_err());
        rig.nats.thaw().unwrap();
    };
    let (answer, ()) = tokio::join!(rig.ingress.post(&body), thaw);
    assert_eq!(answer.status, 202);
    assert_eq!(rig.queue.count().await, 1);
}

#[tokio::test]
async fn a_full_stream_refuses_and_takes_again_when_there_is_room() {
    // A fifth of the store: 209,715 bytes.
    let rig = Rig::with(&[("NATS_STORE_BYTES", "1048576")]).await;
    let big = |id: &str| with(id, "sourceCode", json!("x".repeat(150_000)));
    assert_eq!(rig.ingress.post(&big("s1")).await.status, 202);
    let start = Instant::now();
    let answer = rig.ingress.post(&big("s2")).await;
    unavailable(&answer, "s2");
    assert_eq!(answer.body["message"], "The queue is full");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(rig.ingress.post(&big("s1")).await.status, 202, "a repeat of what is queued");
    assert_eq!(rig.queue.count().await, 1);

    let mut stream = rig.queue.jetstream.context.get_stream("SUB_QUEUED").await.unwrap();
    let mut config = stream.info().await.unwrap().config.clone();
    config.max_bytes *= 2;
    rig.queue.jetstream.context.update_stream(config).await.unwrap();
    assert_eq!(rig.ingress.post(&big("s2")).await.status, 202);
}

#[tokio::test]
async fn a_server_that_has_lost_its_store_is_furnished_again() {
    let rig = Rig::start().await;
    assert_eq!(rig.ingress.post(&submission("s1")).await.status, 202);
    for stream in Stream::ALL {
        rig.queue.jetstream.context.delete_stream(stream.name()).await.unwrap();
    }
    rig.ingress.process.wait_ready().await;
    assert_eq!(rig.ingress.post(&submission("s2")).await.status, 202);
    assert_eq!(rig.queue.count().await, 1);
}

#[tokio::test]
async fn readiness_names_what_is_away() {
    let rig = Rig::start().await;
    assert_eq!(rig.ingress.get("/healthz").await.body, json!({ "ok": true }));
    assert_eq!(rig.ingress.get("/readyz").await.body, json!({ "ok": true }));
    rig.nats.kill().await.unwrap();
    let answer = rig.ingress.get("/readyz").await;
    assert_eq!((answer.status, &answer.body["ok"]), (503, &json!(false)));
    assert!(answer.body.to_string().contains("NATS"), "{}", answer.body);
    assert_eq!(rig.ingress.get("/healthz").await.body, json!({ "ok": true }));
    rig.nats.restart().await.unwrap();
    rig.ingress.process.wait_ready().await;
}
