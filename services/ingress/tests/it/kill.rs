//! A 202 is durable: an accepted submission is in the stream, whichever process is killed and whenever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gavel_testkit::NatsServer;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::rig::{Ingress, PATH, Queue, Rig, binary, submission};

#[tokio::test]
async fn accepted_submission_survives_kill_of_ingress_and_nats() {
    let rig = Rig::start().await;
    assert_eq!(rig.ingress.post(&submission("s1")).await.status, 202);
    rig.ingress.process.kill().await.unwrap();
    rig.nats.kill().await.unwrap();
    rig.nats.restart().await.unwrap();
    let queue = Queue::of(&rig.nats).await;
    assert_eq!(queue.event("s1").await.unwrap().submission.id.as_str(), "s1");
}

/// Submits from many tasks until a request fails. Returns the tasks, and a channel of the ids that got a 202.
fn burst(ingress: &Ingress) -> (JoinSet<()>, mpsc::UnboundedReceiver<String>) {
    let (accepted, answers) = mpsc::unbounded_channel();
    let next = Arc::new(AtomicU32::new(0));
    let url = format!("http://{}{PATH}", ingress.process.address());
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        let (accepted, next, url, http) =
            (accepted.clone(), Arc::clone(&next), url.clone(), gavel_http::client().build().unwrap());
        callers.spawn(async move {
            loop {
                let id = format!("s{}", next.fetch_add(1, Ordering::Relaxed));
                let sent = http.post(&url).json(&submission(&id)).timeout(Duration::from_secs(10)).send();
                match sent.await {
                    Ok(response) if response.status() == 202 => accepted.send(id).unwrap(),
                    _ => break,
                }
            }
        });
    }
    (callers, answers)
}

async fn assert_all_stored(nats: &NatsServer, accepted: Vec<String>) {
    assert!(accepted.len() >= 200);
    let queue = Queue::of(nats).await;
    for id in accepted {
        assert!(queue.message(&id).await.is_some(), "{id} was accepted but is not stored");
    }
}

#[tokio::test]
async fn killing_ingress_during_burst_loses_no_accepted_submission() {
    let rig = Rig::start().await;
    let (callers, mut answers) = burst(&rig.ingress);
    let mut accepted = Vec::new();
    while accepted.len() < 200 {
        accepted.push(answers.recv().await.unwrap());
    }
    rig.ingress.process.kill().await.unwrap();
    callers.join_all().await;
    while let Some(id) = answers.recv().await {
        accepted.push(id);
    }
    assert_all_stored(&rig.nats, accepted).await;
}

#[tokio::test]
async fn killing_nats_during_burst_loses_no_accepted_submission() {
    let rig = Rig::start().await;
    let (callers, mut answers) = burst(&rig.ingress);
    let mut accepted = Vec::new();
    while accepted.len() < 200 {
        accepted.push(answers.recv().await.unwrap());
    }
    rig.nats.kill().await.unwrap();
    callers.join_all().await;
    while let Some(id) = answers.recv().await {
        accepted.push(id);
    }
    rig.nats.restart().await.unwrap();
    assert_all_stored(&rig.nats, accepted).await;
    rig.ingress.process.wait_ready().await;
}

#[tokio::test]
async fn two_ingresses_store_one_submission_once() {
    let rig = Rig::start().await;
    let other = Ingress::start(binary(&rig.nats.url())).await;
    other.process.wait_ready().await;
    let bodies: Vec<_> = (0..50).map(|n| submission(&format!("s{n}"))).collect();
    for body in &bodies {
        let (one, two) = tokio::join!(rig.ingress.post(body), other.post(body));
        assert_eq!((one.status, two.status), (202, 202));
    }
    assert_eq!(rig.queue.count().await, 50);
}
