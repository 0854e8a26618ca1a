//! A service of the pipeline, with its proxies to NATS and the faults on it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use gavel_testkit::{NatsServer, Process, Proxy};
use tokio::sync::watch;

use crate::plan::{CallbackOrder, Release, Role, Target};
use crate::programs;
use crate::releases::Releases;
use crate::run_log::RunLog;

/// How long a service may take to start or to stop on a busy machine.
const START_STOP_TIMEOUT: Duration = Duration::from_mins(1);

/// The settings of all services. Their times are short enough for a run and long enough for a loaded machine: a
/// `running` call is alive for 2 s and a margin of 1 s, and Convex may apply it up to 6 s later. Except for long
/// freezes on purpose, the plan freezes no reporter and delays no call for longer than that together.
const SETTINGS: [(&str, &str); 9] = [
    ("PORT", "0"),
    ("LOG_FORMAT", "json"),
    ("ACK_WAIT_MS", "2000"),
    ("SHUTDOWN_GRACE_MS", "3000"),
    ("REQUEST_TIMEOUT_MS", "3000"),
    ("RUNNING_TIMEOUT_MS", "2000"),
    ("RUNNING_LINGER_MS", "6000"),
    ("JUDGE_SLOTS", "1"),
    // The id of a signed call contains the generation.
    ("CONVEX_SIGNING_SECRETS", "whsec_bm90IGEgc2VjcmV0LCBidXQgbG9uZyBlbm91Z2g="),
];

/// A service process.
#[derive(Debug)]
pub(crate) struct Service {
    /// Which service it is.
    pub(crate) target: Target,
    pub(crate) process: Process,
    proxies: Vec<Proxy>,
    address: watch::Sender<String>,
    frozen: Mutex<Vec<(SystemTime, SystemTime)>>,
    run_log: RunLog,
}

impl Service {
    /// Starts the service, with its own proxy to each server.
    pub(crate) async fn start(
        target: Target,
        servers: &[NatsServer],
        convex: &str,
        order: CallbackOrder,
        languages: &Path,
        releases: &Releases,
        run_log: &RunLog,
    ) -> Result<Self> {
        let mut proxies = Vec::new();
        for server in servers {
            proxies.push(Proxy::try_start(server).await?);
        }
        let urls: Vec<String> = proxies.iter().map(Proxy::url).collect();
        let process = Process::builder(releases.select(target, releases.first())?)
            .name(target.to_string())
            .envs(SETTINGS)
            .envs(servers[0].login(target.role.name()))
            .env("NATS_URL", urls.join(","))
            .env("CONVEX_SITE_URL", convex)
            .env("CONVEX_ORDER", order.to_string())
            .env("INSTANCE", target.to_string())
            // Judges with an even number lack a language, and hand its submissions on to the others.
            .env("LANGUAGE_VERSIONS", if target.number.is_multiple_of(2) { "at-least" } else { "any" })
            .env("SANDBOX_LANGUAGES", languages.to_str().context("the path is no text")?)
            .env("JUDGE_MAX_DELIVERIES", programs::MAX_DELIVERIES.to_string())
            .start()?;
        let address = watch::Sender::new(String::new());
        let (frozen, run_log) = (Mutex::default(), run_log.clone());
        let service = Self { target, process, proxies, address, frozen, run_log };
        service.wait_listening(gavel_testkit::Mark::default()).await?;
        Ok(service)
    }

    /// Returns the address that it listens on, which changes with each restart.
    pub(crate) fn address(&self) -> watch::Receiver<String> {
        self.address.subscribe()
    }

    async fn wait_listening(&self, mark: gavel_testkit::Mark) -> Result<()> {
        let is_listening = |line: &gavel_testkit::LogLine| line.contains("\"listening\"");
        let line = self.process.wait_log_after(mark, "its address", START_STOP_TIMEOUT, is_listening).await?;
        let address = line.field("/address").context("the log line has no address")?;
        self.address.send_replace(address.as_str().unwrap_or_default().to_owned());
        Ok(())
    }

    /// Kills and starts the service again.
    pub(crate) async fn restart(&self) -> Result<()> {
        let mark = self.process.mark();
        self.process.restart().await?;
        self.wait_listening(mark).await
    }

    /// Stops the service and starts it with the program of this release.
    pub(crate) async fn replace(&self, releases: &Releases, release: Release) -> Result<()> {
        releases.select(self.target, release)?;
        self.terminate().await?;
        self.restart().await?;
        let runs = std::fs::read_link(format!("/proc/{}/exe", self.process.pid()))?;
        let wanted = releases.program(self.target, release)?;
        ensure!(runs == wanted, "{} runs {} instead of {}", self.target, runs.display(), wanted.display());
        Ok(())
    }

    /// Records a violation if the service has exited although it was not stopped.
    pub(crate) fn check_alive(&self) {
        if let Some(status) = self.process.exit_status() {
            self.run_log.violation(format_args!("{} exited unexpectedly with {status}", self.target));
        }
    }

    /// Sends SIGKILL.
    pub(crate) async fn kill(&self) -> Result<()> {
        self.check_alive();
        self.process.kill().await?;
        Ok(())
    }

    /// Sends SIGTERM and waits for the exit, which must be successful.
    pub(crate) async fn terminate(&self) -> Result<()> {
        self.check_alive();
        self.process.terminate()?;
        match self.process.wait_exit(START_STOP_TIMEOUT).await {
            Ok(status) if status.success() => {}
            Ok(status) => {
                self.run_log.violation(format_args!("{} exited on SIGTERM with {status}", self.target));
            }
            Err(error) => {
                self.run_log.violation(format_args!("{} does not exit on SIGTERM: {error}", self.target));
            }
        }
        Ok(())
    }

    /// Suspends the service with SIGSTOP for this long.
    pub(crate) async fn freeze(&self, lasts: Duration) -> Result<()> {
        self.check_alive();
        let from = SystemTime::now();
        self.process.freeze()?;
        tokio::time::sleep(lasts).await;
        self.process.thaw()?;
        self.frozen.lock().unwrap_or_else(PoisonError::into_inner).push((from, SystemTime::now()));
        Ok(())
    }

    /// Whether the service was frozen at any time between these two.
    pub(crate) fn was_frozen_between(&self, from: SystemTime, to: SystemTime) -> bool {
        let frozen = self.frozen.lock().unwrap_or_else(PoisonError::into_inner);
        frozen.iter().any(|(began, ended)| *began <= to && *ended >= from)
    }

    /// Resets the connections to NATS.
    pub(crate) fn disconnect(&self) {
        self.proxies.iter().for_each(Proxy::cut);
    }

    /// Starts or ends a network partition between the service and NATS.
    pub(crate) fn partition(&self, is_partitioned: bool) {
        self.proxies.iter().for_each(|proxy| proxy.silence(is_partitioned));
    }

    /// Whether `/readyz` answers 200.
    pub(crate) async fn is_ready(&self, http: &reqwest::Client) -> bool {
        let url = format!("http://{}/readyz", *self.address.borrow());
        http.get(url).send().await.is_ok_and(|answer| answer.status() == 200)
    }

    /// Stops the service gracefully. If it does not exit in time, it is killed on drop.
    pub(crate) async fn stop(&self) {
        // These fail only if the process has exited.
        let _ = self.process.thaw();
        let _ = self.process.terminate();
        let _ = self.process.wait_exit(Duration::from_secs(15)).await;
    }
}

/// Converts a time of the monotonic clock to one of the wall clock.
pub(crate) fn wall_time(at: Instant) -> SystemTime {
    let now = (Instant::now(), SystemTime::now());
    now.1 - now.0.saturating_duration_since(at)
}

impl Target {
    /// Whether the process is a service and not a NATS server.
    pub(crate) fn is_service(self) -> bool {
        self.role != Role::Nats
    }
}
