//! Submissions in languages that this judge lacks, and those that wait for one that it serves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use gavel_bus::{Bus, HEARTBEAT_TIMEOUT, LanguageTurns, LiveInstances, Take};
use gavel_domain::{LanguageId, catalogue};
use tokio::time::{sleep, sleep_until};
use tracing::debug;

use crate::Config;
use crate::engine::Engine;

/// How often to look for waiting submissions that were missed, or that have waited too long.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// The same while submissions wait that this judge can take: they may be delivered again.
const SHORT_LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// The server delivers a message to subscribers shortly before it stores it.
const STORE_TIME: Duration = Duration::from_millis(100);

/// Knows what the running judges serve, and gives the consumer loop its turns at waiting submissions.
pub(crate) struct Languages<E> {
    engine: Arc<E>,
    instance: String,
    language_wait: Duration,
    judges: LiveInstances,
    /// Since when the heartbeats of all judges have been received without a gap.
    listening_since: Mutex<Instant>,
    pub(crate) turns: Arc<LanguageTurns>,
}

impl<E: Engine> Languages<E> {
    pub(crate) fn new(engine: Arc<E>, config: &Config) -> Self {
        Self {
            engine,
            instance: config.service.instance.clone(),
            language_wait: config.language_wait,
            judges: LiveInstances::default(),
            listening_since: Mutex::new(Instant::now()),
            turns: Arc::default(),
        }
    }

    /// Whether a submission in a language that this judge lacks may wait. One with an unknown id may not: each waiting
    /// language costs a consumer, and a caller can choose any id.
    pub(crate) fn may_wait(&self, language: LanguageId) -> bool {
        let is_known = catalogue::name(language).is_some();
        self.is_announced(language) || (is_known && !self.language_wait.is_zero())
    }

    /// Whether a submission that has waited for `age` must not wait any longer: no judge serves its language.
    pub(crate) fn is_wait_over(&self, language: LanguageId, age: Duration) -> bool {
        let listening_since = *self.listening_since.lock().unwrap_or_else(PoisonError::into_inner);
        age > self.language_wait
            && listening_since.elapsed() > HEARTBEAT_TIMEOUT
            && !self.is_announced(language)
    }

    /// Gives the loop a turn at the next submission in a language that no judge serves.
    pub(crate) fn end_next(&self, language: LanguageId) {
        self.turns.add(language, Take::One);
    }

    fn is_announced(&self, language: LanguageId) -> bool {
        self.judges
            .read(Instant::now(), |heartbeats| heartbeats.iter().any(|heartbeat| heartbeat.serves(language)))
    }

    /// Whether this judge ends submissions that have waited too long: of all judges without problems, the first by name.
    /// If two think so, the server still delivers each submission to one of them.
    fn is_first_judge(&self) -> bool {
        self.judges.read(Instant::now(), |heartbeats| {
            heartbeats.iter().all(|other| !other.problems.is_empty() || other.instance >= self.instance)
        })
    }

    /// Receives the heartbeats of the judges for as long as the future is polled.
    pub(crate) async fn listen(&self, bus: &Bus) {
        self.judges.listen(bus, "judge").await;
    }

    /// Watches for waiting submissions until the connection is closed.
    pub(crate) async fn watch(&self, bus: &Bus) {
        let Ok(mut handed_on) = bus.handed_on_languages().await else { return };
        let mut connection = bus.connection().state();
        let mut next_look = Instant::now();
        loop {
            tokio::select! {
                () = sleep_until(next_look.into()) => next_look = Instant::now() + self.look(bus).await,
                Ok(()) = connection.changed() => {
                    // Heartbeats and events were missed.
                    *self.listening_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                    next_look = Instant::now();
                }
                language = handed_on.next() => {
                    let Some(language) = language else { return };
                    sleep(STORE_TIME).await;
                    let mut languages = vec![language];
                    while let Some(Some(language)) = handed_on.next().now_or_never() {
                        languages.push(language);
                    }
                    let served = languages.into_iter().filter(|&language| self.add_if_served(language));
                    if served.count() > 0 {
                        next_look = next_look.min(Instant::now() + SHORT_LOOK_INTERVAL);
                    }
                }
            }
        }
    }

    /// Gives the loop turns at a language, if this judge serves it, and returns whether it does.
    fn add_if_served(&self, language: LanguageId) -> bool {
        let is_served = self.engine.serves(language);
        if is_served {
            self.turns.add(language, Take::All);
        }
        is_served
    }

    /// Looks for waiting submissions in the stream, and returns the time until the next look.
    async fn look(&self, bus: &Bus) -> Duration {
        if !bus.is_connected() {
            return LOOK_INTERVAL;
        }
        let waiting = bus.waiting_languages().await.unwrap_or_else(|error| {
            debug!(%error, "cannot look for waiting submissions");
            Vec::new()
        });
        let mut next = LOOK_INTERVAL;
        for waiting in waiting {
            let age = waiting.since.elapsed().unwrap_or_default();
            if self.add_if_served(waiting.language) {
                next = SHORT_LOOK_INTERVAL;
            } else if self.is_wait_over(waiting.language, age) && self.is_first_judge() {
                self.end_next(waiting.language);
            }
        }
        next
    }
}
