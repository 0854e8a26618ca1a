//! The present state of the submissions of the last hour, from their events.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::time::SystemTime;

use gavel_describe::event::{Event, Reading, Timestamp};
use gavel_describe::text::first_line;
use gavel_domain::time::epoch_ms;
use gavel_inspect::Message;
use serde::Serialize;

use crate::history::History;

/// The most submissions that are held. The ones that changed last are kept.
pub(crate) const MAX_ROWS: usize = 20_000;
/// How much of a reason is shown, in characters. More of it, such as a compiler's messages, can quote the source.
pub(crate) const MAX_REASON_CHARS: usize = 300;
/// The most running submissions that are listed for an instance.
const MAX_RUNNING: usize = 50;

type Key = (String, u32);

/// The present state of submissions.
pub(crate) struct Table {
    /// Tells this table from those of other consoles and from earlier ones: their changes have other numbers.
    console: u64,
    newest: Option<SystemTime>,
    rows: HashMap<Key, Row>,
    /// The key of each row by its last change.
    changes: BTreeMap<u64, Key>,
    last_change: u64,
    /// All changes up to this one may belong to rows that were removed.
    removed: u64,
    pub(crate) history: History,
    pub(crate) counts: Counts,
    /// Whether all events of the last hour have been read.
    pub(crate) is_complete: bool,
    /// Why events cannot be read now.
    pub(crate) problem: Option<String>,
}

/// How many events were read.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    pub(crate) events: u64,
    pub(crate) by_stage: BTreeMap<String, u64>,
    /// Verdicts.
    pub(crate) by_status: BTreeMap<String, u64>,
}

/// One generation of a submission.
#[derive(Clone)]
pub(crate) struct Row {
    /// Its last event, with what earlier events say about the submission.
    pub(crate) event: Event,
    first: Timestamp,
    running_at: Option<Timestamp>,
    change: u64,
}

/// A row as the API returns it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShownRow {
    #[serde(flatten)]
    event: Event,
    first_time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    language_name: Option<String>,
    says: String,
}

/// A submission that a judge has started, and that has no verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunningSubmission {
    id: String,
    generation: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<String>,
    since: Timestamp,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            console: epoch_ms(SystemTime::now()),
            newest: None,
            rows: HashMap::new(),
            changes: BTreeMap::new(),
            last_change: 0,
            removed: 0,
            history: History::default(),
            counts: Counts::default(),
            is_complete: false,
            problem: None,
        }
    }
}

impl Counts {
    fn note(&mut self, event: &Event) {
        self.events += 1;
        *self.by_stage.entry(event.stage.clone()).or_default() += 1;
        if event.stage == "judged"
            && let Some(status) = &event.status
        {
            *self.by_status.entry(status.clone()).or_default() += 1;
        }
    }

    /// What was counted since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let difference = |now: &BTreeMap<String, u64>, before: &BTreeMap<String, u64>| {
            now.iter()
                .map(|(name, count)| (name.clone(), count - before.get(name).unwrap_or(&0)))
                .filter(|(_, count)| *count > 0)
                .collect()
        };
        Self {
            events: self.events - earlier.events,
            by_stage: difference(&self.by_stage, &earlier.by_stage),
            by_status: difference(&self.by_status, &earlier.by_status),
        }
    }
}

impl Row {
    pub(crate) fn shown(&self) -> ShownRow {
        ShownRow {
            says: self.event.summary(),
            language_name: self.event.language.map(Event::language_name),
            first_time: self.first,
            event: self.event.clone(),
        }
    }

    /// The number of its last change.
    pub(crate) fn change(&self) -> u64 {
        self.change
    }
}

impl Table {
    /// Takes note of a stored message.
    pub(crate) fn note(&mut self, message: &Message) {
        let event = trimmed(Reading::default().read(message));
        self.last_change += 1;
        self.newest = self.newest.max(Some(event.time.0));
        let change = self.last_change;
        let row = self.rows.entry(event.key()).or_insert_with(|| Row {
            event: event.clone(),
            first: event.time,
            running_at: None,
            change,
        });
        self.changes.remove(&row.change);
        row.change = change;
        self.changes.insert(change, event.key());
        if event.stage == "running" {
            row.running_at = Some(event.time);
        }
        self.history.note(&event, row.running_at);
        self.counts.note(&event);
        row.merge(event);
        self.remove_oldest();
    }

    fn remove_oldest(&mut self) {
        while self.rows.len() > MAX_ROWS
            && let Some((change, key)) = self.changes.pop_first()
        {
            self.rows.remove(&key);
            self.removed = change;
        }
    }

    /// The number of this table.
    pub(crate) fn console(&self) -> u64 {
        self.console
    }

    /// The time of the newest event.
    pub(crate) fn newest_time(&self) -> Option<SystemTime> {
        self.newest
    }

    /// The number of the last change.
    pub(crate) fn last_change(&self) -> u64 {
        self.last_change
    }

    /// Whether rows that changed after this change have been removed.
    pub(crate) fn has_removed_since(&self, change: u64) -> bool {
        self.removed > change
    }

    /// The rows that changed after a change, the earliest change first.
    pub(crate) fn changed_since(&self, change: u64) -> impl Iterator<Item = &Row> {
        self.changes
            .range((Bound::Excluded(change), Bound::Unbounded))
            .filter_map(|(_, key)| self.rows.get(key))
    }

    /// The rows that changed last before a change, the latest change first.
    pub(crate) fn changed_before(&self, change: u64) -> impl Iterator<Item = &Row> {
        self.changes.range(..change).rev().filter_map(|(_, key)| self.rows.get(key))
    }

    /// The change from which on all rows have events at or after this time.
    pub(crate) fn change_at(&self, time: SystemTime) -> u64 {
        let earlier = self.changed_before(u64::MAX).find(|row| row.event.time.0 < time);
        earlier.map_or(0, Row::change)
    }

    /// What each instance has started and not ended, oldest first, with the number of them.
    pub(crate) fn running(&self) -> BTreeMap<String, (usize, Vec<RunningSubmission>)> {
        let mut running: Vec<&Row> = self.rows.values().filter(|row| row.event.stage == "running").collect();
        running.sort_by_key(|row| row.event.time);
        let mut by_instance = BTreeMap::<String, (usize, Vec<RunningSubmission>)>::new();
        for row in running {
            let event = &row.event;
            let (count, listed) = by_instance.entry(event.instance.clone().unwrap_or_default()).or_default();
            *count += 1;
            if listed.len() < MAX_RUNNING {
                listed.push(RunningSubmission {
                    id: event.id.clone(),
                    generation: event.generation,
                    language: event.language,
                    language_name: event.language.map(Event::language_name),
                    question: event.question.clone(),
                    since: event.time,
                });
            }
        }
        by_instance
    }
}

impl Row {
    /// Adds a later event, or what an earlier one says about the submission.
    fn merge(&mut self, new: Event) {
        self.first = self.first.min(new.time);
        let is_later = new.time >= self.event.time;
        let old = std::mem::take(&mut self.event);
        let (last, before) = if is_later { (new, old) } else { (old, new) };
        self.event = Event {
            question: last.question.or(before.question),
            language: last.language.or(before.language),
            kind: last.kind.or(before.kind),
            status: last.status.or(before.status),
            passed: last.passed.or(before.passed),
            total: last.total.or(before.total),
            reason: last.reason.or(before.reason),
            duration_ms: last.duration_ms.or(before.duration_ms),
            ready_at: last.ready_at.or(before.ready_at),
            toolchain: last.toolchain.or(before.toolchain),
            request_id: last.request_id.or(before.request_id),
            source_bytes: last.source_bytes.or(before.source_bytes),
            source_sha256: last.source_sha256.or(before.source_sha256),
            handed_on_by: last.handed_on_by.or(before.handed_on_by),
            failed_stage: last.failed_stage.or(before.failed_stage),
            ..last
        };
    }
}

/// Leaves out what the page of one submission shows.
fn trimmed(event: Event) -> Event {
    Event {
        tests: Vec::new(),
        callback_attempts: Vec::new(),
        headers: Vec::new(),
        // The reason for a new generation says nothing about its end.
        reason: event
            .reason
            .as_deref()
            .filter(|_| event.stage != "rejudged")
            .map(|reason| first_line(reason, MAX_REASON_CHARS)),
        ..event
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gavel_domain::Status;
    use gavel_proto::WireEvent;
    use gavel_testkit::fixtures;

    use super::*;

    fn note<E: WireEvent>(table: &mut Table, id: &str, event: &E, at: SystemTime) {
        table.note(&Message {
            at,
            subject: format!("submission.{}.{id}", E::NAME),
            headers: Vec::new(),
            payload: event.encode(),
            sequence: None,
        });
    }

    #[test]
    fn row_has_the_last_stage_and_the_facts_of_all_events() {
        let (mut table, now) = (Table::default(), SystemTime::now());
        let later = |seconds| now + Duration::from_secs(seconds);
        note(&mut table, "a", &fixtures::queued("a"), now);
        note(&mut table, "a", &fixtures::running("a"), later(1));
        assert_eq!(table.running().values().map(|(count, _)| count).sum::<usize>(), 1);
        note(&mut table, "a", &fixtures::judged("a", fixtures::failed()), later(2));
        note(&mut table, "a", &fixtures::reported("a", Status::Failed), later(3));
        // Streams are read one after the other, so an earlier event may come later.
        note(&mut table, "a", &fixtures::ready("a"), later(0));
        let rows: Vec<_> = table.changed_since(0).map(Row::shown).collect();
        assert_eq!(rows.len(), 1);
        let event = &rows[0].event;
        assert_eq!((event.stage.as_str(), event.status.as_deref()), ("reported", Some("failed")));
        assert!(event.source_bytes.is_some() && event.source.is_none() && event.reason.is_some());
        assert!(table.running().is_empty());
        assert_eq!(table.counts.by_status["failed"], 1);
    }

    #[test]
    fn rows_are_bounded_and_their_loss_is_known() {
        let (mut table, now) = (Table::default(), SystemTime::now());
        for n in 0..=MAX_ROWS {
            let id = n.to_string();
            note(&mut table, &id, &fixtures::queued(&id), now);
        }
        assert_eq!(table.rows.len(), MAX_ROWS);
        assert_eq!(table.changes.len(), MAX_ROWS);
        assert!(table.has_removed_since(0) && !table.has_removed_since(1));
        assert_eq!(table.changed_before(u64::MAX).next().unwrap().event.id, MAX_ROWS.to_string());
    }
}
