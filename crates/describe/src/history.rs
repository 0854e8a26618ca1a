//! The history of a submission.

use std::time::SystemTime;

use gavel_domain::SubmissionId;
use gavel_inspect::{InspectError, Inspector};

use crate::run::Run;

/// Returns the history of a submission, one run for each generation, oldest first, and what the last one waits for. The list
/// is empty if the submission is unknown.
///
/// # Errors
/// Returns an error if NATS cannot be read.
pub async fn runs(inspector: &Inspector, id: &SubmissionId) -> Result<Vec<Run>, InspectError> {
    let now = SystemTime::now();
    let mut runs: Vec<Run> =
        inspector.history(id).await?.iter().map(|timeline| Run::of(timeline, now)).collect();
    // Only the last generation can be unfinished.
    if let Some(last) = runs.last_mut() {
        last.wait = crate::wait::wait(inspector, last).await?;
    }
    Ok(runs)
}
