//! Durations, counted in ranges, so that quantiles need little memory whatever the rate.

/// Each range ends at this multiple of the end of the previous one, so that a quantile is at most 2.5 % off.
const FACTOR: f64 = 1.05;
/// The last range begins at about an hour.
const RANGES: usize = 310;

/// Durations in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    /// Empty until the first duration is counted.
    counts: Vec<u32>,
    total: u64,
}

impl Histogram {
    pub(crate) fn add(&mut self, ms: u64) {
        self.counts.resize(RANGES, 0);
        self.counts[range(ms)] += 1;
        self.total += 1;
    }

    /// Returns a quantile in milliseconds; `None` if nothing was counted.
    pub(crate) fn quantile(&self, percent: u64) -> Option<u64> {
        let rank = (self.total * percent).div_ceil(100).max(1);
        let mut counted = 0;
        let found = self.counts.iter().position(|&count| {
            counted += u64::from(count);
            counted >= rank
        });
        found.map(middle)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number is from 0 to RANGES")]
fn range(ms: u64) -> usize {
    let ms = f64::from(u32::try_from(ms).unwrap_or(u32::MAX));
    ((ms + 1.0).ln() / FACTOR.ln()).min(309.0) as usize
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "at most about an hour in milliseconds"
)]
fn middle(range: usize) -> u64 {
    (FACTOR.powf(range as f64 + 0.5) - 1.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near_the_exact_ones() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(50), None);
        for ms in 1..=1_000 {
            histogram.add(ms);
        }
        let (p50, p95) = (histogram.quantile(50).unwrap(), histogram.quantile(95).unwrap());
        assert!((485..=515).contains(&p50) && (925..=975).contains(&p95), "{p50} {p95}");
    }

    #[test]
    fn extremes_are_counted() {
        let mut histogram = Histogram::default();
        histogram.add(0);
        assert_eq!(histogram.quantile(50), Some(0));
        histogram.add(u64::MAX);
        assert!(histogram.quantile(100).unwrap() > 3_600_000);
    }
}
