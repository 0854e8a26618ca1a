//! Times as people write them (`10m`, `5s`, `200ms`) and as they read them.

use std::time::Duration;

/// The longest time that is taken.
const MOST: Duration = Duration::from_hours(24 * 365);

/// Reads a number and its unit.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).ok().filter(|span| *span <= MOST);
    span.ok_or_else(|| format!("{text:?} is not a time such as 200ms, 5s, 10m or 2h"))
}

/// Writes a time in three digits or so.
pub(crate) fn show(span: Duration) -> String {
    let ms = span.as_millis();
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..10_000 => format!("{:.2}s", span.as_secs_f64()),
        10_000..60_000 => format!("{:.1}s", span.as_secs_f64()),
        60_000..3_600_000 => format!("{}m{:02}s", ms / 60_000, ms / 1_000 % 60),
        3_600_000..86_400_000 => format!("{}h{:02}m", ms / 3_600_000, ms / 60_000 % 60),
        _ => format!("{}d{:02}h", ms / 86_400_000, ms / 3_600_000 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, ms) in [("200ms", 200), ("5s", 5_000), ("1m 30s", 90_000), ("2h", 7_200_000)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for wrong in ["", "s", "-1s", "soon", "5", "99999d"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let shown = [12, 1_234, 61_000, 3_700_000, 90_000_000].map(|ms| show(Duration::from_millis(ms)));
        assert_eq!(shown, ["12ms", "1.23s", "1m01s", "1h01m", "1d01h"]);
    }
}
