//! One process of the line, with its wires to NATS and what was done to it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use gavel_testkit::process::built_binary;
use gavel_testkit::{NatsServer, Process, Proxy};
use tokio::sync::watch;

use crate::journal::Journal;
use crate::plan::{Role, Target};
use crate::programs;

/// Longer than a start or an end takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Times short enough for a run, long enough for a loaded machine: a call of running is alive for 2 s and a margin of
/// 1 s, and Convex may apply it 6 s later. The plan freezes no reporter, and delays no call, for longer than that
/// together, unless it means to.
const SETTINGS: [(&str, &str); 9] = [
    ("PORT", "0"),
    ("LOG_FORMAT", "json"),
    ("ACK_WAIT_MS", "2000"),
    ("SHUTDOWN_GRACE_MS", "3000"),
    ("REQUEST_TIMEOUT_MS", "3000"),
    ("RUNNING_TIMEOUT_MS", "2000"),
    ("RUNNING_LINGER_MS", "6000"),
    ("JUDGE_SLOTS", "1"),
    // Signed calls bear an id that says which generation they are of.
    ("CONVEX_SIGNING_SECRETS", "whsec_bm90IGEgc2VjcmV0LCBidXQgbG9uZyBlbm91Z2g="),
];

/// A service.
#[derive(Debug)]
pub(crate) struct Service {
    /// Which one.
    pub(crate) target: Target,
    pub(crate) process: Process,
    wires: Vec<Proxy>,
    address: watch::Sender<String>,
    frozen: Mutex<Vec<(SystemTime, SystemTime)>>,
    journal: Journal,
}

impl Service {
    /// Starts it, with a wire of its own to each server.
    pub(crate) async fn start(
        target: Target,
        servers: &[NatsServer],
        convex: &str,
        journal: &Journal,
    ) -> Result<Self> {
        let mut wires = Vec::new();
        for server in servers {
            wires.push(Proxy::try_start(server).await?);
        }
        let urls: Vec<String> = wires.iter().map(Proxy::url).collect();
        let process = Process::builder(built_binary(&format!("gavel-{}", target.role.name()))?)
            .name(target.to_string())
            .envs(SETTINGS)
            .env("NATS_URL", urls.join(","))
            .env("NATS_REPLICAS", servers.len().to_string())
            .env("CONVEX_SITE_URL", convex)
            .env("INSTANCE", target.to_string())
            .env("JUDGE_MAX_DELIVERIES", programs::MAX_DELIVERIES.to_string())
            .start()?;
        let address = watch::Sender::new(String::new());
        let (frozen, journal) = (Mutex::default(), journal.clone());
        let service = Self { target, process, wires, address, frozen, journal };
        service.wait_listening(gavel_testkit::Mark::default()).await?;
        Ok(service)
    }

    /// Where it listens; it changes when it is started again.
    pub(crate) fn address(&self) -> watch::Receiver<String> {
        self.address.subscribe()
    }

    async fn wait_listening(&self, mark: gavel_testkit::Mark) -> Result<()> {
        let says_so = |line: &gavel_testkit::LogLine| line.contains("\"listening\"");
        let line = self.process.wait_log_after(mark, "its address", PATIENCE, says_so).await?;
        let address = line.field("/address").context("the line has no address")?;
        self.address.send_replace(address.as_str().unwrap_or_default().to_owned());
        Ok(())
    }

    /// Starts it again.
    pub(crate) async fn restart(&self) -> Result<()> {
        let mark = self.process.mark();
        self.process.restart().await?;
        self.wait_listening(mark).await
    }

    /// Notes it where it has ended without having been told to.
    pub(crate) fn check_alive(&self) {
        if let Some(status) = self.process.exit_status() {
            self.journal.wrong(format_args!("{} ended by itself with {status}", self.target));
        }
    }

    /// SIGKILL.
    pub(crate) async fn kill(&self) -> Result<()> {
        self.check_alive();
        self.process.kill().await?;
        Ok(())
    }

    /// SIGTERM, and waits for its end, which must be a clean one.
    pub(crate) async fn terminate(&self) -> Result<()> {
        self.check_alive();
        self.process.terminate()?;
        match self.process.wait_exit(PATIENCE).await {
            Ok(status) if status.success() => {}
            Ok(status) => self.journal.wrong(format_args!("{} ended on SIGTERM with {status}", self.target)),
            Err(error) => {
                self.journal.wrong(format_args!("{} does not end on SIGTERM: {error}", self.target));
            }
        }
        Ok(())
    }

    /// SIGSTOP for a while.
    pub(crate) async fn freeze(&self, lasts: Duration) -> Result<()> {
        self.check_alive();
        let from = SystemTime::now();
        self.process.freeze()?;
        tokio::time::sleep(lasts).await;
        self.process.thaw()?;
        self.frozen.lock().unwrap_or_else(PoisonError::into_inner).push((from, SystemTime::now()));
        Ok(())
    }

    /// Whether it was frozen at some time between these two.
    pub(crate) fn was_frozen_between(&self, from: SystemTime, to: SystemTime) -> bool {
        let frozen = self.frozen.lock().unwrap_or_else(PoisonError::into_inner);
        frozen.iter().any(|(began, ended)| *began <= to && *ended >= from)
    }

    /// Resets its connections to NATS.
    pub(crate) fn cut(&self) {
        self.wires.iter().for_each(Proxy::cut);
    }

    /// Lets nothing pass between it and NATS, or everything again.
    pub(crate) fn silence(&self, silent: bool) {
        self.wires.iter().for_each(|wire| wire.silence(silent));
    }

    /// Whether `/readyz` says so.
    pub(crate) async fn is_ready(&self, http: &reqwest::Client) -> bool {
        let url = format!("http://{}/readyz", *self.address.borrow());
        http.get(url).send().await.is_ok_and(|answer| answer.status() == 200)
    }

    /// Has it end in peace; whatever does not is killed when it is dropped.
    pub(crate) async fn stop(&self) {
        // Fails only where it is gone.
        let _ = self.process.thaw();
        let _ = self.process.terminate();
        let _ = self.process.wait_exit(Duration::from_secs(15)).await;
    }
}

/// The time of the wall clock at a moment of the monotonic one.
pub(crate) fn wall(at: Instant) -> SystemTime {
    let now = (Instant::now(), SystemTime::now());
    now.1 - now.0.saturating_duration_since(at)
}

impl Target {
    /// Whether it is one of ours and not a server.
    pub(crate) fn is_service(self) -> bool {
        self.role != Role::Nats
    }
}
