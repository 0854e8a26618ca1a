//! 503: the queue is unavailable or full, and the ingress recovers without help.

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
async fn request_fails_fast_without_nats_and_works_once_nats_starts() {
    let nats = NatsServer::start().await;
    nats.kill().await.unwrap();
    let ingress = Ingress::start(binary(&nats.url())).await;
    let start = Instant::now();
    unavailable(&ingress.post(&submission("s1")).await, "s1");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    nats.restart().await.unwrap();
    ingress.process.wait_ready().await;
    let queue = Queue::of(&nats).await;
    assert_eq!(queue.count().await, 0, "a submission that got a 503 is not stored later");
    assert_eq!(ingress.post(&submission("s1")).await.status, 202);
    assert_eq!(queue.count().await, 1);
}

#[tokio::test]
async fn ingress_reconnects_after_nats_restarts() {
    let rig = Rig::start().await;
    assert_eq!(rig.ingress.post(&submission("s1")).await.status, 202);
    for round in 0..3 {
        let mark = rig.ingress.process.mark();
        rig.nats.kill().await.unwrap();
        let noticed = |line: &gavel_testkit::LogLine| line.contains("disconnected from NATS");
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
async fn hanging_nats_delays_requests_by_seconds() {
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
    // Their outcome is unknown; a repeat shows it.
    assert_eq!(rig.ingress.post(&submission("s1")).await.status, 202);
    assert_eq!(rig.ingress.post(&submission("s3")).await.status, 202);
    assert!(rig.queue.message("s1").await.is_some());
}

#[tokio::test]
async fn requests_without_memory_during_a_hang_are_answered() {
    let rig = Rig::start().await;
    rig.nats.freeze().unwrap();
    // 64 of them use up the memory for bodies until their publish times out. Few more, so that a busy machine reads all in time.
    let bodies: Vec<_> =
        (0..80).map(|n| with(&format!("s{n}"), "sourceCode", json!("x".repeat(190_000)))).collect();
    let posts = bodies.iter().map(|body| Answer::try_of(rig.ingress.submit(body)));
    for (n, answer) in futures::future::join_all(posts).await.into_iter().enumerate() {
        let answer = answer.unwrap_or_else(|error| panic!("s{n} was closed: {error:?}"));
        assert!(answer.status == 503 && answer.retry_after() >= 1, "s{n}: {answer:?}");
    }
    rig.nats.thaw().unwrap();
    rig.ingress.process.wait_ready().await;
    assert_eq!(rig.ingress.post(&submission("s1")).await.status, 202);
}

#[tokio::test]
async fn hang_shorter_than_publish_timeout_is_not_noticed() {
    let rig = Rig::start().await;
    rig.nats.freeze().unwrap();
    let body = submission("s1");
    let thaw = async {
        // The request logs nothing before it ends. This lookup times out after a second, in which the request waits.
        assert!(tokio::time::timeout(Duration::from_secs(1), rig.queue.message("s1")).await.is_err());
        rig.nats.thaw().unwrap();
    };
    let (answer, ()) = tokio::join!(rig.ingress.post(&body), thaw);
    assert_eq!(answer.status, 202);
    assert_eq!(rig.queue.count().await, 1);
}

#[tokio::test]
async fn full_stream_rejects_until_there_is_room() {
    // The stream gets a fifth of it: 209,715 bytes.
    let rig = Rig::with(&[("NATS_STORE_BYTES", "1048576")]).await;
    let big = |id: &str| with(id, "sourceCode", json!("x".repeat(150_000)));
    assert_eq!(rig.ingress.post(&big("s1")).await.status, 202);
    let start = Instant::now();
    let answer = rig.ingress.post(&big("s2")).await;
    unavailable(&answer, "s2");
    assert_eq!(answer.body["message"], "The queue is full");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(rig.ingress.post(&big("s1")).await.status, 202, "a repeat of a queued submission");
    assert_eq!(rig.queue.count().await, 1);

    let mut stream = rig.queue.jetstream.context.get_stream("SUB_QUEUED").await.unwrap();
    let mut config = stream.info().await.unwrap().config.clone();
    config.max_bytes *= 2;
    rig.queue.jetstream.context.update_stream(config).await.unwrap();
    assert_eq!(rig.ingress.post(&big("s2")).await.status, 202);
}

#[tokio::test]
async fn missing_streams_are_created_again() {
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
async fn readiness_reports_unreachable_nats() {
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
