//! Times and durations, as users type them and as commands print them.

use std::time::{Duration, SystemTime};

use gavel_inspect::Since;

/// The longest duration that options accept.
const MAX_DURATION: Duration = Duration::from_hours(24 * 365);

/// Parses a duration such as `10m`, `5s` or `200ms`.
///
/// # Errors
/// Returns what was expected, for people.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).ok().filter(|duration| *duration <= MAX_DURATION);
    duration.ok_or_else(|| "expected a duration such as 200ms, 5s, 10m or 2h".to_owned())
}

/// Formats a duration with about three digits: `812ms`, `1.50s`, `2m05s`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..10_000 => format!("{:.2}s", duration.as_secs_f64()),
        10_000..60_000 => format!("{:.1}s", duration.as_secs_f64()),
        60_000..3_600_000 => format!("{}m{:02}s", ms / 60_000, ms / 1_000 % 60),
        3_600_000..86_400_000 => format!("{}h{:02}m", ms / 3_600_000, ms / 60_000 % 60),
        _ => format!("{}d{:02}h", ms / 86_400_000, ms / 3_600_000 % 24),
    }
}

/// Formats milliseconds like [`format_duration`].
#[must_use]
pub fn format_millis(ms: u64) -> String {
    format_duration(Duration::from_millis(ms))
}

/// Returns a duration in whole milliseconds.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Formats a time in UTC, to the millisecond: `2026-01-31T12:00:00.000Z`.
#[must_use]
pub fn format_time(at: SystemTime) -> String {
    // RFC 3339 ends with the year 9999. Only a forged message can name a later one.
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_millis(at.min(end)).to_string()
}

/// Parses a time in the past, given as an age (`90s`, `1h`, `2days`) or in UTC (`2026-01-31T12:00:00Z`).
///
/// # Errors
/// Returns what was expected, for people.
pub fn parse_since(text: &str) -> Result<Since, String> {
    if let Ok(time) = humantime::parse_rfc3339_weak(text) {
        return Ok(Since::Time(time));
    }
    let age = humantime::parse_duration(text).map_err(
        |_| "expected an age such as 90s, 1h or 2days, or a UTC time such as 2026-01-31T12:00:00Z",
    )?;
    match SystemTime::now().checked_sub(age) {
        Some(_) => Ok(Since::Age(age)),
        None => Err("the time is too long ago".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_and_formatted() {
        for (text, ms) in [("200ms", 200), ("5s", 5_000), ("1m 30s", 90_000), ("2h", 7_200_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for wrong in ["", "s", "-1s", "soon", "5", "99999d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        let shown = [12, 1_234, 61_000, 3_700_000, 90_000_000].map(format_millis);
        assert_eq!(shown, ["12ms", "1.23s", "1m01s", "1h01m", "1d01h"]);
    }

    #[test]
    fn since_is_an_age_or_a_time() {
        for (text, seconds) in [("90s", 90), ("1h", 3_600), ("2days", 172_800)] {
            assert_eq!(parse_since(text), Ok(Since::Age(Duration::from_secs(seconds))), "{text}");
        }
        let date = parse_since("2026-01-31T12:00:00Z").unwrap().time(SystemTime::now());
        assert_eq!(format_time(date), "2026-01-31T12:00:00.000Z");
        for bad in ["", "yesterday", "-1h", "1", "99999999999999999999days"] {
            assert!(parse_since(bad).is_err(), "{bad}");
        }
    }
}
