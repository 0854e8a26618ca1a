//! A rig with judges, and the fetcher's part: it stores bundles and makes submissions ready.

use std::ops::Deref;
use std::time::{Duration, SystemTime};

use gavel_bus::{Bundles, Stored};
use gavel_domain::event::{BundleKey, Judged, Ready};
use gavel_domain::{LanguageId, Limits, Question, Submission, SubmissionId};
use gavel_inspect::{Inspector, LiveEvent};
use gavel_proto::Event;
use gavel_testkit::process::Builder;
use gavel_testkit::{ServiceProcess, TEST_TIMEOUT, fixtures};

pub(crate) struct Rig(gavel_testkit::Rig);

impl Deref for Rig {
    type Target = gavel_testkit::Rig;

    fn deref(&self) -> &gavel_testkit::Rig {
        &self.0
    }
}

impl Rig {
    /// A rig in which a judge that is silent for 2 s loses its work.
    pub(crate) async fn start() -> Self {
        Self(gavel_testkit::Rig::builder().ack_wait(Duration::from_secs(2)).start().await)
    }

    pub(crate) fn builder(&self) -> Builder {
        self.service(env!("CARGO_BIN_EXE_gavel-judge")).env("JUDGE_SLOTS", "1")
    }

    pub(crate) async fn judge(&self) -> ServiceProcess {
        ServiceProcess::start(self.builder()).await
    }

    /// Stores a question that expects the input as output, with a time limit of 10 s.
    pub(crate) async fn question(&self) -> BundleKey {
        let limits = Limits::new(10.0, 128.0).unwrap();
        self.bundle(&Question { limits, ..fixtures::question(&[("7", "7")]) }).await
    }

    /// Stores a question.
    pub(crate) async fn bundle(&self, question: &Question) -> BundleKey {
        let (key, bytes) = Bundles::seal(question);
        Bundles::new(self.bus.clone()).put(&key, &bytes).await.unwrap();
        key
    }

    /// Publishes a ready submission of a Python program.
    pub(crate) async fn ready(&self, id: &str, bundle: BundleKey, source: &str) {
        self.store(LanguageId(71), id, bundle, source, 0).await;
    }

    /// The same, after its test cases were fetched again `renewals` times.
    pub(crate) async fn renewed(&self, id: &str, bundle: BundleKey, source: &str, renewals: u32) {
        self.store(LanguageId(71), id, bundle, source, renewals).await;
    }

    /// Publishes a ready submission in the given language.
    pub(crate) async fn ready_in(&self, language: LanguageId, id: &str, bundle: BundleKey, source: &str) {
        self.store(language, id, bundle, source, 0).await;
    }

    async fn store(&self, language: LanguageId, id: &str, bundle: BundleKey, source: &str, renewals: u32) {
        let accepted_at_ms = gavel_domain::time::epoch_ms(SystemTime::now());
        let submission = Submission { language, accepted_at_ms, ..fixtures::submission(id) };
        let ready = Ready { submission, source: source.to_owned(), bundle, renewals, handed_on: None };
        assert_eq!(self.publish(&ready).await, Stored::New);
    }

    /// Subscribes to a submission's events. The returned future waits for the verdict.
    pub(crate) async fn watch(&self, id: &str) -> impl Future<Output = SubmissionEnd> + use<> {
        let id = SubmissionId::new(id).unwrap();
        let mut live = Inspector::of(&self.bus).live_events_of(&id).await.unwrap();
        async move {
            let mut dead = None;
            let end = tokio::time::timeout(TEST_TIMEOUT, async {
                loop {
                    let LiveEvent::Message(message) = live.next().await.unwrap() else { continue };
                    match message.event() {
                        Ok(Event::Judged(judged)) => return *judged,
                        Ok(Event::DeadLetter(dead_letter)) => dead = Some(dead_letter.cause),
                        _ => {}
                    }
                }
            });
            SubmissionEnd { judged: end.await.unwrap(), dead }
        }
    }
}

/// The verdict of a submission, and the dead letter before it.
pub(crate) struct SubmissionEnd {
    pub(crate) judged: Judged,
    /// The cause of the dead letter, if there is one.
    pub(crate) dead: Option<String>,
}
