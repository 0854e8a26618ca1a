//! The one table of streams, subjects and consumers.
//!
//! Each stage has its own stream, so that a full queue never blocks a verdict. Most streams are *write-once*: they hold one
//! message per subject, and the server refuses a second one. This guarantees "one verdict" for as long as the history is
//! kept, which a window of message ids would not.
//!
//! | stream | subjects | retention | share of the store |
//! | --- | --- | --- | --- |
//! | `SUB_QUEUED` | `submission.queued.<key>` | 72 h, write-once: also the record of all submissions | 20 % |
//! | `SUB_READY` | `submission.{ready,expired}.<key>` | until acknowledged (work queue), write-once | 10 % |
//! | `SUB_WAITING` | `submission.waiting.<language>.<key>` | until acknowledged (work queue), write-once | 2 % |
//! | `SUB_RESULT` | `submission.{running,judged,reported,rejudged}.<key>`, `callback.{claimed,answered,dropped}.<key>` | 72 h, write-once | 38 % |
//! | `CALLBACKS` | `callback.attempted.<key>` | 72 h, the last 32 per subject; discards the oldest | 2 % |
//! | `SUB_DEAD` | `submission.dead.<key>` | 30 days; several per subject, one for each stage that failed; discards the oldest | 2 % |
//! | `DEAD_MESSAGES` | `dead-message.<stream>.<sequence>.<unix ms>` | as long as the dead letters that refer to them; discards the oldest | 3 % |
//! | `BUNDLES` | `bundle.<day>.<sha256>.<n>` | 5 days, write-once | 23 % |
//!
//! Each stream also stores `probe.<stream>`: a message that shows that the stream can store, and that expires within seconds.
//!
//! A key is `<id>` for a submission's first generation and `<id>.<generation>` for the others.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config as StreamConfig, DiscardPolicy, RetentionPolicy};
use gavel_domain::event::{BundleKey, Waiting};
use gavel_domain::{LanguageId, SubmissionKey};
use gavel_proto::WireEvent as _;

/// The oldest nats-server, as (major, minor), that has every feature the topology needs. `scripts/lib/nats_server.py` repeats
/// it.
pub const MIN_NATS_VERSION: (u32, u32) = (2, 12);

const HOUR: Duration = Duration::from_hours(1);
/// How long the history reaches back.
pub const HISTORY_AGE: Duration = Duration::from_hours(72);

/// How many dead letters are kept. People list them.
const MAX_DEAD_LETTERS: i64 = 100_000;

/// How many callback attempts of a submission are kept.
const MAX_ATTEMPTS_PER_SUBMISSION: i64 = 32;

/// How many submissions may wait for their languages. Judges list the subjects of all of them every few seconds.
const MAX_WAITING: i64 = 10_000;

/// The age at which work is given up in a stream that deletes messages after `max_age`: early enough that it can still end
/// with an error and a dead letter, and later than the longest retry budget, which begins again after a restart or an outage
/// of Convex. `None` if the stream deletes nothing by age.
#[must_use]
pub fn give_up_age(max_age: Duration) -> Option<Duration> {
    (!max_age.is_zero()).then_some(max_age / 6 * 5)
}

/// What an operator chooses about the streams. It applies when a stream or consumer is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopologySettings {
    /// Replicas of each stream: 1 for a single server, 3 for a cluster.
    pub replicas: usize,
    /// The size limit of all streams together, in bytes.
    pub store_bytes: u64,
    /// How long a message may be in progress without an acknowledgement or progress report before it is delivered again.
    pub ack_wait: Duration,
}

impl Default for TopologySettings {
    fn default() -> Self {
        Self { replicas: 1, store_bytes: 5 << 30, ack_wait: Duration::from_secs(15) }
    }
}

/// A stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Accepted submissions.
    Queued,
    /// Work for the judges.
    Ready,
    /// Work for judges that serve a language which another judge lacks. A separate stream, so that submissions in a
    /// language that no judge serves never fill the one of the others.
    Waiting,
    /// Progress, verdicts, and the record of the callbacks.
    Result,
    /// Callback attempts, for people.
    Callbacks,
    /// Dead letters.
    DeadLetter,
    /// The messages of dead letters that are too large to be part of them. A separate stream, so that they displace no
    /// dead letters.
    DeadMessages,
    /// Test cases.
    Bundles,
}

impl Stream {
    /// All streams, the optional ones last: they get the space that the others leave.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Ready,
        Self::Waiting,
        Self::Result,
        Self::DeadLetter,
        Self::Bundles,
        Self::DeadMessages,
        Self::Callbacks,
    ];

    /// Its name on the server.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "SUB_QUEUED",
            Self::Ready => "SUB_READY",
            Self::Waiting => "SUB_WAITING",
            Self::Result => "SUB_RESULT",
            Self::Callbacks => "CALLBACKS",
            Self::DeadLetter => "SUB_DEAD",
            Self::DeadMessages => "DEAD_MESSAGES",
            Self::Bundles => "BUNDLES",
        }
    }

    fn subjects(self) -> &'static [&'static str] {
        match self {
            Self::Queued => &["submission.queued.*", "submission.queued.*.*", "probe.SUB_QUEUED"],
            Self::Ready => &[
                "submission.ready.*",
                "submission.ready.*.*",
                "submission.expired.*",
                "submission.expired.*.*",
                "probe.SUB_READY",
            ],
            Self::Waiting => &["submission.waiting.*.*", "submission.waiting.*.*.*", "probe.SUB_WAITING"],
            Self::Result => &[
                "submission.running.*",
                "submission.running.*.*",
                "submission.judged.*",
                "submission.judged.*.*",
                "submission.reported.*",
                "submission.reported.*.*",
                "submission.rejudged.*.*",
                "callback.claimed.*",
                "callback.claimed.*.*",
                "callback.answered.*",
                "callback.answered.*.*",
                "callback.dropped.*",
                "callback.dropped.*.*",
                "probe.SUB_RESULT",
            ],
            Self::Callbacks => &["callback.attempted.*", "callback.attempted.*.*", "probe.CALLBACKS"],
            Self::DeadLetter => &["submission.dead.*", "submission.dead.*.*", "probe.SUB_DEAD"],
            Self::DeadMessages => &["dead-message.*.*.*", "probe.DEAD_MESSAGES"],
            Self::Bundles => &["bundle.*.*.*", "probe.BUNDLES"],
        }
    }

    /// The stream that stores a subject; `None` if no stream does.
    pub(crate) fn of_subject(subject: &str) -> Option<Self> {
        let matches = |pattern: &str| {
            pattern.split('.').count() == subject.split('.').count()
                && pattern
                    .split('.')
                    .zip(subject.split('.'))
                    .all(|(want, token)| want == "*" || want == token)
        };
        Self::ALL.into_iter().find(|stream| stream.subjects().iter().any(|pattern| matches(pattern)))
    }

    fn percent(self) -> u64 {
        match self {
            Self::Queued => 20,
            Self::Ready => 10,
            Self::Waiting | Self::Callbacks | Self::DeadLetter => 2,
            Self::Result => 38,
            Self::DeadMessages => 3,
            Self::Bundles => 23,
        }
    }

    /// How long it keeps messages; zero if it deletes none by age.
    pub(crate) fn max_age(self) -> Duration {
        match self {
            Self::Queued | Self::Result | Self::Callbacks => HISTORY_AGE,
            // A submission that waits for a judge never expires, since Convex would not be notified. The limit is the size.
            Self::Ready | Self::Waiting => Duration::ZERO,
            Self::DeadLetter | Self::DeadMessages => HOUR * 24 * 30,
            // The day that the bundle is stored for, the 72 hours that a submission may wait, and a reserve of one day.
            Self::Bundles => HOUR * 24 * 5,
        }
    }

    /// What is different if it does not exist; `None` if the pipeline needs it. The streams of an earlier version may leave no
    /// space for the others.
    #[must_use]
    pub fn effect_if_missing(self) -> Option<&'static str> {
        match self {
            Self::DeadMessages => Some("dead letters contain large messages, so fewer of them are kept"),
            Self::Callbacks => Some("traces contain only some callback attempts"),
            _ => None,
        }
    }

    /// Whether it discards its oldest messages when it is full, instead of refusing new ones: nothing may wait until there
    /// is room, and no work depends on them.
    #[must_use]
    pub fn discards_oldest(self) -> bool {
        matches!(self, Self::Callbacks | Self::DeadLetter | Self::DeadMessages)
    }

    /// Its configuration on the server.
    #[must_use]
    pub fn config(self, settings: &TopologySettings) -> StreamConfig {
        let write_once = !self.discards_oldest();
        let bytes = settings.store_bytes / 100 * self.percent();
        StreamConfig {
            name: self.name().to_owned(),
            subjects: self.subjects().iter().map(|&subject| subject.to_owned()).collect(),
            retention: match self {
                Self::Ready | Self::Waiting => RetentionPolicy::WorkQueue,
                _ => RetentionPolicy::Limits,
            },
            max_bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            max_messages: match self {
                Self::Waiting => MAX_WAITING,
                Self::DeadLetter => MAX_DEAD_LETTERS,
                _ => -1,
            },
            max_age: self.max_age(),
            max_messages_per_subject: match self {
                Self::Callbacks => MAX_ATTEMPTS_PER_SUBMISSION,
                Self::DeadLetter | Self::DeadMessages => -1,
                _ => 1,
            },
            // With "old", a full stream of work would discard the oldest messages, acknowledged or not.
            discard: if self.discards_oldest() { DiscardPolicy::Old } else { DiscardPolicy::New },
            discard_new_per_subject: write_once,
            deny_delete: matches!(self, Self::Queued | Self::Result),
            deny_purge: matches!(self, Self::Queued | Self::Result),
            allow_direct: true,
            // For probes.
            allow_message_ttl: true,
            // The window for duplicate dead letters is longer than an outage of the server; write-once streams need none.
            duplicate_window: if self == Self::DeadLetter { HOUR } else { Duration::ZERO },
            num_replicas: settings.replicas,
            ..StreamConfig::default()
        }
    }
}

/// A durable consumer: one for each kind of work, shared by all instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    /// Queued submissions, for the fetchers.
    Fetcher,
    /// Ready submissions whose test cases are missing, for the fetchers.
    FetcherExpired,
    /// Ready submissions, for the judges.
    Judge,
    /// Started submissions, for the reporters.
    ReporterRunning,
    /// Verdicts, for the reporters; separate from started submissions, so that no verdict waits behind them.
    ReporterJudged,
}

impl Durable {
    /// All consumers.
    pub const ALL: [Self; 5] =
        [Self::Fetcher, Self::FetcherExpired, Self::Judge, Self::ReporterRunning, Self::ReporterJudged];

    /// Its name on the server.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fetcher => "fetcher",
            Self::FetcherExpired => "fetcher-expired",
            Self::Judge => "judge",
            Self::ReporterRunning => "reporter-running",
            Self::ReporterJudged => "reporter-judged",
        }
    }

    /// The stream that it reads.
    #[must_use]
    pub fn stream(self) -> Stream {
        match self {
            Self::Fetcher => Stream::Queued,
            Self::FetcherExpired | Self::Judge => Stream::Ready,
            Self::ReporterRunning | Self::ReporterJudged => Stream::Result,
        }
    }

    /// The subjects that it reads.
    #[must_use]
    pub fn filter(self) -> &'static str {
        match self {
            Self::Fetcher => "submission.queued.>",
            Self::FetcherExpired => "submission.expired.>",
            Self::Judge => "submission.ready.>",
            Self::ReporterRunning => "submission.running.>",
            Self::ReporterJudged => "submission.judged.>",
        }
    }

    /// How many messages may be in progress or waiting for redelivery, over all instances. Far more than the slots need,
    /// since a message that waits for redelivery counts, too.
    fn max_ack_pending(self) -> i64 {
        match self {
            Self::Fetcher | Self::FetcherExpired | Self::Judge => 2_000,
            Self::ReporterRunning => 5_000,
            Self::ReporterJudged => 20_000,
        }
    }

    /// Its configuration on the server.
    #[must_use]
    pub fn config(self, settings: &TopologySettings) -> pull::Config {
        pull::Config {
            durable_name: Some(self.name().to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: settings.ack_wait,
            // The consumer loop limits deliveries: with the server's limit, the message would stay without a dead letter.
            max_deliver: -1,
            filter_subject: self.filter().to_owned(),
            max_ack_pending: self.max_ack_pending(),
            max_waiting: 2_048,
            ..pull::Config::default()
        }
    }
}

/// A durable consumer that a service can pull from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerId {
    /// One that always exists.
    Durable(Durable),
    /// The submissions that wait for a judge that serves this language. It is created when a judge first needs it.
    Language(LanguageId),
}

impl From<Durable> for ConsumerId {
    fn from(durable: Durable) -> Self {
        Self::Durable(durable)
    }
}

impl ConsumerId {
    /// The consumers of the languages together, in the labels of metrics.
    pub(crate) const LANGUAGES: &'static str = "judge-language";

    /// Its name on the server.
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Durable(durable) => durable.name().into(),
            Self::Language(language) => format!("{}-{language}", Self::LANGUAGES).into(),
        }
    }

    /// The stream that it reads.
    #[must_use]
    pub fn stream(self) -> Stream {
        match self {
            Self::Durable(durable) => durable.stream(),
            Self::Language(_) => Stream::Waiting,
        }
    }

    /// Its configuration on the server.
    pub(crate) fn config(self, settings: &TopologySettings) -> pull::Config {
        match self {
            Self::Durable(durable) => durable.config(settings),
            Self::Language(language) => pull::Config {
                durable_name: Some(self.name().into_owned()),
                filter_subject: waiting(language, ">"),
                ..Durable::Judge.config(settings)
            },
        }
    }
}

/// The subject of the probe of a stream. No consumer reads it.
#[must_use]
pub fn probe(stream: Stream) -> String {
    format!("probe.{}", stream.name())
}

/// The subject of an event: `submission.<event>.<key>`.
#[must_use]
pub fn subject(event: &str, key: impl Display) -> String {
    format!("submission.{event}.{key}")
}

/// The subject of a submission that waits for a language: `submission.waiting.<language>.<key>`.
#[must_use]
pub fn waiting(language: LanguageId, key: impl Display) -> String {
    subject(Waiting::NAME, format_args!("{language}.{key}"))
}

/// The subjects of all submissions that wait for a language.
pub const ALL_WAITING: &str = "submission.waiting.>";

/// The language in the subject of a submission that waits for it; `None` if the subject is another one.
#[must_use]
pub fn waiting_language(subject: &str) -> Option<LanguageId> {
    let language = subject.strip_prefix("submission.waiting.")?.split('.').next()?;
    language.parse().ok().map(LanguageId)
}

/// The event and the key of a subject `submission.<event>.<key>` or `submission.waiting.<language>.<key>`; neither is
/// checked.
#[must_use]
pub fn event_and_key(subject: &str) -> Option<(&str, &str)> {
    let (event, rest) = subject.strip_prefix("submission.")?.split_once('.')?;
    let key = if event == Waiting::NAME { rest.split_once('.')?.1 } else { rest };
    Some((event, key))
}

/// The subject of the claim to the first callback of a submission's generation.
#[must_use]
pub fn claimed(key: &SubmissionKey) -> String {
    format!("callback.claimed.{key}")
}

/// The subject of the record that the running callback of a submission's generation has ended.
#[must_use]
pub fn answered(key: &SubmissionKey) -> String {
    format!("callback.answered.{key}")
}

/// The subject of the record that the running callback of a submission's generation was dropped.
#[must_use]
pub fn dropped(key: &SubmissionKey) -> String {
    format!("callback.dropped.{key}")
}

/// The subject of the attempts at the callbacks of a submission's generation.
#[must_use]
pub fn attempted(key: &SubmissionKey) -> String {
    format!("callback.attempted.{key}")
}

/// The subject of the message of a dead letter: its stream, its sequence number there, and when it was stored.
pub(crate) fn dead_message(stream: Stream, sequence: u64, stored_at_ms: u64) -> String {
    format!("dead-message.{}.{sequence}.{stored_at_ms}", stream.name())
}

/// The subject of a bundle's `n`th piece.
pub(crate) fn bundle_piece(key: &BundleKey, n: usize) -> String {
    format!("bundle.{}.{}.{n}", key.day, key.digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_the_store_add_up_to_100_percent() {
        assert_eq!(Stream::ALL.iter().map(|stream| stream.percent()).sum::<u64>(), 100);
    }

    #[test]
    fn each_subject_has_one_stream() {
        assert_eq!(Stream::of_subject("submission.queued.k97"), Some(Stream::Queued));
        for text in ["k97", "k97.2"] {
            let key = SubmissionKey::parse(text).unwrap();
            assert_eq!(Stream::of_subject(&subject("ready", &key)), Some(Stream::Ready));
            assert_eq!(Stream::of_subject(&claimed(&key)), Some(Stream::Result));
            assert_eq!(Stream::of_subject(&answered(&key)), Some(Stream::Result));
            assert_eq!(Stream::of_subject(&dropped(&key)), Some(Stream::Result));
            assert_eq!(Stream::of_subject(&attempted(&key)), Some(Stream::Callbacks));
            assert_eq!(event_and_key(&subject("ready", &key)), Some(("ready", text)));
            let waiting = waiting(LanguageId(83), &key);
            assert_eq!(Stream::of_subject(&waiting), Some(Stream::Waiting));
            assert_eq!(event_and_key(&waiting), Some(("waiting", text)));
            assert_eq!(waiting_language(&waiting), Some(LanguageId(83)));
        }
        for stream in Stream::ALL {
            assert_eq!(Stream::of_subject(&probe(stream)), Some(stream));
        }
        let key = BundleKey { day: 1, digest: "ab".into() };
        assert_eq!(Stream::of_subject(&bundle_piece(&key, 0)), Some(Stream::Bundles));
        assert_eq!(Stream::of_subject(&dead_message(Stream::Ready, 1, 2)), Some(Stream::DeadMessages));
        for foreign in [
            "submission.queued",
            "submission.queued.a.b.c",
            "submission.rejudged.a",
            "submission.waiting.83",
            "submission.other.a",
            "x",
        ] {
            assert_eq!(Stream::of_subject(foreign), None, "{foreign}");
        }
    }
}
