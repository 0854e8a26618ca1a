//! How long a learner waits for a verdict in each language: from the POST to the result callback, for ten tests, cold
//! (a source that was not compiled before) and warm, next to the plain compiler and ten plain runs in the same run.
//!
//! One submission at a time. The four services, NATS, mock Convex and the sandbox are on the same machine, which must be
//! idle: programs in the sandbox have a smaller share of a busy CPU than the plain ones.

#![expect(clippy::unwrap_used, reason = "a bench reports to the terminal only")]

#[path = "../pipeline/load.rs"]
#[expect(dead_code, reason = "bare publishes and load are for the other benches")]
mod load;
mod plain;
#[path = "../pipeline/services.rs"]
#[expect(dead_code, reason = "the waiting engine is for the other benches")]
mod services;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Parser;
use gavel_domain::LanguageId;
use gavel_judge::SandboxEngine;
use gavel_mock_convex::{Endpoint, MockConvex, Question, SubmissionKind};
use gavel_runtime::Lifecycle;
use gavel_sandbox::Languages;
use gavel_testkit::NatsServer;
use load::Connection;
use plain::{Case, PlainTimes, STDIN, STDOUT, TESTS};
use serde_json::json;
use services::{env, ingress};

/// The pause before each submission. Of two that follow each other at once, the second finds slots that do not count as
/// idle yet (ADR 13); what a learner waits for is measured on an idle judge.
const IDLE_TIME: Duration = Duration::from_millis(100);
/// The longest wait for one verdict.
const VERDICT_TIMEOUT: Duration = Duration::from_mins(2);

/// Measures the time to a verdict in each language
#[derive(Parser)]
#[command(name = "scripts/bench languages")]
struct Options {
    /// The languages to measure; default: every installed one
    #[arg(long, value_name = "LANG", num_args = 1..)]
    only: Vec<String>,
    /// The rounds that count; one more precedes them
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Prints a JSON object per language instead of the table
    #[arg(long)]
    json: bool,
    /// Accepted because cargo adds it
    #[arg(long, hide = true)]
    bench: bool,
}

/// The running services.
struct Line {
    address: SocketAddr,
    convex: MockConvex,
    /// How long the sandbox took to start, with the check of its toolchains.
    sandbox_start: Duration,
    /// The submissions so far.
    submitted: usize,
}

/// The times of a language, one of each kind per round.
#[derive(Default)]
struct Times {
    cold: Vec<Duration>,
    warm: Vec<Duration>,
    compile: Vec<Duration>,
    runs: Vec<Duration>,
}

fn main() {
    // This executable is also the init of its own sandbox.
    gavel_sandbox::init::enter_if_asked();
    let options = Options::parse();
    tokio::runtime::Runtime::new().unwrap().block_on(measure(&options));
}

async fn measure(options: &Options) {
    let cases = chosen(&options.only);
    let nats = NatsServer::start().await;
    let lifecycle = Lifecycle::default();
    let mut line = Line::start(&nats, &cases, &lifecycle).await;
    let mut times: Vec<Times> = cases.iter().map(|_| Times::default()).collect();
    for round in 0..=options.rounds {
        for (case, times) in cases.iter().zip(&mut times) {
            let source = case.text(&format!("round {round}"));
            let (cold, warm) = (line.verdict(case, &source).await, line.verdict(case, &source).await);
            let PlainTimes { compile, runs } = case.measure();
            // The first round fills the caches of the kernel.
            if round > 0 {
                times.add(cold, warm, compile, runs);
            }
        }
    }
    if !options.json {
        println!("sandbox start: {:.0} ms", ms(line.sandbox_start));
        println!(
            "{:<16}{:>9}{:>9}{:>9}{:>9}{:>12}{:>7}{:>12}{:>7}",
            "ms, median", "cold", "warm", "compile", "10 runs", "cold/plain", "bar", "warm/runs", "bar"
        );
    }
    for (case, times) in cases.iter().zip(times) {
        times.show(case, options.json);
    }
    lifecycle.stop.cancel();
}

/// The cases with these names, or all of them, whose toolchains are installed.
fn chosen(names: &[String]) -> Vec<Case> {
    let mut cases = plain::cases();
    for name in names {
        assert!(cases.iter().any(|case| case.name == name), "there is no language {name}");
    }
    cases.retain(|case| names.is_empty() || names.iter().any(|name| case.name == name));
    let table = Languages::default();
    let (installed, missing): (Vec<_>, Vec<_>) =
        cases.into_iter().partition(|case| table.has_toolchain(LanguageId(case.id)));
    for case in missing {
        eprintln!("not installed: {}", case.name);
    }
    installed
}

impl Line {
    async fn start(nats: &NatsServer, cases: &[Case], lifecycle: &Lifecycle) -> Self {
        let tests = 0..TESTS;
        let question = Question::build(SubmissionKind::Standard, "sum").time_limit_seconds(10.0);
        let question = tests.fold(question, |question, _| question.hidden(STDIN, STDOUT)).done();
        let convex = MockConvex::start_local(vec![question]).await.unwrap();
        let url = convex.url();
        let with_convex = || env(nats, &[("CONVEX_SITE_URL", &url)]);
        let mut config = gavel_judge::Config::read(&mut env(nats, &[]));
        let ids: Vec<u32> = cases.iter().map(|case| case.id).collect();
        config.languages = config.languages.only(&ids);
        let began = Instant::now();
        let engine = SandboxEngine::start(&config).await.unwrap();
        let sandbox_start = began.elapsed();
        let address = ingress(nats, lifecycle).await;
        let fetcher = gavel_fetcher::bind(gavel_fetcher::Config::read(&mut with_convex())).await.unwrap();
        let judge = gavel_judge::bind(config, engine).await.unwrap();
        let reporter = gavel_reporter::bind(gavel_reporter::Config::read(&mut with_convex())).await.unwrap();
        tokio::spawn(fetcher.run(lifecycle.clone()));
        tokio::spawn(judge.run(lifecycle.clone()));
        tokio::spawn(reporter.run(lifecycle.clone()));
        Self { address, convex, sandbox_start, submitted: 0 }
    }

    /// Submits the source and returns the time from the POST to the result callback.
    async fn verdict(&mut self, case: &Case, source: &str) -> Duration {
        self.submitted += 1;
        let id = format!("s{}", self.submitted);
        let body = json!({
            "questionId": "sum", "submissionId": id, "languageId": case.id, "sourceCode": source,
        });
        let mut connection = Connection::open(self.address).await;
        tokio::time::sleep(IDLE_TIME).await;
        let began = Instant::now();
        connection.post(&body.to_string()).await;
        let ended = self.convex.wait_final(&id, VERDICT_TIMEOUT).await.unwrap();
        assert_eq!(ended.status.as_str(), "passed", "{}: {ended:?}", case.name);
        let calls = self.convex.calls_of(&id);
        let result = calls.iter().find(|call| call.endpoint == Endpoint::RESULT).unwrap();
        result.received_at.duration_since(began)
    }
}

impl Times {
    fn add(&mut self, cold: Duration, warm: Duration, compile: Duration, runs: Duration) {
        self.cold.push(cold);
        self.warm.push(warm);
        self.compile.push(compile);
        self.runs.push(runs);
    }

    /// Prints the medians and the ratios to the baseline.
    fn show(self, case: &Case, is_json: bool) {
        let [cold, warm, compile, runs] = [self.cold, self.warm, self.compile, self.runs].map(median_ms);
        let (cold_ratio, warm_ratio) = (cold / (compile + runs), warm / runs);
        if is_json {
            let line = json!({
                "bench": "languages", "language": case.name, "cold_ms": cold, "warm_ms": warm, "compile_ms": compile,
                "runs_ms": runs, "cold_ratio": cold_ratio, "cold_bar": case.cold_bar, "warm_ratio": warm_ratio,
                "warm_bar": case.warm_bar,
            });
            return println!("{line}");
        }
        let bar = |bar: Option<f64>| bar.map_or(String::new(), |bar| format!("{bar:.2}"));
        println!(
            "{:<16}{cold:>9.0}{warm:>9.0}{compile:>9.0}{runs:>9.0}{cold_ratio:>12.2}{:>7}{warm_ratio:>12.2}{:>7}",
            case.name,
            bar(case.cold_bar),
            bar(case.warm_bar),
        );
    }
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).copied().map_or(0.0, ms)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
