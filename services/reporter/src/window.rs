//! The period in which a `running` call may be alive on this side (ADR 0002).

use std::time::{Duration, Instant, SystemTime};

/// The time between the end of a call's window and the expiry of its claim, after which other reporters take the
/// call for ended. It covers the delay in cancelling a call, and clocks that differ.
pub(crate) const CLAIM_MARGIN: Duration = Duration::from_secs(1);

/// The window of a `running` call, from its claim to the end of its last attempt. It ends by whichever clock is
/// first: the monotonic clock stops while the machine is suspended, and the wall clock can be set back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallWindow {
    opened: Instant,
    closes_at: SystemTime,
    length: Duration,
}

impl CallWindow {
    /// Opens a window of this length.
    pub(crate) fn open(length: Duration) -> Self {
        Self { opened: Instant::now(), closes_at: SystemTime::now() + length, length }
    }

    /// Returns the time left, or `None` if the window has ended.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        self.time_left_at(self.opened.elapsed(), SystemTime::now())
    }

    /// Returns when the claim expires. From then on other reporters take the call for ended.
    pub(crate) fn claim_expires_at(&self) -> SystemTime {
        self.closes_at + CLAIM_MARGIN
    }

    /// Whether the claim has expired, so that other reporters may have taken the call for ended.
    pub(crate) fn is_claim_expired(&self) -> bool {
        self.opened.elapsed() >= self.length + CLAIM_MARGIN || SystemTime::now() >= self.claim_expires_at()
    }

    fn time_left_at(&self, elapsed: Duration, now: SystemTime) -> Option<Duration> {
        let by_monotonic_clock = self.length.checked_sub(elapsed)?;
        let by_wall_clock = self.closes_at.duration_since(now).ok()?;
        Some(by_monotonic_clock.min(by_wall_clock)).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_ends_by_whichever_clock_is_first() {
        let second = Duration::from_secs(1);
        let window = CallWindow::open(second * 5);
        let opened_at = window.closes_at - second * 5;
        assert_eq!(window.time_left_at(second, opened_at + second * 2), Some(second * 3));
        assert_eq!(window.time_left_at(second * 2, opened_at - second * 3_600), Some(second * 3));
        assert_eq!(window.time_left_at(Duration::ZERO, opened_at + second * 3_600), None);
        assert_eq!(window.time_left_at(second * 5, opened_at), None);
        assert!(!window.is_claim_expired());
    }
}
