//! Whether a long queue slows anything down: the rate of accepting and of draining, and the memory of the services, with
//! an empty queue and with many submissions queued. The services are separate processes, and a judge's engine answers
//! at once.

use std::time::{Duration, Instant};

use async_nats::jetstream;
use async_nats::jetstream::consumer::PullConsumer;
use gavel_bus::topology::Durable;
use gavel_mock_convex::MockConvex;
use gavel_testkit::{NatsServer, ServiceProcess};

use super::load::{posts, queue};
use super::memory::resident_mb;
use super::report::{Bar, Report};
use super::services::{convex, service, waiting_judge};
use crate::Options;

/// The longest wait for a part of the drain.
const RUN_TIMEOUT: Duration = Duration::from_mins(5);
/// Room for a million submissions in each stream.
const STORE_BYTES: (&str, &str) = ("NATS_STORE_BYTES", "34359738368");

/// How many more submissions are queued for each whose drain is measured.
const RESERVE: usize = 3;

/// What was measured with one backlog.
struct Measured {
    accepted_per_s: f64,
    drained_per_s: f64,
    memory_mb: Vec<(&'static str, f64)>,
}

pub(crate) async fn run(options: &Options, report: &mut Report) {
    for _ in 0..options.rounds {
        round(options, report).await;
    }
    report.finish("backlog", "empty queue");
}

async fn round(options: &Options, report: &mut Report) {
    let empty = measure(0, options.submissions).await;
    for backlog in [options.messages / 10, options.messages] {
        let measured = measure(backlog, options.submissions).await;
        let name = |metric: &str| format!("{metric}_at_{backlog}");
        report.ratio(
            &name("accepted_per_s"),
            measured.accepted_per_s,
            empty.accepted_per_s,
            Bar::AtLeast(0.85),
        );
        report.ratio(&name("drained_per_s"), measured.drained_per_s, empty.drained_per_s, Bar::AtLeast(0.85));
        for ((process, mb), (_, empty_mb)) in measured.memory_mb.into_iter().zip(&empty.memory_mb) {
            // Memory of nats-server grows with the subjects of its streams.
            let bar = (process != "nats-server").then_some(Bar::AtMost(1.25));
            report.ratio(&name(&format!("{process}_mb")), mb, *empty_mb, bar);
        }
    }
}

async fn measure(backlog: u32, submissions: u32) -> Measured {
    let (nats, convex) = (NatsServer::start().await, convex().await);
    convex.count_only();
    let count = submissions as usize;
    let ingress = service("ingress", &nats, &convex, &[STORE_BYTES]).await;
    queue(&nats, "b", backlog as usize).await;
    posts(ingress.address(), "warm", 16, count / 10).await;
    let accepted = posts(ingress.address(), "a", 64, count).await;
    // The fetcher is faster than the others. If it came to the end of a short queue, these would have its CPU time.
    queue(&nats, "more", count * RESERVE).await;

    let fetcher = service("fetcher", &nats, &convex, &[STORE_BYTES]).await;
    let judge = waiting_judge(Duration::ZERO, 16, &nats, &convex).await;
    let reporter = service("reporter", &nats, &convex, &[STORE_BYTES]).await;
    let drained_per_s = drain(&convex, u64::from(submissions)).await;
    assert!(unfetched(&nats).await > 0, "the fetcher must work until the end of the measurement");
    let process = |name, process: &ServiceProcess| (name, resident_mb(process.pid()));
    let memory_mb = vec![
        process("ingress", &ingress),
        process("fetcher", &fetcher),
        process("judge", &judge),
        process("reporter", &reporter),
        ("nats-server", resident_mb(nats.process().pid())),
    ];
    Measured { accepted_per_s: accepted.per_s, drained_per_s, memory_mb }
}

/// Returns how many submissions wait for the fetcher.
async fn unfetched(nats: &NatsServer) -> u64 {
    let context = jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let fetcher = Durable::Fetcher;
    let consumer: PullConsumer =
        context.get_consumer_from_stream(fetcher.name(), fetcher.stream().name()).await.unwrap();
    consumer.get_info().await.unwrap().num_pending
}

/// Returns how many submissions per second get a verdict, without the first tenth of them.
async fn drain(convex: &MockConvex, count: u64) -> f64 {
    convex.wait_final_count(count / 10, RUN_TIMEOUT).await.unwrap();
    let (before, began) = (convex.final_count(), Instant::now());
    convex.wait_final_count(count, RUN_TIMEOUT).await.unwrap();
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let drained = (convex.final_count() - before) as f64;
    drained / began.elapsed().as_secs_f64()
}
