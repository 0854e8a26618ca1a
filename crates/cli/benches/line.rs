//! How fast submissions pass through the whole pipeline, from the request to the result at mock Convex, with an engine
//! that answers at once. Everything shares the machine's cores: the load, the four services, mock Convex and NATS.

#![expect(clippy::unwrap_used, reason = "a bench reports to the terminal only")]

mod support;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gavel_domain::engine::{EngineFault, Job, Observer, Progress};
use gavel_domain::heartbeat::ServedLanguage;
use gavel_domain::{Execution, Outcome, Usage};
use gavel_judge::Engine;
use gavel_mock_convex::{Endpoint, Limits, MockConvex, Question, SubmissionKind};
use gavel_runtime::Lifecycle;
use gavel_testkit::NatsServer;
use support::{Connection, Sample, bare_publishes, body, env, head, ingress, posts, show};
use tokio::time::MissedTickBehavior;

/// Submissions of the throughput part, sent as fast as the ingress accepts them.
const THROUGHPUT_COUNT: usize = 20_000;
/// Submissions per second of the latency part: half of the pipeline's target rate.
const RATE: u32 = 1_250;
/// The length of the latency part.
const RATE_SECONDS: u32 = 8;
/// The longest wait for one part.
const RUN_TIMEOUT: Duration = Duration::from_mins(2);

/// An engine that returns the expected output at once.
struct InstantEngine;

#[async_trait]
impl Engine for InstantEngine {
    async fn execute(&self, job: &Job<'_>, observer: &mut Observer<'_>) -> Result<Progress, EngineFault> {
        for test in &job.question.tests {
            let stdout = test.expected_stdout.clone().into_bytes();
            let outcome = Outcome::Exited { code: 0 };
            if observer(Execution {
                outcome,
                matched_bytes: 0,
                stdout,
                stderr: Vec::new(),
                usage: Usage::default(),
            })
            .is_break()
            {
                break;
            }
        }
        Ok(Progress::Ran)
    }

    fn languages(&self) -> Vec<ServedLanguage> {
        Vec::new()
    }
}

fn main() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let nats = NatsServer::start().await;
        let question =
            Question::build(SubmissionKind::Standard, "q").public("1", "1").hidden("2", "2").done();
        let convex = MockConvex::start_local(vec![question]).await.unwrap();
        let lifecycle = Lifecycle::default();
        let address = start(&nats, &convex, &lifecycle).await;

        posts(address, "warm", 16, 500).await;
        convex.wait_final_count(500, RUN_TIMEOUT).await.unwrap();
        let bare = bare_publishes(&nats, 64, THROUGHPUT_COUNT).await;
        let one = bare_publishes(&nats, 1, THROUGHPUT_COUNT / 10).await;
        head("line", "bare publish");
        convex.count_only();
        let began = Instant::now();
        let accepted = posts(address, "f", 64, THROUGHPUT_COUNT).await;
        convex.wait_final_count(500 + THROUGHPUT_COUNT as u64, RUN_TIMEOUT).await.unwrap();
        let through = Sample::new(vec![Duration::ZERO; THROUGHPUT_COUNT], began.elapsed());
        show("line", "accepted_per_s", accepted.per_s, bare.per_s);
        show("line", "per_s", through.per_s, bare.per_s);

        convex.set_limits(Limits::default());
        let paced = pace(address, &convex).await;
        show("line", "paced_per_s", paced.per_s, f64::from(RATE));
        show("line", "p50_ms", paced.ms(50), one.ms(50));
        show("line", "p99_ms", paced.ms(99), one.ms(99));
        assert!(convex.running_after_result().is_empty());
        assert!(convex.with_conflicting_results().is_empty());
        lifecycle.stop.cancel();
    });
}

/// Starts the four services in this process, each talking only through NATS.
async fn start(nats: &NatsServer, convex: &MockConvex, lifecycle: &Lifecycle) -> std::net::SocketAddr {
    let address = ingress(nats, lifecycle).await;
    let url = convex.url();
    let with_convex = || env(nats, &[("CONVEX_SITE_URL", &url)]);
    let fetcher = gavel_fetcher::bind(gavel_fetcher::Config::read(&mut with_convex())).await.unwrap();
    let mut slots = env(nats, &[("JUDGE_SLOTS", "16")]);
    let judge = gavel_judge::bind(gavel_judge::Config::read(&mut slots), InstantEngine).await.unwrap();
    let reporter = gavel_reporter::bind(gavel_reporter::Config::read(&mut with_convex())).await.unwrap();
    tokio::spawn(fetcher.run(lifecycle.clone()));
    tokio::spawn(judge.run(lifecycle.clone()));
    tokio::spawn(reporter.run(lifecycle.clone()));
    address
}

/// Submits at a steady rate, however fast the pipeline is, and measures the time from each request to its result.
async fn pace(address: std::net::SocketAddr, convex: &MockConvex) -> Sample {
    const CONNECTIONS: u32 = 32;
    let began = Instant::now();
    let before = convex.final_count();
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|lane| {
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await;
                // Connections start one after the other: in step they would send a burst and then nothing.
                let start = tokio::time::Instant::now() + Duration::from_secs(1) * lane / RATE;
                let mut ticks = tokio::time::interval_at(start, Duration::from_secs(1) * CONNECTIONS / RATE);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
                let mut sent = Vec::new();
                for n in 0..RATE * RATE_SECONDS / CONNECTIONS {
                    // Measured from the time it was due: a slow pipeline must not slow its own load.
                    let due = ticks.tick().await.into_std();
                    let n = (n * CONNECTIONS + lane) as usize;
                    connection.post(&body("p", n)).await;
                    sent.push((format!("p{n}"), due));
                }
                sent
            })
        })
        .collect();
    let mut sent = HashMap::new();
    for sender in senders {
        sent.extend(sender.await.unwrap());
    }
    convex.wait_final_count(before + sent.len() as u64, RUN_TIMEOUT).await.unwrap();
    let took = began.elapsed();
    let results = convex.calls().into_iter().filter(|call| call.endpoint == Endpoint::RESULT);
    let times = results.filter_map(|call| {
        let due = sent.get(call.id.as_ref()?.as_str())?;
        Some(call.received_at.saturating_duration_since(*due))
    });
    Sample::new(times.collect(), took)
}
