//! Points in time as the wire has them: milliseconds since the Unix epoch.

use std::time::{Duration, SystemTime};

/// Milliseconds since the Unix epoch; 0 for a time before it.
#[must_use]
pub fn epoch_ms(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// The time that is `ms` milliseconds after the Unix epoch; `None` if no clock can show it.
#[must_use]
pub fn from_epoch_ms(ms: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_survive_the_round_trip() {
        let ms = 1_700_000_000_123;
        assert_eq!(from_epoch_ms(ms).map(epoch_ms), Some(ms));
        assert_eq!(epoch_ms(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), 0);
    }
}
