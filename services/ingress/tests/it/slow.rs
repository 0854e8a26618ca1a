//! Thousands of clients that send or read slowly: probes and honest submissions are served, and memory is bounded.

use std::net::SocketAddr;

use gavel_testkit::process::memory_kib;
use gavel_testkit::{SlowConnections, TEST_TIMEOUT};

use crate::rig::{PATH, Rig, submission};

const CLIENTS: usize = 2_000;
/// The maximum number of connections of a service.
const MAX_CONNECTIONS: usize = 1_024;
const KEY: &str = "the-key";

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_hold_up_neither_probes_nor_submissions() {
    let rig = Rig::with(&[("INGRESS_KEYS", KEY)]).await;
    let process = &rig.ingress.process;
    let slow = SlowConnections::open(process.address(), CLIENTS, KEY).await;
    for n in 0..5 {
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(status(process.address(), path, None).await, 200, "{path}");
        }
        assert_eq!(status(process.address(), PATH, Some(&format!("s{n}"))).await, 202);
    }
    assert_eq!(rig.queue.count().await, 5);
    let open_files = std::fs::read_dir(format!("/proc/{}/fd", process.pid())).unwrap().count();
    assert!(open_files < MAX_CONNECTIONS + 100, "{open_files} open files");
    let kib = memory_kib(process.pid(), "VmHWM").unwrap();
    assert!(kib < 100_000, "{kib} KiB of memory");
    assert!(slow.count_open() < MAX_CONNECTIONS, "{} connections are still open", slow.count_open());
}

/// Sends a request on a new connection: a submission with this id, or a GET.
async fn status(address: SocketAddr, path: &str, id: Option<&str>) -> u16 {
    let (client, url) = (gavel_http::client().build().unwrap(), format!("http://{address}{path}"));
    let request = match id {
        Some(id) => client.post(url).header("x-code-exec-key", KEY).json(&submission(id)),
        None => client.get(url),
    };
    request
        .timeout(TEST_TIMEOUT)
        .send()
        .await
        .unwrap_or_else(|error| panic!("{path}: {error:?}"))
        .status()
        .as_u16()
}
