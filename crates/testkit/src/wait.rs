//! Waiting with a timeout, and the one function that polls.

use std::{process::ExitStatus, time::Duration};

use tokio::time::Instant;

/// The longest pause between two checks of [`wait_until`].
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The event that a test waited for did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// It did not happen in time.
    #[error("waited {after:?} for {what}{seen}")]
    TimedOut {
        /// The event.
        what: String,
        /// The timeout.
        after: Duration,
        /// The last lines of the log, if there is one.
        seen: String,
    },
    /// It cannot happen any more, because the process has exited.
    #[error("waited for {what}, but the process exited with {status}{seen}")]
    Exited {
        /// The event.
        what: String,
        /// The exit status.
        status: ExitStatus,
        /// The last lines of the log.
        seen: String,
    },
}

/// Polls until `check` returns true, first every few milliseconds, later ten times a second.
///
/// Use it only for a state that nothing signals, such as a consumer's counters in a server. If there is a signal (a log
/// line, a process exit, a message, a wait of mock Convex), wait for that: it is faster, and its error says more.
///
/// # Errors
/// Returns [`WaitError::TimedOut`] after `timeout`. A check that is running then is dropped.
pub async fn wait_until(
    what: &str,
    timeout: Duration,
    mut check: impl AsyncFnMut() -> bool,
) -> Result<(), WaitError> {
    let deadline = Instant::now() + timeout;
    let polling = async {
        let mut pause = Duration::from_millis(1);
        while !check().await {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    };
    let found = tokio::time::timeout_at(deadline, polling).await;
    found.map_err(|_| WaitError::TimedOut { what: what.to_owned(), after: timeout, seen: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn wait_until_polls_until_true_or_timeout() {
        let mut checks = 0;
        let check = async || {
            checks += 1;
            checks == 5
        };
        wait_until("the fifth check", Duration::from_secs(1), check).await.unwrap();
        assert_eq!(checks, 5);
        let error = wait_until("never", Duration::from_secs(1), async || false).await.unwrap_err();
        assert_eq!(error.to_string(), "waited 1s for never");
    }
}
