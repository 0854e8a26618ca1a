//! Notifications to systemd, or to another service manager with its protocol (`sd_notify(3)`): started, status, stopping,
//! and the signs of life for its watchdog.
//!
//! Libraries for this block the calling thread while the queue of the service manager is full. This waits instead.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use gavel_domain::text::is_unprintable;
use tokio::net::UnixDatagram;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::health::{Check, problems};

/// The pause between two checks of the status.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);
/// The longest status, in characters: systemd ignores what exceeds 4,096 bytes.
const MAX_STATUS_CHARS: usize = 500;
/// The time for the rest of a shutdown, when the work in progress has finished or was aborted.
const EXIT_TIMEOUT: Duration = Duration::from_secs(15);

/// The service manager that started this process and wants notifications.
#[derive(Clone, Debug)]
pub(crate) struct ServiceManager {
    socket: PathBuf,
    watchdog_timeout: Option<Duration>,
}

impl ServiceManager {
    /// Returns `None` if `NOTIFY_SOCKET` is not set. The watchdog's timeout is in `WATCHDOG_USEC`, which counts for the
    /// process `WATCHDOG_PID`.
    pub(crate) fn from_env() -> Option<Self> {
        let socket = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty())?.into();
        let (timeout, pid) = (std::env::var("WATCHDOG_USEC").ok(), std::env::var("WATCHDOG_PID").ok());
        let watchdog_timeout = timeout
            .filter(|_| pid.is_none_or(|pid| pid.parse() == Ok(std::process::id())))
            .and_then(|micros| micros.parse().ok())
            .filter(|micros| *micros > 0)
            .map(Duration::from_micros);
        Some(Self { socket, watchdog_timeout })
    }

    /// Reports that the service has started, then its status whenever that changes, then that it stops. `grace` is how
    /// long work in progress may take after `stop`. Never returns: the caller drops this when the service has stopped.
    ///
    /// NATS and Convex may be unreachable when a service has started: its status contains that, as `/readyz` does. If
    /// systemd waited for them, it would give up and start the service again and again.
    pub(crate) async fn report(
        &self,
        checks: Vec<Check>,
        stop: CancellationToken,
        grace: Duration,
    ) -> Infallible {
        self.notify("READY=1").await;
        stop.run_until_cancelled(self.report_status(&checks)).await;
        // systemd waits that long, whatever the unit's TimeoutStopSec.
        let timeout = (grace + EXIT_TIMEOUT).as_micros();
        let status = "stopping: finishing the work in progress";
        self.notify(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={timeout}\nSTATUS={status}")).await;
        std::future::pending().await
    }

    /// Restarts the watchdog's timer twice in its timeout, if there is one (`WatchdogSec` in the unit). As a separate
    /// task, it needs what all work of the service needs: timers that fire, and free threads for tasks and blocking calls.
    pub(crate) async fn ping_watchdog(self) {
        let Some(timeout) = self.watchdog_timeout else { return };
        let mut ticks = interval((timeout / 2).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if tokio::task::spawn_blocking(|| ()).await.is_ok() {
                self.notify("WATCHDOG=1").await;
            }
        }
    }

    async fn report_status(&self, checks: &[Check]) {
        let mut reported = String::new();
        loop {
            let status = status(&problems(checks).await);
            if status != reported {
                self.notify(&format!("STATUS={status}")).await;
                reported = status;
            }
            sleep(STATUS_INTERVAL).await;
        }
    }

    async fn notify(&self, message: &str) {
        if let Err(error) = self.send(message).await {
            debug!(%error, "cannot notify the service manager");
        }
    }

    async fn send(&self, message: &str) -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(&self.socket)?;
        socket.send(message.as_bytes()).await.map(drop)
    }
}

/// The status as one line. A problem can contain text from outside, and a line break would begin another notification.
fn status(problems: &[String]) -> String {
    if problems.is_empty() {
        return "ready".to_owned();
    }
    let text = format!("not ready: {}", problems.join("; "));
    text.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).take(MAX_STATUS_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_one_line_of_limited_length() {
        assert_eq!(status(&[]), "ready");
        let problems = ["Convex answers 503\nMAINPID=1".to_owned(), "not connected to NATS".to_owned()];
        assert_eq!(status(&problems), "not ready: Convex answers 503 MAINPID=1; not connected to NATS");
        assert_eq!(status(&["é".repeat(1000)]).chars().count(), MAX_STATUS_CHARS);
    }
}
