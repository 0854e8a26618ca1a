//! What was seen of each submission: how long since its previous event, and what is a repeat.

use std::collections::HashMap;
use std::time::Duration;

use crate::event::{Event, Moment, UNDECODABLE};

/// Submissions that are remembered.
const MOST: usize = 50_000;
/// How long at least, unless there are too many.
const KEPT: Duration = Duration::from_mins(30);

#[derive(Default)]
pub(super) struct Memory {
    seen: HashMap<(String, u32), Seen>,
}

struct Seen {
    last: Moment,
    times: HashMap<String, u32>,
}

impl Memory {
    /// Notes the event, and tells it what came before it.
    pub(super) fn note(&mut self, event: &mut Event) {
        if self.seen.len() >= MOST {
            self.forget(event.time);
        }
        if let Some(seen) = self.seen.get_mut(&event.key()) {
            let gap = event.time.since(seen.last).as_millis();
            event.gap_ms = Some(u64::try_from(gap).unwrap_or(u64::MAX));
            seen.last = event.time;
            event.times = seen.count(event);
        } else {
            let mut seen = Seen { last: event.time, times: HashMap::new() };
            seen.count(event);
            self.seen.insert(event.key(), seen);
        }
    }

    fn forget(&mut self, now: Moment) {
        self.seen.retain(|_, seen| now.since(seen.last) < KEPT);
        if self.seen.len() >= MOST {
            self.seen.clear();
        }
    }
}

impl Seen {
    /// How many times such an event was seen, where more than once. A submission may die several times.
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
        let time = Moment(std::time::SystemTime::UNIX_EPOCH + Duration::from_millis(ms));
        Event { id: id.to_owned(), stage: stage.to_owned(), time, ..Event::default() }
    }

    #[test]
    fn gaps_and_repeats_are_a_submissions_own() {
        let mut memory = Memory::default();
        let seen = [
            event("a", "queued", 0),
            event("b", "queued", 5),
            event("a", "running", 10),
            event("a", "running", 30),
            event("a", "dead", 20),
            event("a", "dead", 50),
        ]
        .map(|mut event| {
            memory.note(&mut event);
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
    fn memory_is_bounded() {
        let mut memory = Memory::default();
        for n in 0..=MOST {
            memory.note(&mut event(&n.to_string(), "queued", 0));
        }
        assert!(memory.seen.len() < MOST);
    }
}
