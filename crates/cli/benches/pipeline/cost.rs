//! The CPU time of each process per submission, under a steady load of half of what the pipeline can take: the real programs,
//! except that the judge's engine answers at once.
//!
//! `scripts/flame` records the stacks of these processes meanwhile. It reads their ids from the standard error.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use gavel_mock_convex::MockConvex;
use gavel_testkit::NatsServer;

use super::line::submit_steadily;
use super::load::posts;
use super::memory::CpuTimes;
use super::report::Report;
use super::services::{convex, service, waiting_judge};
use crate::Options;

/// The longest wait for one part.
const RUN_TIMEOUT: Duration = Duration::from_mins(2);
/// Submissions before the measurements.
const WARM_UP: u32 = 2_000;

pub(crate) async fn run(options: &Options, report: &mut Report) {
    let (nats, convex) = (NatsServer::start().await, convex().await);
    convex.count_only();
    let ingress = service("ingress", &nats, &convex, &[]).await;
    let fetcher = service("fetcher", &nats, &convex, &[]).await;
    let judge = waiting_judge(Duration::ZERO, 16, &nats, &convex).await;
    let reporter = service("reporter", &nats, &convex, &[]).await;
    let processes = [
        ("ingress", ingress.pid()),
        ("fetcher", fetcher.pid()),
        ("judge", judge.pid()),
        ("reporter", reporter.pid()),
        ("nats-server", nats.process().pid()),
    ];
    saturate(ingress.address(), &convex, "warm", WARM_UP).await;
    let rate = saturate(ingress.address(), &convex, "full", options.submissions).await / 2.0;

    let ids: Vec<_> = processes.iter().map(|(name, pid)| format!("{name} {pid}")).collect();
    eprintln!("load begins on {}", ids.join(", "));
    let (cpu_times, done) = (CpuTimes::start(processes), convex.final_count());
    let count = submit_steadily(ingress.address(), rate, options.seconds).await.len() as u64;
    convex.wait_final_count(done + count, RUN_TIMEOUT).await.unwrap();
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let count = count as f64;
    report.value("paced_per_s", count / f64::from(options.seconds), None);
    cpu_times.report(count, report);
    report.finish("cost", "");
}

/// Submits as fast as the ingress accepts, and returns how many submissions got their result per second.
async fn saturate(ingress: SocketAddr, convex: &MockConvex, run: &str, count: u32) -> f64 {
    let (began, done) = (Instant::now(), convex.final_count());
    posts(ingress, run, 64, count as usize).await;
    convex.wait_final_count(done + u64::from(count), RUN_TIMEOUT).await.unwrap();
    f64::from(count) / began.elapsed().as_secs_f64()
}
