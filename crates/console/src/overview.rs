//! The state of the pipeline, and what is wrong with it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use gavel_describe::event::Timestamp;
use gavel_describe::explanation::Explanation;
use gavel_describe::finding::{Finding, State as FindingState};
use gavel_describe::status::{
    DeadLetterCount, Dependency, Instance, LanguageStatus, StageStatus, Status, StreamStatus,
};
use gavel_inspect::InspectError;
use serde::Serialize;

use crate::nats;
use crate::table::RunningSubmission;

/// The state of the pipeline; serialized for the API.
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Overview {
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    connected: bool,
    problems: Vec<Problem>,
    #[serde(flatten)]
    status: Known,
}

/// What the last successful collection has found.
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    stages: Vec<StageStatus>,
    streams: Vec<StreamStatus>,
    instances: Vec<ShownInstance>,
    peers: Vec<Dependency>,
    waiting_languages: Vec<LanguageStatus>,
    dead: Vec<DeadLetterCount>,
    clock_skew_ms: i64,
}

/// An instance, with what it runs if it is a judge.
#[derive(Clone, Serialize)]
struct ShownInstance {
    #[serde(flatten)]
    instance: Instance,
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<Vec<RunningSubmission>>,
}

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem {
    severity: Severity,
    name: String,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
    /// A page that helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
enum Severity {
    Problem,
    Notice,
}

impl Problem {
    fn of(finding: Finding) -> Option<Self> {
        let severity = match finding.state {
            FindingState::Bad => Severity::Problem,
            FindingState::Warning => Severity::Notice,
            FindingState::Good | FindingState::Optional | FindingState::Skipped => return None,
        };
        let Finding { name, found: what, remedy, .. } = finding;
        Some(Self { severity, name, what, remedy, link: None })
    }

    fn of_nats(Explanation { message, remedy }: Explanation) -> Self {
        let severity = Severity::Problem;
        Self { severity, name: "NATS".to_owned(), what: message, remedy: Some(remedy.to_owned()), link: None }
    }
}

impl Overview {
    /// The state as collected now. `findings` are those of the checks, `running` is what each instance has started and not
    /// ended, and `unread` is why events cannot be read.
    pub(crate) fn of(
        status: Status,
        findings: Vec<Finding>,
        mut running: BTreeMap<String, (usize, Vec<RunningSubmission>)>,
        unread: Option<String>,
    ) -> Self {
        let mut problems: Vec<Problem> = findings.into_iter().filter_map(Problem::of).collect();
        let instances = status.instances.into_iter().map(|instance| {
            let running = running.remove(&instance.name).map(|(_, listed)| listed);
            ShownInstance {
                running: running.or_else(|| (instance.service == "judge").then(Vec::new)),
                instance,
            }
        });
        let instances = instances.collect();
        problems.extend(
            unread.map(|message| {
                Problem::of_nats(Explanation { message, remedy: "See the log of nats-server." })
            }),
        );
        problems.extend(gone(&running));
        problems.extend(dead_letters(&status.dead_letters));
        problems.sort_by_key(|problem| problem.severity);
        let status = Known {
            stages: status.stages,
            streams: status.streams,
            instances,
            peers: status.dependencies,
            waiting_languages: status.languages,
            dead: status.dead_letters,
            clock_skew_ms: status.clock_skew_ms,
        };
        Self { at: Some(Timestamp(SystemTime::now())), connected: true, problems, status }
    }

    /// The last known state, while there is no connection.
    pub(crate) fn disconnected(&self) -> Self {
        let problems = vec![Problem::of_nats(nats::disconnected())];
        Self { connected: false, problems, ..self.clone() }
    }

    /// The last known state, if it cannot be collected now.
    pub(crate) fn failed(&self, error: &InspectError) -> Self {
        Self { connected: true, problems: vec![Problem::of_nats(error.into())], ..self.clone() }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected
    }
}

/// The judges that have started submissions and send no heartbeats.
fn gone(running: &BTreeMap<String, (usize, Vec<RunningSubmission>)>) -> Vec<Problem> {
    let problem = |(instance, (count, _)): (&String, &(usize, Vec<RunningSubmission>))| Problem {
        severity: Severity::Problem,
        name: instance.clone(),
        what: format!(
            "it started {count} submission{} without a verdict, and sends no heartbeats",
            if *count == 1 { "" } else { "s" }
        ),
        remedy: Some("If that judge is gone, another one takes them after ACK_WAIT_MS.".to_owned()),
        link: Some("/submissions?stage=running"),
    };
    running.iter().map(problem).collect()
}

fn dead_letters(counts: &[DeadLetterCount]) -> Option<Problem> {
    let most = counts.first()?;
    let count: u64 = counts.iter().map(|each| each.count).sum();
    Some(Problem {
        severity: Severity::Notice,
        name: "dead letters".to_owned(),
        what: format!("{count} in the last 24 hours, most of them at the {}: {}", most.stage, most.cause),
        remedy: Some("Remove the cause, then retry them.".to_owned()),
        link: Some("/dead-letters"),
    })
}
