//! How the ingress serves probes and submissions next to thousands of slow clients, with and without keys: latencies on
//! new connections, and the memory of the process. Half of the slow clients have a valid key where one is needed.

#![expect(clippy::unwrap_used, reason = "a bench reports to the terminal only")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use gavel_testkit::process::memory_kib;
use gavel_testkit::{NatsServer, ServiceProcess, SlowConnections};
use serde_json::json;

const CLIENTS: [usize; 3] = [0, 1_000, 2_000];
const REQUESTS: usize = 200;
const KEY: &str = "the-key";

fn main() {
    println!(
        "{:<12}{:>8}  {:<12}{:>10}{:>10}{:>10}{:>12}",
        "keys", "slow", "request", "p50 ms", "p99 ms", "max ms", "peak MB"
    );
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        for keys in ["", KEY] {
            for clients in CLIENTS {
                measure(keys, clients).await;
            }
        }
    });
}

async fn measure(keys: &str, clients: usize) {
    let nats = NatsServer::start().await;
    let builder =
        ServiceProcess::builder(env!("CARGO_BIN_EXE_gavel-ingress"), &nats.url()).env("INGRESS_KEYS", keys);
    let ingress = ServiceProcess::start(builder).await;
    ingress.wait_ready().await;
    for request in ["/healthz", "/readyz", "/metrics", "POST"] {
        let _slow = SlowConnections::open(ingress.address(), clients, KEY).await;
        let mut times = Vec::new();
        for n in 0..REQUESTS {
            let began = Instant::now();
            send(ingress.address(), request, n).await;
            times.push(began.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        times.sort();
        let ms = |percent: usize| times[(REQUESTS * percent / 100).min(REQUESTS - 1)].as_secs_f64() * 1000.0;
        println!(
            "{:<12}{clients:>8}  {request:<12}{:>10.2}{:>10.2}{:>10.2}{:>12.1}",
            if keys.is_empty() { "none" } else { "required" },
            ms(50),
            ms(99),
            ms(100),
            peak_mb(ingress.pid())
        );
    }
}

/// Sends a request on a new connection, which must succeed.
async fn send(address: SocketAddr, request: &str, n: usize) {
    let client = gavel_http::client().build().unwrap();
    let request = if request == "POST" {
        let body = json!({
            "questionId": "q", "submissionId": format!("s{n}"), "languageId": 71, "sourceCode": "x".repeat(1_800),
        });
        client.post(format!("http://{address}/v1/judge-question")).header("x-code-exec-key", KEY).json(&body)
    } else {
        client.get(format!("http://{address}{request}"))
    };
    let answer = request.timeout(Duration::from_secs(30)).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

/// The peak of the memory of a process, in MB.
fn peak_mb(pid: u32) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let kib = memory_kib(pid, "VmHWM").unwrap() as f64;
    kib * 1024.0 / 1e6
}
