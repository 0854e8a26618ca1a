//! A server, a connection as the fetcher has it, and judges.

use std::time::{Duration, SystemTime};

use gavel_bus::topology::TopologySettings;
use gavel_bus::{Bundles, Bus, NatsConfig, Outgoing, Seen, Stored, Trace};
use gavel_domain::event::{BundleKey, Judged, Ready};
use gavel_domain::{
    Comparison, Generation, LanguageId, Limits, Question, QuestionId, Submission, SubmissionId,
    SubmissionKind, TestCase, Visibility,
};
use gavel_testkit::process::Builder;
use gavel_testkit::{NatsServer, Process};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Rig {
    pub(crate) nats: NatsServer,
    pub(crate) bus: Bus,
}

impl Rig {
    /// A server with its streams; a judge that is silent for 2 s loses its work.
    pub(crate) async fn start() -> Self {
        let nats = NatsServer::start().await;
        let config = NatsConfig { url: nats.url(), name: "test".to_owned(), ..NatsConfig::default() };
        let settings = TopologySettings { ack_wait: Duration::from_secs(2), ..TopologySettings::default() };
        let bus = Bus::connect(&config, settings).await.unwrap();
        bus.ensure_topology().await;
        Self { nats, bus }
    }

    pub(crate) fn builder(&self) -> Builder {
        Process::builder(env!("CARGO_BIN_EXE_gavel-judge"))
            .env("NATS_URL", self.nats.url())
            .env("PORT", "0")
            .env("JUDGE_SLOTS", "1")
    }

    pub(crate) async fn judge(&self) -> Process {
        let judge = self.builder().start().unwrap();
        judge.wait_log("its port", PATIENCE, |line| line.contains("\"listening\"")).await.unwrap();
        judge
    }

    /// Stores a question that wants the input back, within 10 s.
    pub(crate) async fn question(&self) -> BundleKey {
        let test = TestCase {
            visibility: Visibility::Public,
            stdin: "7".to_owned(),
            expected_stdout: "7".to_owned(),
        };
        let question = Question {
            limits: Limits::new(10.0, 128.0).unwrap(),
            comparison: Comparison { trim_outputs: true, normalize_whitespace: false, case_sensitive: true },
            tests: vec![test],
        };
        let (key, bytes) = Bundles::seal(&question);
        Bundles::new(self.bus.clone()).put(&key, &bytes).await.unwrap();
        key
    }

    /// Makes a Python program ready.
    pub(crate) async fn ready(&self, id: &str, bundle: BundleKey, source: &str) {
        self.store(LanguageId(71), id, bundle, source, 0).await;
    }

    /// The same, after its test cases were fetched anew so many times.
    pub(crate) async fn renewed(&self, id: &str, bundle: BundleKey, source: &str, renewals: u32) {
        self.store(LanguageId(71), id, bundle, source, renewals).await;
    }

    /// Makes a program in some language ready.
    pub(crate) async fn ready_in(&self, language: LanguageId, id: &str, bundle: BundleKey, source: &str) {
        self.store(language, id, bundle, source, 0).await;
    }

    async fn store(&self, language: LanguageId, id: &str, bundle: BundleKey, source: &str, renewals: u32) {
        let submission = Submission {
            id: SubmissionId::new(id).unwrap(),
            question_id: QuestionId::new("q").unwrap(),
            language,
            kind: SubmissionKind::Standard,
            accepted_at_ms: u64::try_from(
                SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis(),
            )
            .unwrap(),
            generation: Generation::FIRST,
        };
        let ready = Ready { submission, source: source.to_owned(), bundle, renewals };
        let stored = self.bus.publish(&Outgoing::from(&ready), &Trace::default(), PATIENCE).await.unwrap();
        assert_eq!(stored, Stored::New);
    }

    /// Starts to watch a submission; what it is given back waits for its end and says what was seen.
    pub(crate) async fn watch(&self, id: &str) -> impl Future<Output = End> + use<> {
        let mut watch = self.bus.watch(&SubmissionId::new(id).unwrap()).await.unwrap();
        async move {
            let mut dead = None;
            let end = tokio::time::timeout(PATIENCE, async {
                loop {
                    match watch.next().await.unwrap() {
                        Seen::Judged(judged) => return *judged,
                        Seen::DeadLetter(letter) => dead = Some(letter.cause),
                        _ => {}
                    }
                }
            });
            End { judged: end.await.unwrap(), dead }
        }
    }
}

/// How a submission ended.
pub(crate) struct End {
    pub(crate) judged: Judged,
    /// The cause of a dead letter that came before.
    pub(crate) dead: Option<String>,
}
