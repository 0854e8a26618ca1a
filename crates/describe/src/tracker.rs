//! Tracks submissions, to tell the time since the previous event of each, and repeated events.

use std::collections::HashMap;
use std::time::Duration;

use crate::event::{Event, Timestamp, UNDECODABLE};

/// How many submissions are tracked at most.
const MAX_TRACKED_SUBMISSIONS: usize = 50_000;
/// Submissions without an event for this long are dropped first.
const IDLE_TIME: Duration = Duration::from_mins(30);

/// Remembers the last event of each submission.
#[derive(Default)]
pub struct Tracker {
    submissions: HashMap<(String, u32), Tracked>,
}

struct Tracked {
    last: Timestamp,
    times: HashMap<String, u32>,
}

impl Tracker {
    /// Records the event, and sets its `gap_ms` and `times`.
    pub fn note(&mut self, event: &mut Event) {
        if self.submissions.len() >= MAX_TRACKED_SUBMISSIONS {
            self.drop_idle(event.time);
        }
        if let Some(tracked) = self.submissions.get_mut(&event.key()) {
            let gap = event.time.since(tracked.last).as_millis();
            event.gap_ms = Some(u64::try_from(gap).unwrap_or(u64::MAX));
            tracked.last = event.time;
            event.times = tracked.count(event);
        } else {
            let mut tracked = Tracked { last: event.time, times: HashMap::new() };
            tracked.count(event);
            self.submissions.insert(event.key(), tracked);
        }
    }

    fn drop_idle(&mut self, now: Timestamp) {
        self.submissions.retain(|_, tracked| now.since(tracked.last) < IDLE_TIME);
        if self.submissions.len() >= MAX_TRACKED_SUBMISSIONS {
            self.submissions.clear();
        }
    }
}

impl Tracked {
    /// Returns how many times this event was seen, if more than once. Several dead letters are no repeats.
    fn count(&mut self, event: &Event) -> Option<u32> {
        if matches!(event.stage.as_str(), "dead" | UNDECODABLE) {
            return None;
        }
        let times = self.times.entry(event.stage.clone()).or_default();
        *times += 1;
        (*times > 1).then_some(*times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, stage: &str, ms: u64) -> Event {
        let time = Timestamp(std::time::SystemTime::UNIX_EPOCH + Duration::from_millis(ms));
        Event { id: id.to_owned(), stage: stage.to_owned(), time, ..Event::default() }
    }

    #[test]
    fn gaps_and_repeats_are_counted_per_submission() {
        let mut tracker = Tracker::default();
        let seen = [
            event("a", "queued", 0),
            event("b", "queued", 5),
            event("a", "running", 10),
            event("a", "running", 30),
            event("a", "dead", 20),
            event("a", "dead", 50),
        ]
        .map(|mut event| {
            tracker.note(&mut event);
            (event.gap_ms, event.times)
        });
        let wanted = [
            (None, None),
            (None, None),
            (Some(10), None),
            (Some(20), Some(2)),
            (Some(0), None),
            (Some(30), None),
        ];
        assert_eq!(seen, wanted);
    }

    #[test]
    fn tracked_submissions_are_bounded() {
        let mut tracker = Tracker::default();
        for n in 0..=MAX_TRACKED_SUBMISSIONS {
            tracker.note(&mut event(&n.to_string(), "queued", 0));
        }
        assert!(tracker.submissions.len() < MAX_TRACKED_SUBMISSIONS);
    }
}
