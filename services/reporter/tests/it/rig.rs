//! A rig with reporters for one test. The test plays the judge: it publishes `running` and the verdict.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use gavel_bus::topology::{Durable, Stream};
use gavel_bus::{Stored, Trace};
use gavel_domain::event::{DeadLetter, Judged, Rejudged, Running, Stage};
use gavel_domain::{RequestId, Submission, SubmissionId, SubmissionKey, Verdict};
use gavel_inspect::{Inspector, LiveEvent, LiveEvents};
use gavel_mock_convex::{Endpoint, Lateness, MockConvex, ReceivedCall, SubmissionState};
use gavel_proto::Event;
use gavel_testkit::fixtures::{passed, submission};
use gavel_testkit::{ServiceProcess, TEST_TIMEOUT, wait_until};

/// Default settings: short enough for a test, long enough for a loaded machine. A test overrides those that it is
/// about.
const SETTINGS: [(&str, &str); 6] = [
    ("LOG_FORMAT", "json"),
    ("LOG_LEVEL", "info,gavel_bus=debug"),
    ("REQUEST_TIMEOUT_MS", "5000"),
    ("RUNNING_TIMEOUT_MS", "5000"),
    ("RUNNING_LINGER_MS", "1000"),
    ("REPORT_GIVE_UP_AFTER_S", "600"),
];

pub(crate) struct Rig {
    // The first field, so that reporters are dropped before the servers they are connected to.
    reporters: Vec<ServiceProcess>,
    rig: gavel_testkit::Rig,
}

impl Deref for Rig {
    type Target = gavel_testkit::Rig;

    fn deref(&self) -> &gavel_testkit::Rig {
        &self.rig
    }
}

impl DerefMut for Rig {
    fn deref_mut(&mut self) -> &mut gavel_testkit::Rig {
        &mut self.rig
    }
}

impl Rig {
    /// A rig without a reporter.
    pub(crate) async fn bare() -> Self {
        let rig = gavel_testkit::Rig::builder().ack_wait(Duration::from_millis(1500)).start().await;
        Self { reporters: Vec::new(), rig }
    }

    /// A rig with one reporter.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let mut rig = Self::bare().await;
        rig.add_reporter(settings).await;
        rig
    }

    /// Starts a reporter and returns its index.
    pub(crate) async fn add_reporter(&mut self, settings: &[(&str, &str)]) -> usize {
        let builder = self
            .service(env!("CARGO_BIN_EXE_gavel-reporter"))
            .envs(SETTINGS)
            .env("INSTANCE", format!("reporter-{}", self.reporters.len()))
            .envs(settings.iter().copied());
        self.reporters.push(ServiceProcess::start(builder).await);
        self.reporters.len() - 1
    }

    pub(crate) fn reporter(&self, index: usize) -> &ServiceProcess {
        &self.reporters[index]
    }

    /// Publishes `running` as a judge does, and returns whether it was accepted because there is no verdict yet.
    pub(crate) async fn begin(&self, submission: &Submission) -> bool {
        let event = Running { submission: submission.clone(), instance: "judge".into() };
        self.publish_with(&event, &trace_of(submission)).await != Stored::Superseded
    }

    /// Publishes the verdict as a judge does.
    pub(crate) async fn judge(&self, submission: &Submission, verdict: Verdict) {
        let (submission, instance) = (submission.clone(), "judge".to_owned());
        let event = Judged { submission, verdict, duration_ms: 812, instance, assignment: None };
        let stored = self.publish_with(&event, &trace_of(&event.submission)).await;
        assert_eq!(stored, Stored::New);
    }

    /// Publishes `running` and the verdict right after each other.
    pub(crate) async fn run(&self, submission: &Submission) {
        self.begin(submission).await;
        self.judge(submission, passed()).await;
    }

    /// Begins the next generation as `gavel rejudge` does, and returns its submission.
    pub(crate) async fn rejudge(&self, submission: &Submission) -> Submission {
        let submission = Submission { generation: submission.generation.next(), ..submission.clone() };
        let (by, reason) = ("the test".into(), "wanted".into());
        let from = Stage::Fetcher;
        let record = Rejudged { submission: submission.clone(), from, by, reason, run: None };
        assert_eq!(self.publish_with(&record, &trace_of(&submission)).await, Stored::New);
        submission
    }

    /// Waits until these submissions are recorded as reported.
    pub(crate) async fn wait_reported(&self, submissions: &[Submission]) {
        let reported = |key: SubmissionKey| {
            let pattern = format!("submission.reported.{key}");
            async move { self.stored(&pattern).await == Some(1) }
        };
        for submission in submissions {
            let what = format!("the report of {}", submission.id);
            wait_until(&what, TEST_TIMEOUT, async || reported(submission.key()).await).await.unwrap_or_else(
                |error| {
                    panic!("{error}; at Convex it is {:?}", self.convex.submission(submission.id.as_str()))
                },
            );
        }
    }

    /// Waits until the reporters' consumers have delivered everything and everything is acknowledged.
    pub(crate) async fn wait_idle(&self) {
        for durable in [Durable::ReporterRunning, Durable::ReporterJudged] {
            self.jetstream.wait_idle(durable).await;
        }
    }

    /// Deletes the reporters' consumers, and with them the record of what was acknowledged, and creates new ones.
    pub(crate) async fn delete_consumers(&self) {
        for durable in [Durable::ReporterRunning, Durable::ReporterJudged] {
            self.jetstream.delete_consumer(durable).await;
        }
        self.bus.ensure_topology().await;
    }

    /// How many results of this subject's pattern are stored, or `None` if NATS does not answer.
    pub(crate) async fn stored(&self, pattern: &str) -> Option<usize> {
        self.jetstream.subject_count(Stream::Result, pattern).await
    }

    /// Waits for the report, and checks the invariants: Convex ends on the verdict, there was only one, and no
    /// `running` was started after it.
    pub(crate) async fn check_final_state(&self, submission: &Submission) -> SubmissionState {
        self.wait_reported(std::slice::from_ref(submission)).await;
        let id = submission.id.as_str();
        let state = self.convex.submission(id).unwrap();
        assert_eq!(state.status, gavel_mock_convex::Status::Passed, "{id}: {:#?}", self.convex.calls_of(id));
        assert_eq!(self.convex.distinct_results(id).len(), 1, "{id}");
        assert_eq!(self.late(id, Lateness::Started), 0, "{id}: {:#?}", self.convex.calls_of(id));
        state
    }

    /// Subscribes to the events of a submission.
    pub(crate) async fn live_events(&self, id: &SubmissionId) -> LiveEvents {
        Inspector::of(&self.bus).live_events_of(id).await.unwrap()
    }

    /// How many running calls of this submission were late in this way.
    pub(crate) fn late(&self, id: &str, lateness: Lateness) -> usize {
        let late = self.convex.running_after_result();
        late.iter().filter(|one| one.submission_id == id && one.lateness == lateness).count()
    }

    /// Waits until at least `count` result calls of this submission have arrived, and returns them.
    pub(crate) async fn wait_result_calls(
        &self,
        id: &str,
        count: usize,
    ) -> Vec<std::sync::Arc<ReceivedCall>> {
        let results = |convex: &MockConvex| {
            let calls = convex.calls_of(id).into_iter();
            let calls: Vec<_> = calls.filter(|call| call.endpoint == Endpoint::RESULT).collect();
            (calls.len() >= count).then_some(calls)
        };
        self.convex.wait_for(&format!("result call {count} of {id}"), TEST_TIMEOUT, results).await.unwrap()
    }

    /// Waits until a call of this submission has been applied.
    pub(crate) async fn wait_applied(&self, id: &str, endpoint: Endpoint) {
        let applied = |convex: &MockConvex| {
            let calls = convex.calls_of(id);
            calls.iter().any(|call| call.endpoint == endpoint && call.applied_at().is_some()).then_some(())
        };
        self.convex.wait_for(&format!("{endpoint} of {id} applied"), TEST_TIMEOUT, applied).await.unwrap();
    }
}

/// Waits for the dead letter of a submission.
pub(crate) async fn dead_letter(live: &mut LiveEvents) -> DeadLetter {
    let dead = async {
        loop {
            let event = live.next().await.expect("the connection lasts as long as the test");
            let LiveEvent::Message(message) = event else { continue };
            match message.event() {
                Ok(Event::DeadLetter(dead)) => return dead,
                Ok(Event::Reported(_)) => panic!("reported instead of given up"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, dead).await.expect("a dead letter comes")
}

/// Submissions whose ids start with `prefix`.
pub(crate) fn submissions(prefix: &str, count: usize) -> Vec<Submission> {
    (0..count).map(|number| submission(&format!("{prefix}{number}"))).collect()
}

pub(crate) fn trace_of(submission: &Submission) -> Trace {
    Trace { request_id: RequestId::new(&format!("req-{}", submission.id)), traceparent: None }
}
