//! Dead letters, by cause and one by one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::Uri;
use gavel_describe::dead_letter::{events, message, summary};
use gavel_describe::event::Timestamp;
use gavel_describe::text::first_line;
use gavel_inspect::{InspectError, StoredDeadLetter, Timeline};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::nats;
use crate::query::Query;
use crate::state::State;
use crate::submission::{Command, quoted};

/// The most dead letters that one request reads.
const MAX_READ: usize = 20_000;
/// The most dead letters in an answer.
const MAX_LIMIT: u64 = 500;
/// How much of a cause makes a group, in characters, as in `gavel status`.
const CAUSE_CHARS: usize = 100;

/// The dead letters of one stage with one cause.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    pub(crate) stage: String,
    pub(crate) cause: String,
}

impl Group {
    pub(crate) fn of(dead_letter: &StoredDeadLetter) -> Self {
        match &dead_letter.dead_letter {
            Some(dead) => {
                Self { stage: dead.stage.as_str().to_owned(), cause: first_line(&dead.cause, CAUSE_CHARS) }
            }
            None => Self { stage: String::new(), cause: "cannot be decoded".to_owned() },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownGroup {
    stage: String,
    cause: String,
    count: u64,
    oldest: Timestamp,
    newest: Timestamp,
    retryable: u64,
}

/// `GET /api/dead-letters`
pub(crate) async fn groups(Shared(state): Shared<Arc<State>>) -> Result<Json<Value>, ApiError> {
    let (groups, read) = nats::run(&state.bus, async {
        let mut dead_letters = state.inspector.dead_letters(None);
        let (mut groups, mut read) = (BTreeMap::<Group, ShownGroup>::new(), 0);
        while read < MAX_READ
            && let Some(dead_letter) = dead_letters.next().await?
        {
            read += 1;
            let (group, at) = (Group::of(&dead_letter), Timestamp(dead_letter.stored_at));
            let shown = groups.entry(group.clone()).or_insert_with(|| ShownGroup {
                stage: group.stage,
                cause: group.cause,
                count: 0,
                oldest: at,
                newest: at,
                retryable: 0,
            });
            shown.count += 1;
            shown.newest = at;
            shown.retryable += u64::from(dead_letter.submission_key().is_some());
        }
        Ok::<_, InspectError>((groups, read))
    })
    .await?;
    let mut groups: Vec<ShownGroup> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    Ok(Json(json!({ "total": read, "groups": groups, "truncated": read == MAX_READ })))
}

/// Reads the dead letters of a group, or all, after a sequence number; at most `limit`.
pub(crate) async fn of_group(
    state: &State,
    at_stage: Option<&str>,
    with_cause: Option<&str>,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredDeadLetter>, InspectError> {
    let mut dead_letters = state.inspector.dead_letters(None);
    let (mut found, mut read) = (Vec::new(), 0);
    while read < MAX_READ
        && found.len() < limit
        && let Some(dead_letter) = dead_letters.next().await?
    {
        if dead_letter.sequence <= after {
            continue;
        }
        read += 1;
        let group = Group::of(&dead_letter);
        if at_stage.is_none_or(|stage| stage == group.stage)
            && with_cause.is_none_or(|cause| cause == group.cause)
        {
            found.push(dead_letter);
        }
    }
    Ok(found)
}

/// `GET /api/dead-letters/items`
pub(crate) async fn items(Shared(state): Shared<Arc<State>>, uri: Uri) -> Result<Json<Value>, ApiError> {
    let query = Query::of(&uri)?;
    let limit = usize::try_from(query.number("limit", 100, MAX_LIMIT)?.max(1)).unwrap_or(1);
    let after = query.number("after", 0, u64::MAX)?;
    let reading = of_group(&state, query.get("stage"), query.get("cause"), after, limit);
    let found = nats::run(&state.bus, reading).await?;
    let mut page = json!({ "items": found.iter().map(summary).collect::<Vec<_>>() });
    if let Some(last) = found.last().filter(|_| found.len() == limit) {
        page["next"] = last.sequence.into();
    }
    Ok(Json(page))
}

/// Returns a dead letter with its message.
pub(crate) async fn find(state: &State, sequence: u64) -> Result<StoredDeadLetter, ApiError> {
    let found = nats::run(&state.bus, state.inspector.dead_letter(sequence)).await?;
    found.ok_or_else(|| ApiError::not_found(format!("dead letter {sequence} does not exist any more")))
}

/// `GET /api/dead-letters/{sequence}`
pub(crate) async fn show(
    Shared(state): Shared<Arc<State>>,
    Path(sequence): Path<u64>,
) -> Result<Json<Value>, ApiError> {
    let dead_letter = find(&state, sequence).await?;
    let mut object = summary(&dead_letter);
    object["message"] = message(&dead_letter, false);
    let key = dead_letter.submission_key();
    let history: Vec<Timeline> = match &key {
        Some(key) => nats::run(&state.bus, state.inspector.history(&key.id)).await?,
        None => Vec::new(),
    };
    object["history"] = history.iter().flat_map(events).collect::<Vec<_>>().into();
    let commands = key.map_or_else(Vec::new, |key| {
        let id = quoted(key.id.as_str());
        vec![
            Command::new("Show it", format!("gavel dead show {id}")),
            Command::new("Retry it", format!("gavel dead retry {id}")),
            Command::new("Trace the submission", format!("gavel trace {id}")),
        ]
    });
    object["commands"] = json!(commands);
    object["ageMs"] = gavel_describe::time::millis(
        SystemTime::now().duration_since(dead_letter.stored_at).unwrap_or_default(),
    )
    .into();
    Ok(Json(object))
}
