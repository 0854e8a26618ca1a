//! Load: submissions over HTTP, and bare publishes as the baseline.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use async_nats::HeaderMap;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, stream};
use futures::future::join_all;
use gavel_bus::topology::{Stream, TopologySettings};
use gavel_bus::{Outgoing, Trace};
use gavel_domain::event::Queued;
use gavel_domain::time::epoch_ms;
use gavel_domain::{Generation, LanguageId, QuestionId, Submission, SubmissionId, SubmissionKind};
use gavel_proto::WireEvent as _;
use gavel_testkit::{NatsServer, rig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The size of a source in bytes. A message then has about 2 KB.
const SOURCE_BYTES: usize = 1_800;

static SOURCE: LazyLock<String> = LazyLock::new(|| "x".repeat(SOURCE_BYTES));

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

/// The body of a submission.
pub(crate) fn body(id: &str) -> String {
    let source = &*SOURCE;
    format!(r#"{{"questionId":"q","submissionId":"{id}","languageId":71,"sourceCode":"{source}"}}"#)
}

/// The event that the ingress publishes for [`body`].
pub(crate) fn queued(id: &str) -> Queued {
    let submission = Submission {
        id: SubmissionId::new(id).unwrap(),
        question_id: QuestionId::new("q").unwrap(),
        language: LanguageId(71),
        kind: SubmissionKind::Standard,
        accepted_at_ms: epoch_ms(SystemTime::now()),
        generation: Generation::FIRST,
    };
    Queued { submission, source: SOURCE.clone() }
}

/// Publishes `count` messages with the payload of a submission on different subjects, `in_flight` at a time, to a stream
/// with the server's defaults.
pub(crate) async fn bare_publishes(nats: &NatsServer, in_flight: usize, count: usize) -> Sample {
    let config = stream::Config { subjects: vec!["bare.*".to_owned()], ..Default::default() };
    publishes(nats, config, HeaderMap::new(), in_flight, count).await
}

/// The same with the headers of a submission, to a stream with the settings of `SUB_QUEUED`.
pub(crate) async fn write_once_publishes(nats: &NatsServer, in_flight: usize, count: usize) -> Sample {
    let settings = TopologySettings::default();
    let config = stream::Config { subjects: vec!["bare.*".to_owned()], ..Stream::Queued.config(&settings) };
    let mut headers = HeaderMap::new();
    headers.insert("Gavel-Schema", "gavel.v1.Queued");
    headers.insert("Gavel-Request-Id", "00000000000000000000000000000000");
    headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
    publishes(
        nats,
        stream::Config { deny_delete: false, deny_purge: false, ..config },
        headers,
        in_flight,
        count,
    )
    .await
}

async fn publishes(
    nats: &NatsServer,
    config: stream::Config,
    headers: HeaderMap,
    in_flight: usize,
    count: usize,
) -> Sample {
    let context = jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    context.create_stream(stream::Config { name: "BARE".to_owned(), ..config }).await.unwrap();
    let payload = queued("bare").encode();
    let sample = workers(in_flight, count, async |n| {
        let message = PublishMessage::build().payload(payload.clone());
        let message = if headers.is_empty() { message } else { message.headers(headers.clone()) };
        context.send_publish(format!("bare.{n}"), message).await.unwrap().await.unwrap();
    })
    .await;
    context.delete_stream("BARE").await.unwrap();
    sample
}

/// Queues `count` submissions as the ingress does, without HTTP. The streams must exist.
pub(crate) async fn queue(nats: &NatsServer, run: &str, count: usize) {
    let bus = rig::connect(nats, TopologySettings::default()).await;
    bus.connection().wait_connected().await;
    let trace = Trace::default();
    workers(256, count, async |n| {
        let queued = queued(&format!("{run}{n}"));
        bus.publish(&Outgoing::from(&queued), &trace, Duration::from_secs(10)).await.unwrap();
    })
    .await;
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
            for n in untaken(&next, count) {
                let asked = Instant::now();
                connection.post(&body(&format!("{run}{n}"))).await;
                times.push(asked.elapsed());
            }
            times
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
        for n in untaken(&next, count) {
            let asked = Instant::now();
            work(n).await;
            times.push(asked.elapsed());
        }
        times
    });
    let times = join_all(all).await.into_iter().flatten().collect();
    Sample::new(times, began.elapsed())
}

/// The numbers below `count` that no other worker has taken.
fn untaken(next: &AtomicUsize, count: usize) -> impl Iterator<Item = usize> {
    std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(move |n| *n < count)
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
        self.buffer.clear();
        write!(
            self.buffer,
            "POST /v1/judge-question HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        self.stream.write_all(&self.buffer).await.unwrap();
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
