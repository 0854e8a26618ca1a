//! Waits that fail, saying what they saw instead, and the one that polls.

use std::{process::ExitStatus, time::Duration};

use tokio::time::Instant;

/// The longest pause between two looks of [`wait_until`].
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// What was waited for did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// Not in time.
    #[error("waited {after:?} for {what}{seen}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        after: Duration,
        /// The end of the log, where there is one.
        seen: String,
    },
    /// Never, since the process has ended.
    #[error("waited for {what}, but the process ended with {status}{seen}")]
    Exited {
        /// What was waited for.
        what: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of the log.
        seen: String,
    },
}

/// Looks again and again until `check` is true, first often, then ten times a second.
///
/// Only for a state that nobody signals, such as a consumer's counters in a server. Where something can tell
/// (a log line, a process's end, a message, the stand-in's waits), wait for that: it is faster and says more.
///
/// # Errors
/// [`WaitError::TimedOut`] after `timeout`. A check that runs then is dropped.
pub async fn wait_until(
    what: &str,
    timeout: Duration,
    mut check: impl AsyncFnMut() -> bool,
) -> Result<(), WaitError> {
    let deadline = Instant::now() + timeout;
    let looking = async {
        let mut pause = Duration::from_millis(1);
        while !check().await {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    };
    let found = tokio::time::timeout_at(deadline, looking).await;
    found.map_err(|_| WaitError::TimedOut { what: what.to_owned(), after: timeout, seen: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_looks_until_it_is_true_or_the_time_is_over() {
        let mut looks = 0;
        let check = async || {
            looks += 1;
            looks == 5
        };
        wait_until("the fifth look", Duration::from_secs(1), check).await.unwrap();
        assert_eq!(looks, 5);
        let error = wait_until("never", Duration::from_secs(1), async || false).await.unwrap_err();
        assert_eq!(error.to_string(), "waited 1s for never");
    }
}
