//! Server-sent events: what changes, summed up so that a page can follow any rate.
//!
//! A reader is sent states and not events: at most [`MAX_ROWS`] changed submissions per batch, and counts of the rest. What a
//! slow reader has not read yet is not queued: its next batch covers more time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use gavel_describe::explanation::Explanation;
use gavel_describe::filter::Filter;
use gavel_describe::time::millis;
use gavel_domain::time::{epoch_ms, from_epoch_ms};
use serde::Serialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use crate::error::ApiError;
use crate::nats;
use crate::query::Query;
use crate::state::State;
use crate::table::{Counts, Row, ShownRow, Table};

/// The shortest time between two batches.
const BATCH_INTERVAL: Duration = Duration::from_millis(250);
/// The most submissions in a batch: more cannot be read as they pass.
const MAX_ROWS: usize = 200;
/// How often the last minutes of the charts are sent.
const MINUTE_INTERVAL: Duration = Duration::from_secs(5);
/// How long a silent stream waits before it sends a comment.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// After a restart of the console, changes of this time before the last event are sent again.
const OVERLAP: Duration = Duration::from_secs(2);

/// Changed submissions.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    rows: Vec<ShownRow>,
    skipped: usize,
    #[serde(flatten)]
    counts: Counts,
    covers_ms: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reload: bool,
}

/// What one reader has been sent.
struct Reader {
    state: Arc<State>,
    filter: Filter,
    submissions: Option<Position>,
    wants_overview: bool,
    /// Events that are ready to be sent.
    ready: VecDeque<Event>,
    overview: tokio::sync::watch::Receiver<Arc<crate::overview::Overview>>,
    changes: tokio::sync::watch::Receiver<u64>,
    connection: tokio::sync::watch::Receiver<gavel_bus::ConnectionState>,
    was_connected: Option<bool>,
    next_batch: Instant,
    next_minutes: Instant,
    batched_at: Instant,
    _permit: OwnedSemaphorePermit,
}

/// The place of a reader in the changes.
enum Position {
    /// Everything up to this change is sent, and these events are counted.
    Change(u64, Counts),
    /// The table is not read completely yet. Then everything since this time is to be sent; without a time, nothing.
    Pending(Option<SystemTime>),
}

/// `GET /api/live`
pub(crate) async fn live(
    Shared(state): Shared<Arc<State>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let query = Query::of(&uri)?;
    let filter = query.filter()?;
    let permit = Arc::clone(&state.live).try_acquire_owned().map_err(|_| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too many pages are open")
            .with_remedy("Close some of them.")
    })?;
    let last_id = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let submissions = query.flag("submissions").then(|| position(&state, last_id));
    state.reader_came.notify_waiters();
    let now = Instant::now();
    let mut reader = Reader {
        filter,
        submissions,
        wants_overview: query.flag("overview"),
        ready: VecDeque::new(),
        overview: state.overview.subscribe(),
        changes: state.changes.subscribe(),
        connection: state.bus.connection().state(),
        was_connected: None,
        next_batch: now,
        next_minutes: now,
        batched_at: now,
        state,
        _permit: permit,
    };
    reader.overview.mark_changed();
    reader.changes.mark_changed();
    let events = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// Where a reader goes on. The id of an event is `<console>-<change>-<unix ms>`: after a restart of the console its changes
/// have other numbers, but the times are the same.
fn position(state: &State, last_id: Option<&str>) -> Position {
    let table = state.table();
    let parts: Option<(u64, u64, u64)> = last_id.and_then(|id| {
        let mut numbers = id.split('-').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    match parts {
        Some((console, change, _)) if console == table.console() && change <= table.last_change() => {
            Position::Change(change, table.counts.clone())
        }
        _ if parts.is_none() && table.is_complete => {
            Position::Change(table.last_change(), table.counts.clone())
        }
        Some((_, _, ms)) => Position::Pending(from_epoch_ms(ms).and_then(|time| time.checked_sub(OVERLAP))),
        None => Position::Pending(None),
    }
}

/// The id of the event after which a reader has seen everything up to this change.
fn event_id(table: &Table, change: u64) -> String {
    let newest = table.newest_time().map_or(0, epoch_ms);
    format!("{}-{change}-{newest}", table.console())
}

impl Reader {
    /// Returns the next event; `None` when the console stops.
    async fn next(&mut self) -> Option<Event> {
        let stopping = self.state.stopping.clone();
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            self.check_connection();
            tokio::select! {
                biased;
                () = stopping.cancelled() => return None,
                _ = self.connection.changed() => {}
                Ok(()) = self.overview.changed(), if self.wants_overview => self.send_overview(),
                () = sleep_until(self.next_minutes), if self.wants_overview => self.send_minutes(),
                () = batch_due(&mut self.changes, self.next_batch), if self.submissions.is_some() => self.send_batch(),
            }
        }
    }

    fn check_connection(&mut self) {
        let is_connected = self.state.bus.is_connected();
        if self.was_connected == Some(is_connected) {
            return;
        }
        self.was_connected = Some(is_connected);
        let mut data = json!({ "connected": is_connected });
        if !is_connected {
            let Explanation { message, remedy } = nats::disconnected();
            (data["problem"], data["remedy"]) = (message.into(), remedy.into());
        }
        // Also a reader that has seen no change yet has a place to go on from.
        let id = match &self.submissions {
            Some(Position::Change(change, _)) => {
                let table = self.state.table();
                (*change == table.last_change()).then(|| event_id(&table, *change))
            }
            Some(Position::Pending(_)) | None => None,
        };
        self.send("nats", &data, id);
        if self.wants_overview {
            self.send_overview();
        }
    }

    fn send_overview(&mut self) {
        self.overview.mark_unchanged();
        let overview = crate::collect::current(&self.state);
        self.send("overview", &*overview, None);
    }

    fn send_minutes(&mut self) {
        self.next_minutes = Instant::now() + MINUTE_INTERVAL;
        let minutes = self.state.table().history.minutes(SystemTime::now(), 2);
        self.send("minute", &minutes, None);
    }

    fn send_batch(&mut self) {
        self.changes.mark_unchanged();
        let now = Instant::now();
        self.next_batch = now + BATCH_INTERVAL;
        let state = Arc::clone(&self.state);
        let table = state.table();
        let (change, counted) = match self.submissions.take() {
            Some(Position::Change(change, counted)) if change <= table.last_change() => (change, counted),
            Some(Position::Pending(since)) if !table.is_complete => {
                self.submissions = Some(Position::Pending(since));
                return;
            }
            Some(Position::Pending(since)) => {
                (since.map_or(table.last_change(), |since| table.change_at(since)), table.counts.clone())
            }
            // The server has lost its store, and the table begins again.
            Some(Position::Change(..)) | None => (0, Counts::default()),
        };
        let last_change = table.last_change();
        self.submissions = Some(Position::Change(last_change, table.counts.clone()));
        let counts = table.counts.since(&counted);
        let reload = table.has_removed_since(change);
        let selected: Vec<&Row> =
            table.changed_since(change).filter(|row| self.filter.matches(&row.event)).collect();
        let skipped = selected.len().saturating_sub(MAX_ROWS);
        let rows: Vec<ShownRow> = selected[skipped..].iter().map(|row| row.shown()).collect();
        let id = event_id(&table, last_change);
        drop(table);
        let covers_ms = millis(now.duration_since(self.batched_at));
        self.batched_at = now;
        if counts.events == 0 && rows.is_empty() && !reload {
            return;
        }
        self.send("submissions", &Batch { rows, skipped, counts, covers_ms, reload }, Some(id));
    }

    fn send(&mut self, name: &str, data: &impl Serialize, id: Option<String>) {
        let data = serde_json::to_string(data).expect("our own values have a JSON form");
        let event = Event::default().event(name).data(data);
        self.ready.push_back(match id {
            Some(id) => event.id(id),
            None => event,
        });
    }
}

/// Returns once something has changed and the next batch may be sent. Cancel safe.
async fn batch_due(changes: &mut tokio::sync::watch::Receiver<u64>, next_batch: Instant) {
    if !changes.has_changed().unwrap_or(true) {
        let _ = changes.changed().await;
        changes.mark_changed();
    }
    sleep_until(next_batch).await;
}
