//! Judges submissions again.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::Json;
use axum::extract::State as Shared;
use axum::extract::rejection::JsonRejection;
use axum::http::HeaderMap;
use gavel_bus::Cause;
use gavel_describe::event::Timestamp;
use gavel_describe::time::parse_since;
use gavel_domain::event::RejudgeRun;
use gavel_domain::time::from_epoch_ms;
use gavel_domain::{QuestionId, SubmissionId};
use gavel_inspect::{RejudgePlan, Since};
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::actions::{ActionResult, MAX_NAMED, Outcome, WORK_TIME, body, complete};
use crate::error::ApiError;
use crate::nats;
use crate::state::State;
use crate::submission::submission_id;

/// The longest reason, in characters.
const MAX_REASON_CHARS: usize = 200;

/// Which submissions, and why.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Request {
    #[serde(default)]
    ids: Vec<String>,
    question: Option<String>,
    since: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

/// What was done, or would be.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RejudgeResult {
    #[serde(flatten)]
    done: ActionResult,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<ShownRun>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownRun {
    began_at: Timestamp,
    done: usize,
    total: usize,
}

/// A request that makes sense.
struct Work {
    ids: Vec<SubmissionId>,
    run: Option<(QuestionId, Since)>,
    reason: String,
    dry_run: bool,
}

impl Request {
    fn check(self) -> Result<Work, ApiError> {
        let Self { ids, question, since, reason, dry_run } = self;
        if ids.len() > MAX_NAMED {
            return Err(ApiError::invalid(format!("at most {MAX_NAMED} submissions at a time")));
        }
        let ids = ids.iter().map(|id| submission_id(id)).collect::<Result<Vec<_>, _>>()?;
        let reason = reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        let reason = reason.unwrap_or_else(|| "rejudged by hand".to_owned());
        if reason.chars().count() > MAX_REASON_CHARS || reason.chars().any(char::is_control) {
            return Err(ApiError::invalid(format!(
                "the reason must be one line of at most {MAX_REASON_CHARS} characters"
            )));
        }
        let run = match (question, since) {
            (Some(question), Some(since)) if ids.is_empty() => {
                let question = QuestionId::new(question)
                    .map_err(|error| ApiError::invalid(format!("a question id {error}")))?;
                let since =
                    parse_since(&since).map_err(|problem| ApiError::invalid(format!("since: {problem}")))?;
                Some((question, since))
            }
            (None, None) if !ids.is_empty() => None,
            _ => return Err(ApiError::invalid("either ids, or question and since, must be given")),
        };
        Ok(Work { ids, run, reason, dry_run })
    }
}

/// `POST /api/rejudge`
pub(crate) async fn rejudge(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    parsed: Result<Json<Request>, JsonRejection>,
) -> Result<Json<RejudgeResult>, ApiError> {
    state.guard.check_key(&headers)?;
    let work = body(parsed)?.check()?;
    complete(async move { rejudge_all(&state, work).await }).await?.map(Json)
}

async fn rejudge_all(state: &State, work: Work) -> Result<RejudgeResult, ApiError> {
    let now = SystemTime::now();
    let plan = match &work.run {
        Some((question, since)) => {
            let planning = state.rejudger.plan_run(question, *since, &work.reason, now);
            Some(nats::run(&state.bus, planning).await?)
        }
        None => None,
    };
    let (run, ids) = plan.as_ref().map_or((None, &work.ids), |plan| (Some(plan.run), &plan.left));
    let done = each(state, ids, &work, run).await?;
    info!(
        operator = state.operator,
        reason = work.reason,
        dry_run = work.dry_run,
        count = done.results.len(),
        left = done.left,
        "submissions rejudged"
    );
    Ok(RejudgeResult {
        done,
        run: plan.as_ref().map(ShownRun::of),
        since: work.run.map(|(_, since)| Timestamp(since.time(now))),
    })
}

async fn each(
    state: &State,
    ids: &[SubmissionId],
    work: &Work,
    run: Option<RejudgeRun>,
) -> Result<ActionResult, ApiError> {
    let begun = Instant::now();
    let mut done = ActionResult::default();
    for (n, id) in ids.iter().enumerate() {
        if begun.elapsed() > WORK_TIME || (done.results.len() >= MAX_NAMED) {
            done.left = ids.len() - n;
            break;
        }
        let result = state.rejudger.rejudge(id, &work.reason, run, work.dry_run).await;
        match Outcome::of(id, result, work.dry_run) {
            Ok(outcome) => done.results.push(outcome),
            Err(error) if n == 0 => return Err(error.into()),
            Err(error) => {
                (done.left, done.problem) = (ids.len() - n, Some(Cause::from(error).as_str().to_owned()));
                break;
            }
        }
    }
    Ok(done)
}

impl ShownRun {
    fn of(plan: &RejudgePlan) -> Self {
        let began_at = from_epoch_ms(plan.run.began_at_ms).map(Timestamp).unwrap_or_default();
        Self { began_at, done: plan.done, total: plan.done + plan.left.len() }
    }
}
