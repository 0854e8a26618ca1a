//! One submission: what happened to it, in all its generations.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::HeaderMap;
use axum::http::header::HOST;
use gavel_describe::dead_letter::summary;
use gavel_describe::event::{Event, Timestamp};
use gavel_describe::history::runs;
use gavel_describe::run::Run;
use gavel_describe::text::first_line;
use gavel_domain::SubmissionId;
use gavel_inspect::InspectError;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::nats;
use crate::state::State;
use crate::table::MAX_REASON_CHARS;

/// An equivalent command to copy.
#[derive(Serialize)]
pub(crate) struct Command {
    title: &'static str,
    command: String,
}

impl Command {
    pub(crate) fn new(title: &'static str, command: String) -> Self {
        Self { title, command }
    }
}

/// Parses the id of a submission.
pub(crate) fn submission_id(text: &str) -> Result<SubmissionId, ApiError> {
    SubmissionId::new(text).map_err(|error| ApiError::invalid(format!("a submission id {error}")))
}

/// An argument of a command as a shell reads it.
pub(crate) fn quoted(argument: &str) -> String {
    let is_plain = argument.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/".contains(c));
    if is_plain && !argument.starts_with('-') {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// `GET /api/submissions/{id}`
pub(crate) async fn show(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let id = submission_id(&id)?;
    let (runs, dead_letters) = nats::run(&state.bus, async {
        let runs = runs(&state.inspector, &id).await?;
        let dead_letters = state.inspector.dead_letters_of(&id).await?;
        Ok::<_, InspectError>((runs, dead_letters))
    })
    .await?;
    if runs.is_empty() && dead_letters.is_empty() {
        return Err(ApiError::not_found(format!(
            "unknown submission {id}: it was never accepted, or more than 72 hours ago"
        )));
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    Ok(Json(json!({
        "id": id.as_str(),
        "generations": runs.iter().map(generation).collect::<Vec<_>>(),
        "deadLetters": dead_letters.iter().map(summary).collect::<Vec<_>>(),
        "commands": commands(&id, host, !dead_letters.is_empty()),
    })))
}

fn generation(run: &Run) -> Value {
    let mut object = serde_json::to_value(run).expect("our own values have a JSON form");
    for (shown, event) in object["events"].as_array_mut().into_iter().flatten().zip(&run.events) {
        shown["says"] = event.summary().into();
        if let Some(language) = event.language {
            shown["languageName"] = Event::language_name(language).into();
        }
        if let Some(reason) = &event.reason {
            shown["reason"] = first_line(reason, MAX_REASON_CHARS).into();
        }
    }
    object["ended"] = run.has_ended().into();
    object["conclusion"] = run.conclusion().into();
    if let Some(claim) = &run.claim {
        let call = if claim.is_running { "running" } else { "result" };
        object["claim"] = json!({ "at": Timestamp(claim.at), "instance": claim.instance, "call": call });
    }
    object
}

fn commands(id: &SubmissionId, host: &str, has_dead_letters: bool) -> Vec<Command> {
    let id = quoted(id.as_str());
    let url = quoted(&format!("http://{host}/api/submissions/{}", id.trim_matches('\'')));
    let mut commands = vec![
        Command::new("Trace it", format!("gavel trace {id}")),
        Command::new("Watch its events", format!("gavel tap --id {id}")),
        Command::new("Fetch this page as JSON", format!("curl -s {url}")),
        Command::new("Judge it again", format!("gavel rejudge {id}")),
    ];
    if has_dead_letters {
        commands.push(Command::new("Show its dead letters", format!("gavel dead show {id}")));
        commands.push(Command::new("Retry its dead letter", format!("gavel dead retry {id}")));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_for_a_shell() {
        for (argument, wanted) in
            [("k97", "k97"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("$(x)", "'$(x)'"), ("-rf", "'-rf'")]
        {
            assert_eq!(quoted(argument), wanted);
        }
    }
}
