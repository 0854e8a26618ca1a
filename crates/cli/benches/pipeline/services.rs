//! The services of a bench: in this process, or as separate processes.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use async_trait::async_trait;
use gavel_config::Env;
use gavel_domain::engine::{EngineFault, Job, Observer, Progress};
use gavel_domain::{Execution, LanguageId, Outcome, Usage};
use gavel_judge::Engine;
use gavel_mock_convex::{MockConvex, Question, SubmissionKind};
use gavel_runtime::Lifecycle;
use gavel_testkit::process::{self, Builder};
use gavel_testkit::{NatsServer, Process, ServiceProcess};

/// Set in the environment of a judge that this executable is to be: how long its engine waits, in milliseconds.
const JUDGE: &str = "BENCH_JUDGE_WAIT_MS";

/// The level that logs nothing per submission, but the address of a service.
pub(crate) const QUIET: &str = "warn,gavel_runtime::service=info";

/// An engine that returns the expected outputs after a wait.
pub(crate) struct WaitingEngine(pub(crate) Duration);

#[async_trait]
impl Engine for WaitingEngine {
    async fn execute(&self, job: &Job<'_>, observer: &mut Observer<'_>) -> Result<Progress, EngineFault> {
        if !self.0.is_zero() {
            tokio::time::sleep(self.0).await;
        }
        for test in &job.question.tests {
            let stdout = test.expected_stdout.clone().into_bytes();
            let outcome = Outcome::Exited { code: 0 };
            let (stderr, usage) = (Vec::new(), Usage::default());
            if observer(Execution { outcome, matched_bytes: 0, stdout, stderr, usage }).is_break() {
                break;
            }
        }
        Ok(Progress::Ran)
    }

    fn serves(&self, _: LanguageId) -> bool {
        true
    }
}

/// Mock Convex with the question of [`super::load::body`].
pub(crate) async fn convex() -> MockConvex {
    let question = Question::build(SubmissionKind::Standard, "q").public("1", "1").hidden("2", "2").done();
    MockConvex::start_local(vec![question]).await.unwrap()
}

/// The environment of a service in this process.
pub(crate) fn env(nats: &NatsServer, more: &[(&str, &str)]) -> Env {
    let mut pairs = vec![("PORT".to_owned(), "0".to_owned()), ("NATS_URL".to_owned(), nats.url())];
    pairs.extend(more.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
    Env::from_vars(pairs)
}

/// Starts an ingress in this process and waits until it accepts submissions.
pub(crate) async fn ingress(nats: &NatsServer, lifecycle: &Lifecycle) -> SocketAddr {
    let app = gavel_ingress::bind(gavel_ingress::Config::read(&mut env(nats, &[]))).await.unwrap();
    let address = app.address().unwrap();
    tokio::spawn(app.run(lifecycle.clone()));
    let (ready, http) = (format!("http://{address}/readyz"), gavel_http::client().build().unwrap());
    let is_ready = async || http.get(&ready).send().await.is_ok_and(|answer| answer.status() == 200);
    gavel_testkit::wait_until("a ready ingress", Duration::from_secs(20), is_ready).await.unwrap();
    address
}

/// Starts fetcher and reporter in this process.
pub(crate) async fn callers(nats: &NatsServer, convex: &MockConvex, lifecycle: &Lifecycle) {
    let url = convex.url();
    let with_convex = || env(nats, &[("CONVEX_SITE_URL", &url)]);
    let fetcher = gavel_fetcher::bind(gavel_fetcher::Config::read(&mut with_convex())).await.unwrap();
    let reporter = gavel_reporter::bind(gavel_reporter::Config::read(&mut with_convex())).await.unwrap();
    tokio::spawn(fetcher.run(lifecycle.clone()));
    tokio::spawn(reporter.run(lifecycle.clone()));
}

/// Starts a judge in this process whose engine answers at once.
pub(crate) async fn judge(nats: &NatsServer, lifecycle: &Lifecycle) {
    let config = gavel_judge::Config::read(&mut env(nats, &[("JUDGE_SLOTS", "16")]));
    let judge = gavel_judge::bind(config, WaitingEngine(Duration::ZERO)).await.unwrap();
    tokio::spawn(judge.run(lifecycle.clone()));
}

/// A service as a separate process: the real program. `scripts/bench` builds it.
pub(crate) async fn service(
    name: &str,
    nats: &NatsServer,
    convex: &MockConvex,
    more: &[(&str, &str)],
) -> ServiceProcess {
    start(
        process::Process::builder(process::built_binary(&format!("gavel-{name}")).unwrap()),
        nats,
        convex,
        more,
    )
    .await
}

/// A judge as a separate process, whose engine waits.
pub(crate) async fn waiting_judge(
    wait: Duration,
    slots: u32,
    nats: &NatsServer,
    convex: &MockConvex,
) -> ServiceProcess {
    let program = std::env::current_exe().unwrap();
    let (wait, slots) = (wait.as_millis().to_string(), slots.to_string());
    start(Process::builder(program), nats, convex, &[(JUDGE, &wait), ("JUDGE_SLOTS", &slots)]).await
}

async fn start(
    program: Builder,
    nats: &NatsServer,
    convex: &MockConvex,
    more: &[(&str, &str)],
) -> ServiceProcess {
    let builder = program.env("PORT", "0").env("NATS_URL", nats.url()).env("CONVEX_SITE_URL", convex.url());
    let builder = builder.env("LOG_FORMAT", "json").env("LOG_LEVEL", QUIET).envs(more.iter().copied());
    let service = ServiceProcess::start(builder).await;
    service.wait_ready().await;
    service
}

/// Runs a judge with an engine that waits, if this process was started as one.
pub(crate) fn run_judge_if_asked() -> Option<ExitCode> {
    let wait = Duration::from_millis(std::env::var(JUDGE).ok()?.parse().ok()?);
    Some(gavel_runtime::run_service(
        "gavel-judge",
        "Waits instead of running programs.",
        gavel_judge::Config::read,
        |config| &config.service,
        async |config| gavel_judge::bind(config, WaitingEngine(wait)).await,
    ))
}
