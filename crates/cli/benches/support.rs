//! Shared by both benches: load over HTTP, bare publishes as the baseline, and the output of results.

#![expect(clippy::unwrap_used, reason = "a bench reports to the terminal only")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use futures::future::join_all;
use gavel_config::Env;
use gavel_runtime::Lifecycle;
use gavel_testkit::NatsServer;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The size of a source in bytes. A message then has about 2 KB.
const SOURCE_BYTES: usize = 1_800;

/// The rate and the latencies of a run.
pub(crate) struct Sample {
    pub(crate) per_s: f64,
    times: Vec<Duration>,
}

impl Sample {
    pub(crate) fn new(times: Vec<Duration>, took: Duration) -> Self {
        let mut times = times;
        times.sort();
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let count = times.len() as f64;
        Self { per_s: count / took.as_secs_f64(), times }
    }

    /// A latency percentile in milliseconds.
    pub(crate) fn ms(&self, percent: usize) -> f64 {
        let at = (self.times.len() * percent / 100).min(self.times.len() - 1);
        self.times[at].as_secs_f64() * 1000.0
    }
}

/// Prints one result as a row of the table and as JSON.
pub(crate) fn show(bench: &str, metric: &str, value: f64, baseline: f64) {
    let ratio = value / baseline;
    let line =
        json!({ "bench": bench, "metric": metric, "value": value, "baseline": baseline, "ratio": ratio });
    println!("{metric:<28}{value:>12.2}{baseline:>14.2}{ratio:>10.2}    {line}");
}

/// Prints the header of the table.
pub(crate) fn head(bench: &str, baseline: &str) {
    println!("\n{bench:<28}{:>12}{baseline:>14}{:>10}", "result", "ratio");
}

/// The body of the `n`th submission.
pub(crate) fn body(run: &str, n: usize) -> String {
    json!({
        "questionId": "q", "submissionId": format!("{run}{n}"), "languageId": 71,
        "sourceCode": "x".repeat(SOURCE_BYTES),
    })
    .to_string()
}

/// Publishes `count` messages of 2 KB on different subjects, `in_flight` at a time, to a stream with
/// the settings of Gavel's streams.
pub(crate) async fn bare_publishes(nats: &NatsServer, in_flight: usize, count: usize) -> Sample {
    let client = async_nats::connect(nats.url()).await.unwrap();
    let context = jetstream::new(client);
    let name = format!("BARE{in_flight}");
    let config = jetstream::stream::Config {
        name: name.clone(),
        subjects: vec![format!("bare.{in_flight}.*")],
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
    let payload = bytes::Bytes::from(vec![b'x'; SOURCE_BYTES + 200]);
    let sample = workers(in_flight, count, async |n| {
        let subject = format!("bare.{in_flight}.{n}");
        context.publish(subject, payload.clone()).await.unwrap().await.unwrap();
    })
    .await;
    context.delete_stream(name).await.unwrap();
    sample
}

/// Posts `count` submissions over `in_flight` connections; each must be answered 202.
pub(crate) async fn posts(
    address: std::net::SocketAddr,
    run: &str,
    in_flight: usize,
    count: usize,
) -> Sample {
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let all = (0..in_flight).map(|_| {
        let (next, run) = (Arc::clone(&next), run.to_owned());
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await;
            let mut times = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return times;
                }
                let asked = Instant::now();
                connection.post(&body(&run, n)).await;
                times.push(asked.elapsed());
            }
        })
    });
    let times = join_all(all).await.into_iter().flat_map(Result::unwrap).collect();
    Sample::new(times, began.elapsed())
}

async fn workers(in_flight: usize, count: usize, work: impl AsyncFn(usize)) -> Sample {
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let all = (0..in_flight).map(|_| async {
        let mut times = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return times;
            }
            let asked = Instant::now();
            work(n).await;
            times.push(asked.elapsed());
        }
    });
    let times = join_all(all).await.into_iter().flatten().collect();
    Sample::new(times, began.elapsed())
}

/// A keep-alive connection with the least possible client work, so that the bench measures the server.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: std::net::SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn post(&mut self, body: &str) {
        let request = format!(
            "POST /v1/judge-question HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.buffer.clear();
        loop {
            assert!(
                self.stream.read_buf(&mut self.buffer).await.unwrap() > 0,
                "the ingress closed the connection"
            );
            let text = std::str::from_utf8(&self.buffer).unwrap();
            let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if rest.len() >= length.parse().unwrap() {
                assert!(head.starts_with("HTTP/1.1 202"), "{text}");
                return;
            }
        }
    }
}

/// The environment of a service in this process.
pub(crate) fn env(nats: &NatsServer, more: &[(&str, &str)]) -> Env {
    let mut pairs = vec![("PORT".to_owned(), "0".to_owned()), ("NATS_URL".to_owned(), nats.url())];
    pairs.extend(more.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
    Env::from_vars(pairs)
}

/// Starts an ingress in this process and waits until it accepts submissions.
pub(crate) async fn ingress(nats: &NatsServer, lifecycle: &Lifecycle) -> std::net::SocketAddr {
    let app = gavel_ingress::bind(gavel_ingress::Config::read(&mut env(nats, &[]))).await.unwrap();
    let address = app.address().unwrap();
    tokio::spawn(app.run(lifecycle.clone()));
    let ready = format!("http://{address}/readyz");
    gavel_testkit::wait_until("a ready ingress", Duration::from_secs(20), async || {
        gavel_http::client()
            .build()
            .unwrap()
            .get(&ready)
            .send()
            .await
            .is_ok_and(|answer| answer.status() == 200)
    })
    .await
    .unwrap();
    address
}
