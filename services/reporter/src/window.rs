//! The time in which a `running` call may be alive on our side.

use std::time::{Duration, Instant, SystemTime};

/// Between the end of our last try and the time from which others may rely on it: the pause in which a call is
/// cut off, and clocks that differ.
pub(crate) const MARGIN: Duration = Duration::from_secs(1);

/// A window that opens when it is made. It is over when either clock says so: the monotonic one stands still
/// while the machine is suspended, and the other one can be set back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    opened: Instant,
    closes_at: SystemTime,
    length: Duration,
}

impl Window {
    pub(crate) fn open(length: Duration) -> Self {
        Self { opened: Instant::now(), closes_at: SystemTime::now() + length, length }
    }

    /// How much of it is left; nothing once it is over.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.left_at(self.opened.elapsed(), SystemTime::now())
    }

    /// From when on others take our call for dead.
    pub(crate) fn expires_at(&self) -> SystemTime {
        self.closes_at + MARGIN
    }

    /// Whether others may have taken our call for dead while it was alive.
    pub(crate) fn is_overslept(&self) -> bool {
        self.opened.elapsed() >= self.length + MARGIN || SystemTime::now() >= self.expires_at()
    }

    fn left_at(&self, elapsed: Duration, now: SystemTime) -> Option<Duration> {
        let by_one_clock = self.length.checked_sub(elapsed)?;
        let by_the_other = self.closes_at.duration_since(now).ok()?;
        Some(by_one_clock.min(by_the_other)).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_clock_ends_it() {
        let second = Duration::from_secs(1);
        let window = Window::open(second * 5);
        let opened_at = window.closes_at - second * 5;
        assert_eq!(window.left_at(second, opened_at + second * 2), Some(second * 3));
        assert_eq!(window.left_at(second * 2, opened_at - second * 3_600), Some(second * 3));
        assert_eq!(window.left_at(Duration::ZERO, opened_at + second * 3_600), None);
        assert_eq!(window.left_at(second * 5, opened_at), None);
        assert!(!window.is_overslept());
    }
}
