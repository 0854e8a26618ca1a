//! How throughput grows with the number of judges: processes with one slot each, and an engine that waits 100 ms instead of
//! using a CPU, so that the judges wait for nothing but the pipeline.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use gavel_domain::event::Judged;
use gavel_mock_convex::MockConvex;
use gavel_proto::WireEvent as _;
use gavel_runtime::Lifecycle;
use gavel_testkit::{JetStream, NatsServer};
use tokio::time::{Instant, timeout_at};

use super::load::queue;
use super::report::{Bar, Report};
use super::services::{callers, convex, ingress, waiting_judge};
use crate::Options;

/// How long the engine waits.
const WAIT: Duration = Duration::from_millis(100);
/// Submissions per second and judge if everything else took no time.
const IDEAL_PER_S: u32 = 10;
/// The pause before a measurement, in seconds.
const WARM_UP_SECONDS: u32 = 2;

pub(crate) async fn run(options: &Options, report: &mut Report) {
    let (nats, convex, lifecycle) = (NatsServer::start().await, convex().await, Lifecycle::default());
    // It creates the streams.
    ingress(&nats, &lifecycle).await;
    callers(&nats, &convex, &lifecycle).await;
    let mut one = None;
    for judges in [1, 2, 4, 8, 16, 32, 64].into_iter().filter(|judges| *judges <= options.judges) {
        let measured = measure(&nats, &convex, judges, options.seconds).await;
        let counts: Vec<f64> = measured.into_values().map(f64::from).collect();
        let (sum, seconds) = (counts.iter().sum::<f64>(), f64::from(options.seconds));
        let per_s = sum / seconds;
        let linear = *one.get_or_insert(per_s) * f64::from(judges);
        let bar = (judges <= 32).then_some(Bar::AtLeast(0.95));
        report.ratio(&format!("per_s_with_{judges}"), per_s, linear, bar);
        let slowest = if counts.len() < judges as usize {
            0.0
        } else {
            counts.iter().copied().fold(f64::MAX, f64::min)
        };
        let mean = sum / f64::from(judges);
        report.ratio(
            &format!("slowest_per_s_of_{judges}"),
            slowest / seconds,
            mean / seconds,
            Bar::AtLeast(0.7),
        );
    }
    lifecycle.stop.cancel();
    report.finish("scale", "linear, mean");
}

/// Returns how many verdicts each of the judges published in this time.
async fn measure(nats: &NatsServer, convex: &MockConvex, judges: u32, seconds: u32) -> BTreeMap<String, u32> {
    let running = join_all((0..judges).map(|_| waiting_judge(WAIT, 1, nats, convex))).await;
    // Twice as many as the judges can take, so that none waits for work.
    let count = judges * IDEAL_PER_S * (WARM_UP_SECONDS + seconds) * 2;
    queue(nats, &format!("s{judges}x"), count as usize).await;
    let mut verdicts = JetStream::connect(nats).await.client.subscribe("submission.judged.*").await.unwrap();
    let warm = Instant::now() + Duration::from_secs(WARM_UP_SECONDS.into());
    while timeout_at(warm, verdicts.next()).await.is_ok() {}
    let (end, mut counts) = (warm + Duration::from_secs(seconds.into()), BTreeMap::new());
    while let Ok(message) = timeout_at(end, verdicts.next()).await {
        let verdict = Judged::decode(&message.unwrap().payload).unwrap();
        *counts.entry(verdict.instance).or_default() += 1;
    }
    for judge in &running {
        judge.terminate().unwrap();
    }
    for judge in &running {
        judge.wait_exit(Duration::from_secs(30)).await.unwrap();
    }
    counts
}
