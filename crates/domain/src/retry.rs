//! Retry delays: exponential backoff with full jitter.

use std::time::Duration;

/// A retry schedule. The caller provides the random number, so that the schedule stays pure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The upper bound of the first delay. It doubles with each attempt.
    pub base: Duration,
    /// The maximum delay.
    pub cap: Duration,
}

impl Backoff {
    /// The minimum delay, so that redeliveries do not spin.
    const MIN_DELAY: Duration = Duration::from_millis(20);

    /// Returns the delay after attempt number `attempt` (from 1) failed. `unit` is a random number from 0 to 1.
    ///
    /// "Full jitter" spreads delays from 0 to the upper bound, so that what failed together is not retried together.
    #[must_use]
    pub fn delay(self, attempt: u64, unit: f64) -> Duration {
        let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(30);
        let upper_bound = self.base.saturating_mul(1 << doublings).min(self.cap);
        upper_bound.mul_f64(unit.clamp(0.0, 1.0)).max(Self::MIN_DELAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_mins(1) };

    #[test]
    fn upper_bound_doubles_up_to_the_cap() {
        let upper_bounds: Vec<_> = (1..=8).map(|n| BACKOFF.delay(n, 1.0).as_secs()).collect();
        assert_eq!(upper_bounds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(BACKOFF.delay(u64::MAX, 1.0).as_secs(), 60);
    }

    #[test]
    fn jitter_is_full_and_delay_is_never_zero() {
        assert_eq!(BACKOFF.delay(3, 0.5), Duration::from_secs(2));
        assert_eq!(BACKOFF.delay(3, 0.0), Duration::from_millis(20));
        assert_eq!(BACKOFF.delay(0, f64::NAN.max(0.0)), Duration::from_millis(20));
    }
}
