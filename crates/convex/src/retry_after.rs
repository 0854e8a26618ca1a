//! `Retry-After`: how long Convex, or a proxy in front of it, asks to wait before the next call.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// The longest wait that is granted. A longer one would leave a learner without a verdict long after Convex has
/// recovered: the header may come from a proxy, or have a wrong unit.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_mins(5);

/// Returns the wait that a response asks for, however long; `None` if it asks for none.
pub(crate) fn requested_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // By the clock of the host that wrote the date: the local clock may differ from it by more than the wait.
    let sent_at = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    parse(text(RETRY_AFTER)?, sent_at.unwrap_or_else(SystemTime::now))
}

/// Parses seconds, or a date in any format of HTTP. A date that has passed is no wait.
fn parse(value: &str, sent_at: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only a number that is too large fails here.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    Some(at.duration_since(sent_at).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requested(headers: &[(HeaderName, &str)]) -> Option<u64> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        requested_wait(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_of_any_length_are_parsed() {
        for (value, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            ("9999999999", Some(9_999_999_999)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(requested(&[(RETRY_AFTER, value)]), expected, "{value:?}");
        }
    }

    #[test]
    fn dates_count_from_the_clock_of_the_sender() {
        let sent_at = "Thu, 01 Jan 2099 00:00:00 GMT";
        for (value, expected) in [
            ("Thu, 01 Jan 2099 00:02:00 GMT", 120),
            ("Friday, 01-Jan-99 00:02:00 GMT", 0),
            ("Thu Jan  1 00:02:00 2099", 120),
            ("Wed, 31 Dec 2098 23:00:00 GMT", 0),
        ] {
            assert_eq!(requested(&[(DATE, sent_at), (RETRY_AFTER, value)]), Some(expected), "{value}");
        }
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let wait = requested(&[(RETRY_AFTER, &soon)]).unwrap();
        assert!((90..=100).contains(&wait), "without a date of the sender, by the local clock: {wait}");
        assert_eq!(requested(&[(DATE, "today"), (RETRY_AFTER, "Thu, 01 Jan 1970 00:00:00 GMT")]), Some(0));
    }
}
