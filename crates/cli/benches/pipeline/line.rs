//! How fast submissions pass through the whole pipeline, from the request to the result at mock Convex, with an engine
//! that answers at once. Everything shares the machine's cores: the load, the four services, mock Convex and NATS.
//!
//! Saturation is measured with submissions that are sent as fast as the ingress accepts them; latencies at half of it, in
//! an open loop: each submission has a time at which it is due, and its latency counts from then, so that a slow pipeline
//! does not slow its own load.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use gavel_mock_convex::{Endpoint, Limits, MockConvex, Status};
use gavel_runtime::Lifecycle;
use gavel_testkit::NatsServer;
use tokio::time::MissedTickBehavior;

use super::load::{Connection, Sample, bare_publishes, body, posts};
use super::memory::CpuTimes;
use super::report::{Bar, Report};
use super::services::{callers, convex, ingress, judge};
use crate::Options;

/// The longest wait for one part.
const RUN_TIMEOUT: Duration = Duration::from_mins(2);
/// Submissions before the measurement.
const WARM_UP: usize = 2_000;
/// Connections that share the load at half of saturation.
const CONNECTIONS: u32 = 32;

pub(crate) async fn run(options: &Options, report: &mut Report) {
    for _ in 0..options.rounds {
        round(options, report).await;
    }
    report.finish("line", "bare publish");
}

async fn round(options: &Options, report: &mut Report) {
    let (nats, convex, lifecycle) = (NatsServer::start().await, convex().await, Lifecycle::default());
    let address = ingress(&nats, &lifecycle).await;
    callers(&nats, &convex, &lifecycle).await;
    judge(&nats, &lifecycle).await;
    convex.count_only();
    posts(address, "warm", 16, WARM_UP).await;
    convex.wait_final_count(WARM_UP as u64, RUN_TIMEOUT).await.unwrap();

    let count = options.submissions as usize;
    let (bare, one) = (bare_publishes(&nats, 64, count).await, bare_publishes(&nats, 1, count / 10).await);
    // In this process are the load, the services and mock Convex.
    let processes = [("bench", std::process::id()), ("nats-server", nats.process().pid())];
    let (began, cpu_times) = (Instant::now(), CpuTimes::start(processes));
    let accepted = posts(address, "f", 64, count).await;
    convex.wait_final_count((WARM_UP + count) as u64, RUN_TIMEOUT).await.unwrap();
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let (submissions, seconds) = (count as f64, began.elapsed().as_secs_f64());
    let per_s = submissions / seconds;
    // Unlike the others, these hardly depend on what else the machine does.
    cpu_times.report(submissions, report);
    report.value("saturation_per_s", per_s, Bar::AtLeast(3_000.0));
    report.ratio("saturation_to_publishes", per_s, bare.per_s, None);
    report.ratio("accepted_per_s", accepted.per_s, bare.per_s, None);

    convex.set_limits(Limits { calls: usize::MAX, call_bytes: 1 << 30, ..Limits::default() });
    let paced = pace(address, &convex, per_s / 2.0, options.seconds).await;
    report.value("paced_per_s", paced.per_s, None);
    report.value("p50_ms", paced.ms(50), Bar::AtMost(6.0));
    report.value("p99_ms", paced.ms(99), Bar::AtMost(15.0));
    report.ratio("p50_to_publish", paced.ms(50), one.ms(50), None);
    assert_eq!(convex.submission("p0").unwrap().status, Status::Passed);
    assert!(convex.running_after_result().is_empty());
    assert!(convex.with_conflicting_results().is_empty());
    lifecycle.stop.cancel();
}

/// Submits at a steady rate, however fast the pipeline is, and measures the time from when each submission was due to its
/// result.
async fn pace(address: SocketAddr, convex: &MockConvex, rate: f64, seconds: u32) -> Sample {
    let (began, before) = (Instant::now(), convex.final_count());
    let sent = submit_steadily(address, rate, seconds).await;
    convex.wait_final_count(before + sent.len() as u64, RUN_TIMEOUT).await.unwrap();
    let took = began.elapsed();
    let results = convex.calls().into_iter().filter(|call| call.endpoint == Endpoint::RESULT);
    let times = results.filter_map(|call| {
        let due = sent.get(call.id.as_ref()?.as_str())?;
        Some(call.received_at.saturating_duration_since(*due))
    });
    Sample::new(times.collect(), took)
}

/// Submits at a steady rate, and returns when each submission was due.
pub(crate) async fn submit_steadily(
    address: SocketAddr,
    rate: f64,
    seconds: u32,
) -> HashMap<String, Instant> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is a small positive number"
    )]
    let count = (rate * f64::from(seconds)) as u32 / CONNECTIONS;
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|lane| tokio::spawn(send_steadily(address, lane, Duration::from_secs_f64(1.0 / rate), count)))
        .collect();
    let mut sent = HashMap::new();
    for sender in senders {
        sent.extend(sender.await.unwrap());
    }
    sent
}

/// Sends every [`CONNECTIONS`]th submission, and returns when each was due.
async fn send_steadily(
    address: SocketAddr,
    lane: u32,
    interval: Duration,
    count: u32,
) -> Vec<(String, Instant)> {
    let mut connection = Connection::open(address).await;
    // Connections start one after the other: in step they would send a burst and then nothing.
    let start = tokio::time::Instant::now() + interval * lane;
    let mut ticks = tokio::time::interval_at(start, interval * CONNECTIONS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = Vec::new();
    for n in 0..count {
        let due = ticks.tick().await.into_std();
        let id = format!("p{}", n * CONNECTIONS + lane);
        connection.post(&body(&id)).await;
        sent.push((id, due));
    }
    sent
}
