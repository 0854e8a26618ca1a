//! Submissions, as the Convex action sends them, and again; and what else becomes of some of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use gavel_mock_convex::{Endpoint, Fault, FaultId, Matcher, Purpose, SubmissionKind};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::operator::Operator;
use crate::plan::{Fate, Submission};
use crate::poison;
use crate::programs::PROGRAMS;
use crate::world::World;

/// How often a submission that was not taken is sent again. The app would not; here more of them get in that way.
const TRIES: usize = 30;
/// Between two of those.
const PAUSE: Duration = Duration::from_millis(400);

/// What Convex refuses for long, by submission.
pub(crate) type Refusals = BTreeMap<String, FaultId>;

/// What was taken, and what the ingress answered.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    programs: Mutex<BTreeMap<String, usize>>,
    answers: Mutex<BTreeMap<String, usize>>,
}

impl Accepted {
    /// All of them, with the places of their programs.
    pub(crate) fn all(&self) -> BTreeMap<String, usize> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How often the ingress answered what.
    pub(crate) fn answers(&self) -> BTreeMap<String, usize> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count_answer(&self, answer: &str) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry(answer.to_owned()).or_default() += 1;
    }

    fn note(&self, submission: &Submission) {
        let mut all = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(submission.id.clone(), submission.program);
    }
}

/// Sends all submissions in their time, and what the plan sends again.
pub(crate) async fn send(
    world: &World,
    submissions: &[Submission],
    began: Instant,
    refusals: &Refusals,
    accepted: &Accepted,
    operator: &Operator,
) {
    let each = submissions.iter().map(|submission| async move {
        tokio::time::sleep_until(began + submission.at).await;
        let mut is_taken = false;
        for _ in 0..TRIES {
            is_taken = post(world, submission, accepted).await;
            if is_taken {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        if !is_taken {
            return world.journal.say(format_args!("{} was never taken", submission.id));
        }
        accepted.note(submission);
        let taken = Instant::now();
        let repeats = submission.repeats.iter().map(|after| async move {
            tokio::time::sleep_until(taken + *after).await;
            post(world, submission, accepted).await;
        });
        let fate = async {
            if let Err(error) = meet_fate(world, submission, refusals, operator).await {
                world.journal.wrong(format_args!("{}, {:?}: {error:#}", submission.id, submission.fate));
            }
        };
        tokio::join!(futures::future::join_all(repeats), fate);
    });
    futures::future::join_all(each).await;
}

/// Has Convex refuse, or apply late, the results of those whose fate that is, before any other trouble: the first rule counts.
pub(crate) fn refuse(world: &World, submissions: &[Submission]) -> Refusals {
    let refusals = submissions.iter().filter_map(|submission| {
        let kind =
            if submission.is_personalized { SubmissionKind::Personalized } else { SubmissionKind::Standard };
        let results = Matcher::of(Endpoint { purpose: Purpose::Result, kind }).id(&submission.id);
        let rule = match submission.fate {
            Fate::Refused { status, .. } => world.convex.fault(results, Fault::status(status)),
            Fate::Rejudged { late: Some(late), .. } => {
                world.convex.fault(results.first(1), Fault::ApplyLate(late))
            }
            _ => return None,
        };
        Some((submission.id.clone(), rule))
    });
    refusals.collect()
}

async fn meet_fate(
    world: &World,
    submission: &Submission,
    refusals: &Refusals,
    operator: &Operator,
) -> Result<()> {
    match &submission.fate {
        Fate::Plain => Ok(()),
        Fate::Rejudged { again, .. } => operator.rejudge(world, submission, again).await,
        Fate::Poison => poison::kill_until_dead(world, &submission.id, operator).await,
        Fate::Refused { status, lasts, cut_off } => {
            let makes_a_letter = *status != 500;
            if makes_a_letter {
                operator.wait_letter(world, &submission.id).await?;
            } else {
                tokio::time::sleep(*lasts).await;
            }
            if let Some(refusal) = refusals.get(&submission.id) {
                world.convex.lift(*refusal);
            }
            if makes_a_letter { operator.retry(world, &submission.id, *cut_off).await } else { Ok(()) }
        }
    }
}

/// Whether it was answered 202, in the words of the contract.
async fn post(world: &World, submission: &Submission, accepted: &Accepted) -> bool {
    let url = format!("http://{}/v1/judge-question", *world.ingress().address().borrow());
    let program = &PROGRAMS[submission.program];
    let body = json!({
        "questionId": program.question, "submissionId": submission.id, "languageId": program.language,
        "sourceCode": program.source,
        "submissionKind": if submission.is_personalized { "personalized" } else { "standard" },
    });
    let answered = async {
        let answer = world.http.post(url).json(&body).send().await?;
        Ok::<_, reqwest::Error>((answer.status().as_u16(), answer.text().await?))
    };
    // Away, or killed before it answered: nobody knows.
    let Ok((status, text)) = answered.await else {
        accepted.count_answer("none");
        return false;
    };
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    accepted.count_answer(&format!("{status} {}", said["message"].as_str().unwrap_or_default()));
    match status {
        202 => {
            if said["status"] != "accepted" || said["submissionId"] != submission.id.as_str() {
                world.journal.wrong(format_args!("{} was answered 202 with {text}", submission.id));
            }
            true
        }
        503 => false,
        other => {
            world.journal.wrong(format_args!("{} was answered {other}: {text}", submission.id));
            false
        }
    }
}
