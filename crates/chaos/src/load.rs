//! Sends the submissions of a plan, and their repeats, as the Convex action does; and runs their scenarios.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use gavel_mock_convex::{Endpoint, FaultId, HttpFault, Matcher, Purpose, SubmissionKind};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::operator::Operator;
use crate::pipeline::Pipeline;
use crate::plan::{Scenario, Submission};
use crate::poison;
use crate::programs::PROGRAMS;

/// How often a submission is sent until it is accepted. The app does not retry; here it makes more submissions get
/// in.
const MAX_ATTEMPTS: usize = 30;
/// The delay between two attempts.
const RETRY_DELAY: Duration = Duration::from_millis(400);

/// The rules by which mock Convex refuses results, by submission.
pub(crate) type Refusals = BTreeMap<String, FaultId>;

/// The accepted submissions, and counts of the ingress's answers.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    programs: Mutex<BTreeMap<String, usize>>,
    answers: Mutex<BTreeMap<String, usize>>,
}

impl Accepted {
    /// Returns the accepted submissions, with the indexes of their programs.
    pub(crate) fn all(&self) -> BTreeMap<String, usize> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the number of accepted submissions.
    pub(crate) fn count(&self) -> usize {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Returns how often the ingress gave each answer.
    pub(crate) fn answers(&self) -> BTreeMap<String, usize> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count_answer(&self, answer: &str) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry(answer.to_owned()).or_default() += 1;
    }

    fn record(&self, submission: &Submission) {
        let mut all = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(submission.id.clone(), submission.program);
    }
}

/// Sends all submissions and their repeats at the planned times, and runs their scenarios.
pub(crate) async fn send(
    pipeline: &Pipeline,
    submissions: &[Submission],
    began: Instant,
    refusals: &Refusals,
    accepted: &Accepted,
    operator: &Operator,
) {
    let each = submissions.iter().map(|submission| async move {
        tokio::time::sleep_until(began + submission.at).await;
        let mut is_accepted = false;
        for _ in 0..MAX_ATTEMPTS {
            is_accepted = post(pipeline, submission, accepted).await;
            if is_accepted {
                break;
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
        if !is_accepted {
            return pipeline.run_log.info(format_args!("{} was never accepted", submission.id));
        }
        accepted.record(submission);
        let accepted_at = Instant::now();
        let repeats = submission.repeats.iter().map(|after| async move {
            tokio::time::sleep_until(accepted_at + *after).await;
            post(pipeline, submission, accepted).await;
        });
        let scenario = async {
            if let Err(error) = run_scenario(pipeline, submission, refusals, operator).await {
                pipeline
                    .run_log
                    .violation(format_args!("{}, {:?}: {error:#}", submission.id, submission.scenario));
            }
        };
        tokio::join!(futures::future::join_all(repeats), scenario);
    });
    futures::future::join_all(each).await;
}

/// Makes Convex refuse, or apply late, the results of submissions with such a scenario. This comes before the
/// faults of the plan, because the first matching rule applies.
pub(crate) fn refuse(pipeline: &Pipeline, submissions: &[Submission]) -> Refusals {
    let refusals = submissions.iter().filter_map(|submission| {
        let kind =
            if submission.is_personalized { SubmissionKind::Personalized } else { SubmissionKind::Standard };
        let results = Matcher::of(Endpoint { purpose: Purpose::Result, kind }).id(&submission.id);
        let rule = match submission.scenario {
            Scenario::Refused { status, .. } => pipeline.convex.fault(results, HttpFault::status(status)),
            Scenario::Rejudged { late_by: Some(late_by), .. } => {
                pipeline.convex.fault(results.first(1), HttpFault::ApplyLate(late_by))
            }
            _ => return None,
        };
        Some((submission.id.clone(), rule))
    });
    refusals.collect()
}

async fn run_scenario(
    pipeline: &Pipeline,
    submission: &Submission,
    refusals: &Refusals,
    operator: &Operator,
) -> Result<()> {
    match &submission.scenario {
        Scenario::Plain => Ok(()),
        Scenario::Rejudged { rejudgings, .. } => operator.rejudge(pipeline, submission, rejudgings).await,
        Scenario::Poison => poison::kill_until_dead(pipeline, &submission.id, operator).await,
        Scenario::Refused { status, lasts, kill_after } => {
            let makes_dead_letter = *status != 500;
            if makes_dead_letter {
                operator.wait_dead_letter(pipeline, &submission.id).await?;
            } else {
                tokio::time::sleep(*lasts).await;
            }
            if let Some(refusal) = refusals.get(&submission.id) {
                pipeline.convex.remove_fault(*refusal);
            }
            if makes_dead_letter {
                operator.retry(pipeline, &submission.id, *kill_after).await
            } else {
                Ok(())
            }
        }
    }
}

/// Sends a submission, and returns whether it was answered with 202. The body of the answer must match the contract.
async fn post(pipeline: &Pipeline, submission: &Submission, accepted: &Accepted) -> bool {
    let url = format!("http://{}/v1/judge-question", *pipeline.ingress().address().borrow());
    let program = &PROGRAMS[submission.program];
    let request = json!({
        "questionId": program.question, "submissionId": submission.id, "languageId": program.language,
        "sourceCode": program.source,
        "submissionKind": if submission.is_personalized { "personalized" } else { "standard" },
    });
    let response = async {
        let answer = pipeline.http.post(url).json(&request).send().await?;
        Ok::<_, reqwest::Error>((answer.status().as_u16(), answer.text().await?))
    };
    // The ingress is down, or was killed before it answered: the submission may be accepted.
    let Ok((status, text)) = response.await else {
        accepted.count_answer("none");
        return false;
    };
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    accepted.count_answer(&format!("{status} {}", body["message"].as_str().unwrap_or_default()));
    match status {
        202 => {
            if body["status"] != "accepted" || body["submissionId"] != submission.id.as_str() {
                pipeline
                    .run_log
                    .violation(format_args!("{} was answered with 202 and the body {text}", submission.id));
            }
            true
        }
        503 => false,
        other => {
            pipeline.run_log.violation(format_args!("{} was answered with {other}: {text}", submission.id));
            false
        }
    }
}
