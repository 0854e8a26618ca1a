//! Notifications to systemd, with a socket of the test in its place.

use std::path::PathBuf;
use std::time::Duration;

use gavel_testkit::{NatsServer, TEST_TIMEOUT, process};
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::rig::{Ingress, binary};

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        Self { socket: UnixDatagram::bind(&path).unwrap(), path, _folder: folder }
    }

    /// An ingress that this manager starts.
    fn ingress(&self, nats_url: &str) -> process::Builder {
        binary(nats_url).env("NOTIFY_SOCKET", &self.path)
    }

    async fn next(&self) -> String {
        let mut datagram = [0; 4096];
        let length = timeout(TEST_TIMEOUT, self.socket.recv(&mut datagram)).await.unwrap().unwrap();
        String::from_utf8(datagram[..length].to_vec()).unwrap()
    }

    /// The next notification that is no ping.
    async fn next_report(&self) -> String {
        loop {
            let notification = self.next().await;
            if notification != "WATCHDOG=1" {
                return notification;
            }
        }
    }

    /// Waits for a status that begins with this text, and returns it.
    async fn status(&self, beginning: &str) -> String {
        loop {
            if let Some(status) = self.next_report().await.strip_prefix("STATUS=")
                && status.starts_with(beginning)
            {
                return status.to_owned();
            }
        }
    }
}

#[tokio::test]
async fn service_manager_is_notified_of_start_readiness_and_stop() {
    let (manager, nats) = (Manager::new(), NatsServer::start().await);
    let ingress = Ingress::start(manager.ingress(&nats.url()).env("SHUTDOWN_GRACE_MS", "7000")).await;
    assert_eq!(manager.next_report().await, "READY=1");
    assert_eq!(manager.status("ready").await, "ready");
    ingress.process.terminate().unwrap();
    let stopping =
        "STOPPING=1\nEXTEND_TIMEOUT_USEC=22000000\nSTATUS=stopping: finishing the work in progress";
    assert_eq!(manager.next_report().await, stopping);
    assert_eq!(ingress.process.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn service_that_cannot_reach_nats_has_started_and_its_status_says_why_it_is_not_ready() {
    let manager = Manager::new();
    let _ingress = Ingress::start(manager.ingress("nats://127.0.0.1:1")).await;
    assert_eq!(manager.next_report().await, "READY=1");
    assert!(manager.status("not ready: ").await.contains("not connected to NATS"));
}

#[tokio::test]
async fn watchdog_is_pinged_until_the_service_freezes() {
    let manager = Manager::new();
    let builder = manager.ingress("nats://127.0.0.1:1").env("WATCHDOG_USEC", "100000");
    let ingress = Ingress::start(builder).await;
    for _ in 0..5 {
        while manager.next().await != "WATCHDOG=1" {}
    }
    ingress.process.freeze().unwrap();
    // What was sent before that.
    while manager.socket.try_recv(&mut [0; 4096]).is_ok() {}
    let timeout_of_the_watchdog = Duration::from_millis(100);
    assert!(timeout(timeout_of_the_watchdog, manager.socket.recv(&mut [0; 4096])).await.is_err());
    ingress.process.thaw().unwrap();
    while manager.next().await != "WATCHDOG=1" {}
}

#[tokio::test]
async fn watchdog_of_another_process_is_not_pinged() {
    let manager = Manager::new();
    let builder = manager.ingress("nats://127.0.0.1:1").env("WATCHDOG_USEC", "1000").env("WATCHDOG_PID", "1");
    let _ingress = Ingress::start(builder).await;
    assert_eq!(manager.next().await, "READY=1");
    assert!(manager.next().await.starts_with("STATUS="), "no ping before the first status");
}

#[tokio::test]
async fn service_manager_that_reads_nothing_blocks_no_service() {
    let manager = Manager::new();
    let builder = manager.ingress("nats://127.0.0.1:1").env("WATCHDOG_USEC", "2000");
    let ingress = Ingress::start(builder).await;
    // A socket that does not wait is refused a message when the queue of the manager is full.
    let probe = UnixDatagram::unbound().unwrap();
    probe.connect(&manager.path).unwrap();
    while probe.try_send(b"").is_ok() {}
    assert_eq!(ingress.get("/healthz").await.status, 200);
    ingress.process.terminate().unwrap();
    assert_eq!(ingress.process.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
}
