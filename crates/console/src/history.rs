//! The last hour in minutes, for charts.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use gavel_describe::event::{Event, Timestamp};
use gavel_describe::time::millis;
use serde::Serialize;

use crate::histogram::Histogram;

/// How many minutes are kept.
pub(crate) const MINUTES: u64 = 60;

/// The verdicts of the last hour.
#[derive(Default)]
pub(crate) struct History {
    /// By minutes since the Unix epoch.
    minutes: BTreeMap<u64, Counts>,
}

#[derive(Default)]
struct Counts {
    passed: u32,
    failed: u32,
    error: u32,
    queued: u32,
    dead: u32,
    waiting: Histogram,
    judging: Histogram,
}

/// One minute; serialized for the API.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Minute {
    at: Timestamp,
    passed: u32,
    failed: u32,
    error: u32,
    queued: u32,
    dead: u32,
    #[serde(rename = "waitingP50")]
    waiting_p50: Option<u64>,
    #[serde(rename = "waitingP95")]
    waiting_p95: Option<u64>,
    #[serde(rename = "judgingP50")]
    judging_p50: Option<u64>,
    #[serde(rename = "judgingP95")]
    judging_p95: Option<u64>,
}

impl History {
    /// Counts an event. `running_at` is when a judge started on the submission.
    pub(crate) fn note(&mut self, event: &Event, running_at: Option<Timestamp>) {
        if !["queued", "judged", "dead"].contains(&event.stage.as_str()) {
            return;
        }
        let minute = minute_of(event.time.0);
        // A minute far ahead of the others would remove them all.
        if minute > minute_of(SystemTime::now()) + 1 {
            return;
        }
        let counts = self.minutes.entry(minute).or_default();
        match (event.stage.as_str(), event.status.as_deref()) {
            ("queued", _) => counts.queued += 1,
            ("dead", _) => counts.dead += 1,
            (_, Some("passed")) => counts.passed += 1,
            (_, Some("failed")) => counts.failed += 1,
            _ => counts.error += 1,
        }
        if event.stage == "judged"
            && let Some(running_at) = running_at
        {
            let judging = millis(event.time.since(running_at));
            counts.judging.add(judging);
            counts.waiting.add(event.duration_ms.unwrap_or_default().saturating_sub(judging));
        }
        let newest = *self.minutes.last_key_value().expect("one was just added").0;
        self.minutes.retain(|&each, _| each + MINUTES > newest);
    }

    /// The last minutes until now, oldest first; those without events are included.
    pub(crate) fn minutes(&self, now: SystemTime, count: u64) -> Vec<Minute> {
        let last = minute_of(now);
        let empty = Counts::default();
        let minute = |minute| {
            let counts = self.minutes.get(&minute).unwrap_or(&empty);
            Minute {
                at: Timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(minute * 60)),
                passed: counts.passed,
                failed: counts.failed,
                error: counts.error,
                queued: counts.queued,
                dead: counts.dead,
                waiting_p50: counts.waiting.quantile(50),
                waiting_p95: counts.waiting.quantile(95),
                judging_p50: counts.judging.quantile(50),
                judging_p95: counts.judging.quantile(95),
            }
        };
        (last.saturating_sub(count - 1)..=last).map(minute).collect()
    }
}

fn minute_of(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / 60
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(at: SystemTime, status: &str, duration_ms: u64) -> Event {
        Event {
            time: Timestamp(at),
            stage: "judged".to_owned(),
            status: Some(status.to_owned()),
            duration_ms: Some(duration_ms),
            ..Event::default()
        }
    }

    #[test]
    fn verdicts_are_counted_in_their_minute() {
        let now = SystemTime::now();
        let before = now - Duration::from_mins(2);
        let mut history = History::default();
        history.note(&verdict(before, "passed", 1_000), Some(Timestamp(before - Duration::from_millis(400))));
        history.note(&verdict(before, "error", 10), None);
        history.note(&verdict(now, "failed", 10), None);
        let minutes = history.minutes(now, MINUTES);
        assert_eq!(minutes.len(), 60);
        let (then, last) = (&minutes[57], &minutes[59]);
        assert_eq!((then.passed, then.failed, then.error, last.failed), (1, 0, 1, 1));
        let near = |found: Option<u64>, wanted: u64| found.unwrap().abs_diff(wanted) * 20 <= wanted;
        assert!(near(then.judging_p50, 400) && near(then.waiting_p95, 600), "{then:?}");
        assert_eq!((last.judging_p50, last.waiting_p50), (None, None));
    }

    #[test]
    fn memory_is_bounded_whatever_the_times_are() {
        let now = SystemTime::now();
        let mut history = History::default();
        for minute in 0..200 {
            history.note(&verdict(now - Duration::from_secs(minute * 60), "passed", 1), None);
        }
        history.note(&verdict(now + Duration::from_secs(1 << 30), "passed", 1), None);
        assert!(history.minutes.len() <= 60);
        assert_eq!(history.minutes(now, MINUTES)[0].passed, 1);
    }
}
