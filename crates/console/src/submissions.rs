//! The list of submissions.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Json;
use axum::extract::State as Shared;
use axum::http::Uri;
use gavel_describe::filter::Filter;
use gavel_describe::time::{format_time, parse_since};
use gavel_inspect::InspectError;
use serde::Serialize;

use crate::error::ApiError;
use crate::nats;
use crate::query::Query;
use crate::state::State;
use crate::table::{Row, ShownRow, Table};

/// The most submissions in an answer.
const MAX_LIMIT: u64 = 500;
/// How many stored messages one request may read, and for how long. The table of the request holds as many submissions as
/// the one of the console.
const MAX_SCANNED: usize = 100_000;
const MAX_SCAN_TIME: Duration = Duration::from_secs(8);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    rows: Vec<ShownRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_is: Option<&'static str>,
    complete: bool,
}

/// `GET /api/submissions`
pub(crate) async fn list(Shared(state): Shared<Arc<State>>, uri: Uri) -> Result<Json<Page>, ApiError> {
    let query = Query::of(&uri)?;
    let filter = query.filter()?;
    let limit = usize::try_from(query.number("limit", 100, MAX_LIMIT)?.max(1)).unwrap_or(1);
    state.reader_came.notify_waiters();
    if let Some(since) = query.get("since") {
        let since = parse_since(since).map_err(|problem| ApiError::invalid(format!("since: {problem}")))?;
        let since = since.time(SystemTime::now());
        return nats::run(&state.bus, scan(&state, &filter, since, limit)).await.map(Json);
    }
    let before = query.number("before", u64::MAX, u64::MAX)?;
    let table = state.table();
    let (rows, last) = page(&table, &filter, before, limit);
    let next = last.map(|change| change.to_string());
    Ok(Json(Page { rows, next_is: next.as_ref().map(|_| "before"), next, complete: table.is_complete }))
}

/// Returns the rows that changed last, and the change before which the next page ends.
fn page(table: &Table, filter: &Filter, before: u64, limit: usize) -> (Vec<ShownRow>, Option<u64>) {
    let mut selected: Vec<&Row> =
        table.changed_before(before).filter(|row| filter.matches(&row.event)).take(limit + 1).collect();
    let has_more = selected.len() > limit;
    selected.truncate(limit);
    let last = selected.last().filter(|_| has_more).map(|row| row.change());
    (selected.into_iter().map(Row::shown).collect(), last)
}

/// Reads the stored history since a time, up to a bound.
async fn scan(state: &State, filter: &Filter, since: SystemTime, limit: usize) -> Result<Page, InspectError> {
    let _permit = state.scans.acquire().await;
    let begun = Instant::now();
    let mut stored = state.inspector.stored_messages(since);
    let (mut table, mut last, mut count) = (Table::default(), None, 0);
    let is_at_end = loop {
        if count >= MAX_SCANNED || begun.elapsed() > MAX_SCAN_TIME {
            break false;
        }
        let Some(message) = stored.next().await? else { break true };
        table.note(&message);
        (last, count) = (Some(message.at), count + 1);
        if table.last_change() >= crate::table::MAX_ROWS as u64 * 5 {
            break false;
        }
    };
    let (rows, _) = page(&table, filter, u64::MAX, limit);
    let next = last.filter(|_| !is_at_end).map(format_time);
    Ok(Page { rows, next_is: next.as_ref().map(|_| "since"), next, complete: is_at_end })
}
