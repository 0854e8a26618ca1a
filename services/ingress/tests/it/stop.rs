//! SIGTERM and SIGINT: open requests complete, no new ones are accepted, and the exit code is 0.

use std::time::{Duration, Instant};

use gavel_testkit::{LogLine, Signal, TEST_TIMEOUT, wait_until};
use tokio::net::TcpStream;

use crate::rig::{Rig, submission};
use crate::wire::Wire;

fn stopping(line: &LogLine) -> bool {
    line.contains("stopping")
}

#[tokio::test]
async fn open_request_completes_after_sigterm() {
    let rig = Rig::start().await;
    let body = submission("s1").to_string();
    let mut wire = Wire::connect(rig.ingress.process.address()).await;
    wire.open_submission(body.len()).await;
    let process = &rig.ingress.process;
    process.terminate().unwrap();
    process.wait_log("the shutdown", TEST_TIMEOUT, stopping).await.unwrap();
    let refused = async || TcpStream::connect(rig.ingress.process.address()).await.is_err();
    wait_until("the closed port", TEST_TIMEOUT, refused).await.unwrap();
    wire.write(body.as_bytes()).await;
    let (status, answer) = wire.answer().await;
    assert_eq!((status, &answer["submissionId"]), (202, &"s1".into()));
    assert_eq!(process.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
    assert!(rig.queue.message("s1").await.is_some());
}

#[tokio::test]
async fn idle_and_stuck_connections_do_not_block_shutdown() {
    let rig = Rig::start().await;
    let mut idle = Wire::connect(rig.ingress.process.address()).await;
    idle.head("GET", "/healthz", "").await;
    assert_eq!(idle.answer().await.0, 200);
    let started = Instant::now();
    let mut stuck = Wire::connect(rig.ingress.process.address()).await;
    stuck.open_submission(1000).await;
    rig.ingress.process.terminate().unwrap();
    assert_eq!(idle.end().await, "");
    assert_eq!(rig.ingress.process.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn sigint_without_nats_exits_cleanly() {
    let rig = Rig::start().await;
    rig.nats.kill().await.unwrap();
    let start = Instant::now();
    rig.ingress.process.signal(Signal::INT).unwrap();
    assert_eq!(rig.ingress.process.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
