//! When to try again: exponential backoff with full jitter.

use std::time::Duration;

/// A schedule of retries. The random number is the caller's, so that the schedule stays pure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The ceiling of the first delay; it doubles from try to try.
    pub base: Duration,
    /// The ceiling that no delay exceeds.
    pub cap: Duration,
}

impl Backoff {
    /// The shortest delay: a redelivery at once would spin.
    const FLOOR: Duration = Duration::from_millis(20);

    /// The delay after the `attempt`th try (from 1) has failed; `unit` is a random number from 0 to 1.
    ///
    /// "Full jitter" spreads delays over the whole of 0 to the ceiling, so that what failed together does not
    /// come back together.
    #[must_use]
    pub fn delay(self, attempt: u64, unit: f64) -> Duration {
        let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(30);
        let ceiling = self.base.saturating_mul(1 << doublings).min(self.cap);
        ceiling.mul_f64(unit.clamp(0.0, 1.0)).max(Self::FLOOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_mins(1) };

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let ceilings: Vec<_> = (1..=8).map(|n| BACKOFF.delay(n, 1.0).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(BACKOFF.delay(u64::MAX, 1.0).as_secs(), 60);
    }

    #[test]
    fn jitter_is_full_and_never_nothing() {
        assert_eq!(BACKOFF.delay(3, 0.5), Duration::from_secs(2));
        assert_eq!(BACKOFF.delay(3, 0.0), Duration::from_millis(20));
        assert_eq!(BACKOFF.delay(0, f64::NAN.max(0.0)), Duration::from_millis(20));
    }
}
