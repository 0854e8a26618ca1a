//! A nats-server, a stand-in for Convex and reporters, all owned by one test; and the judge's part.

use std::time::Duration;

use gavel_bus::topology::TopologySettings;
use gavel_bus::{Bus, NatsConfig, Outgoing, Seen, Stored, Trace, Watch};
use gavel_domain::event::{DeadLetter, Judged, Running};
use gavel_domain::{
    Generation, LanguageId, QuestionId, RequestId, Status, Submission, SubmissionId, SubmissionKey,
    SubmissionKind, Verdict,
};
use gavel_mock_convex::{Call, Endpoint, Late, MockConvex, SubmissionState};
use gavel_testkit::{NatsServer, Process, wait_until};

use crate::{PATIENCE, nats};

/// Settings short enough for a test, long enough for a loaded machine; a test sets what it is about.
const SETTINGS: [(&str, &str); 8] = [
    ("PORT", "0"),
    ("LOG_FORMAT", "json"),
    ("LOG_LEVEL", "info,gavel_bus=debug"),
    ("ACK_WAIT_MS", "1500"),
    ("REQUEST_TIMEOUT_MS", "5000"),
    ("RUNNING_TIMEOUT_MS", "5000"),
    ("RUNNING_LINGER_MS", "1000"),
    ("REPORT_GIVE_UP_AFTER_S", "600"),
];

pub(crate) struct Rig {
    // Reporters first: they are ended before what they are connected to.
    reporters: Vec<Process>,
    pub(crate) bus: Bus,
    pub(crate) mock_convex: MockConvex,
    pub(crate) nats: NatsServer,
}

impl Rig {
    /// Without a reporter; streams and consumers are there.
    pub(crate) async fn bare() -> Self {
        let nats = NatsServer::start().await;
        let mock_convex = MockConvex::start_local(Vec::new()).await.unwrap();
        let config = NatsConfig { url: nats.url(), name: "the test".into(), ..NatsConfig::default() };
        let settings =
            TopologySettings { ack_wait: Duration::from_millis(1500), ..TopologySettings::default() };
        let bus = Bus::connect(&config, settings).await.unwrap();
        bus.ensure_topology().await;
        Self { reporters: Vec::new(), bus, mock_convex, nats }
    }

    /// With one reporter.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let mut rig = Self::bare().await;
        rig.add_reporter(settings).await;
        rig
    }

    /// Starts a reporter and returns its place.
    pub(crate) async fn add_reporter(&mut self, settings: &[(&str, &str)]) -> usize {
        let process = Process::builder(env!("CARGO_BIN_EXE_gavel-reporter"))
            .envs(SETTINGS)
            .env("NATS_URL", self.nats.url())
            .env("CONVEX_SITE_URL", self.mock_convex.url())
            .env("INSTANCE", format!("reporter-{}", self.reporters.len()))
            .envs(settings.iter().copied());
        let process = process.start().unwrap();
        process.wait_log("its start", PATIENCE, |line| line.contains("\"listening\"")).await.unwrap();
        self.reporters.push(process);
        self.reporters.len() - 1
    }

    pub(crate) fn reporter(&self, place: usize) -> &Process {
        &self.reporters[place]
    }

    /// Publishes `running` as a judge does; whether there was no verdict yet.
    pub(crate) async fn begin(&self, submission: &Submission) -> bool {
        let event = Running { submission: submission.clone(), instance: "judge".into() };
        let stored = self.bus.publish(&Outgoing::from(&event), &trace_of(submission), PATIENCE).await;
        stored.unwrap() != Stored::Superseded
    }

    /// Publishes the verdict as a judge does.
    pub(crate) async fn judge(&self, submission: &Submission, verdict: Verdict) {
        let (submission, instance) = (submission.clone(), "judge".to_owned());
        let event = Judged { submission, verdict, duration_ms: 812, instance, assignment: None };
        let trace = trace_of(&event.submission);
        let stored = self.bus.publish(&Outgoing::from(&event), &trace, PATIENCE).await;
        assert_eq!(stored.unwrap(), Stored::New);
    }

    /// Begins one and judges it, as fast as that goes.
    pub(crate) async fn run(&self, submission: &Submission) {
        self.begin(submission).await;
        self.judge(submission, passed()).await;
    }

    /// Waits until these are recorded as reported.
    pub(crate) async fn wait_reported(&self, submissions: &[Submission]) {
        let reported = |key: SubmissionKey| {
            let pattern = format!("submission.reported.{key}");
            async move { nats::count(&self.nats, &pattern).await == 1 }
        };
        for submission in submissions {
            let what = format!("the report of {}", submission.id);
            wait_until(&what, PATIENCE, async || reported(submission.key()).await).await.unwrap_or_else(
                |error| panic!("{error}; it is {:?}", self.mock_convex.submission(submission.id.as_str())),
            );
        }
    }

    /// Waits until both lines are empty and everything is acknowledged.
    pub(crate) async fn wait_idle(&self) {
        for durable in ["reporter-running", "reporter-judged"] {
            let idle = async || nats::is_idle(&self.nats, durable).await;
            wait_until(&format!("{durable} to be idle"), PATIENCE, idle).await.unwrap();
        }
    }

    /// Waits for the report, and checks what must hold whatever went wrong: Convex ends on the verdict, there was
    /// only one, and no `running` was sent after it.
    pub(crate) async fn ends_right(&self, submission: &Submission) -> SubmissionState {
        self.wait_reported(std::slice::from_ref(submission)).await;
        let id = submission.id.as_str();
        let state = self.mock_convex.submission(id).unwrap();
        assert_eq!(
            state.status,
            gavel_mock_convex::Status::Passed,
            "{id}: {:#?}",
            self.mock_convex.calls_of(id)
        );
        assert_eq!(self.mock_convex.distinct_results(id).len(), 1, "{id}");
        assert_eq!(self.late(id, Late::Started), 0, "{id}: {:#?}", self.mock_convex.calls_of(id));
        state
    }

    /// How many calls of running came too late in this way.
    pub(crate) fn late(&self, id: &str, late: Late) -> usize {
        let backwards = self.mock_convex.running_after_result();
        backwards.iter().filter(|one| one.submission_id == id && one.late == late).count()
    }

    /// Waits until so many result calls of this submission have arrived.
    pub(crate) async fn wait_result_calls(&self, id: &str, count: usize) -> Vec<std::sync::Arc<Call>> {
        let results = |mock_convex: &MockConvex| {
            let calls = mock_convex.calls_of(id).into_iter();
            let calls: Vec<_> = calls.filter(|call| call.endpoint == Endpoint::RESULT).collect();
            (calls.len() >= count).then_some(calls)
        };
        self.mock_convex.wait_for(&format!("result call {count} of {id}"), PATIENCE, results).await.unwrap()
    }

    /// Waits until a call of this submission has been applied.
    pub(crate) async fn wait_applied(&self, id: &str, endpoint: Endpoint) {
        let applied = |mock_convex: &MockConvex| {
            let calls = mock_convex.calls_of(id);
            calls.iter().any(|call| call.endpoint == endpoint && call.applied_at().is_some()).then_some(())
        };
        self.mock_convex.wait_for(&format!("{endpoint} of {id} applied"), PATIENCE, applied).await.unwrap();
    }
}

/// Waits for a submission's dead letter.
pub(crate) async fn dead_letter(watch: &mut Watch) -> DeadLetter {
    let dead = async {
        loop {
            match watch.next().await.expect("the connection lasts as long as the test") {
                Seen::DeadLetter(dead) => return dead,
                Seen::Reported => panic!("reported instead of given up"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, dead).await.expect("a dead letter comes")
}

pub(crate) fn submission(id: &str) -> Submission {
    Submission {
        id: SubmissionId::new(id).unwrap(),
        question_id: QuestionId::new("q1").unwrap(),
        language: LanguageId(71),
        kind: SubmissionKind::Standard,
        accepted_at_ms: 1_700_000_000_000,
        generation: Generation::FIRST,
    }
}

/// Several, with a common beginning of their ids.
pub(crate) fn submissions(prefix: &str, count: usize) -> Vec<Submission> {
    (0..count).map(|number| submission(&format!("{prefix}{number}"))).collect()
}

pub(crate) fn passed() -> Verdict {
    Verdict {
        status: Status::Passed,
        passed_count: Some(2),
        total_count: Some(2),
        first_failure: None,
        stderr: None,
        compile_output: None,
        tests: Vec::new(),
        toolchain: None,
    }
}

pub(crate) fn trace_of(submission: &Submission) -> Trace {
    Trace { request_id: RequestId::new(&format!("req-{}", submission.id)), traceparent: None }
}
