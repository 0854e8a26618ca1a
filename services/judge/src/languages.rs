//! Submissions in languages that this judge lacks, and those that wait for one that it serves.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use gavel_bus::{Bus, HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT, LanguageTurns, LiveInstances, Take};
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
/// After listening for so long, this judge has heard each running judge: a heartbeat may be late by the checks in it.
const ANNOUNCE_TIME: Duration = HEARTBEAT_INTERVAL.saturating_mul(3);
/// The longest time that a judge must have seen no judge with a language before it ends submissions that wait for it.
const MAX_UNSERVED_TIME: Duration = Duration::from_mins(5);

/// Knows what the running judges serve, and gives the consumer loop its turns at waiting submissions.
pub(crate) struct Languages<E> {
    engine: Arc<E>,
    instance: String,
    language_wait: Duration,
    judges: LiveInstances,
    seen: Mutex<Seen>,
    pub(crate) turns: Arc<LanguageTurns>,
}

/// What this judge has seen of the others.
struct Seen {
    /// Since when the heartbeats of all judges have been received without a gap.
    listening_since: Instant,
    /// When a judge last announced each language, for those that were announced lately.
    served_at: HashMap<LanguageId, Instant>,
}

impl Seen {
    fn new(now: Instant) -> Self {
        Self { listening_since: now, served_at: HashMap::new() }
    }

    /// Records the languages that are announced at `now`, and forgets those that were not for `LANGUAGE_WAIT_S`.
    fn record(&mut self, announced: impl IntoIterator<Item = LanguageId>, wait: Duration, now: Instant) {
        self.served_at.extend(announced.into_iter().map(|language| (language, now)));
        let kept = wait.max(MAX_UNSERVED_TIME);
        self.served_at.retain(|_, served_at| now.saturating_duration_since(*served_at) <= kept);
    }

    /// Whether a judge announced a language within `LANGUAGE_WAIT_S` before `now`.
    fn was_served(&self, language: LanguageId, wait: Duration, now: Instant) -> bool {
        let served_at = self.served_at.get(&language);
        served_at.is_some_and(|served_at| now.saturating_duration_since(*served_at) < wait)
    }

    /// For how long no judge has served a language, as far as this judge knows.
    fn unserved_for(&self, language: LanguageId, now: Instant) -> Duration {
        let served_at = self.served_at.get(&language).copied();
        now.saturating_duration_since(self.listening_since.max(served_at.unwrap_or(self.listening_since)))
    }

    /// Whether a submission that has waited for `age` must not wait any longer, if no judge serves its language at `now`.
    /// Submissions that waited for a judge with their language while it was busy do not all end when it restarts.
    fn is_wait_over(&self, language: LanguageId, age: Duration, wait: Duration, now: Instant) -> bool {
        age > wait && self.unserved_for(language, now) > wait.clamp(HEARTBEAT_TIMEOUT, MAX_UNSERVED_TIME)
    }
}

impl<E: Engine> Languages<E> {
    pub(crate) fn new(engine: Arc<E>, config: &Config) -> Self {
        Self {
            engine,
            instance: config.service.instance.clone(),
            language_wait: config.language_wait,
            judges: LiveInstances::default(),
            seen: Mutex::new(Seen::new(Instant::now())),
            turns: Arc::default(),
        }
    }

    /// Whether a submission in a language that this judge lacks may wait. One with an id that is neither in the catalogue
    /// nor was announced lately may not: each waiting language costs a consumer, and a caller can choose any id. Nor may
    /// one whose language no judge serves once others have filled half of the stream: the rest is for languages that are
    /// served.
    pub(crate) async fn may_wait(&self, bus: &Bus, language: LanguageId) -> bool {
        if self.is_served(language) {
            return true;
        }
        let is_known = catalogue::name(language).is_some();
        // Without an answer, publishing the event shows whether there is room.
        if is_known && !self.language_wait.is_zero() && !bus.is_waiting_half_full().await.unwrap_or(false) {
            return true;
        }
        sleep_until(self.heard_all_at().into()).await;
        self.is_announced(language)
    }

    /// Whether another judge may serve a language: it does, it did lately and may be restarting, or not all have been heard.
    pub(crate) fn may_be_served(&self, language: LanguageId) -> bool {
        self.is_served(language) || Instant::now() < self.heard_all_at()
    }

    fn is_served(&self, language: LanguageId) -> bool {
        self.is_announced(language) || self.seen().was_served(language, self.language_wait, Instant::now())
    }

    /// From when on this judge has heard every other one.
    fn heard_all_at(&self) -> Instant {
        self.seen().listening_since + ANNOUNCE_TIME
    }

    /// Whether a submission that has waited for `age` must not wait any longer: no judge serves its language.
    pub(crate) fn is_wait_over(&self, language: LanguageId, age: Duration) -> bool {
        !self.is_announced(language)
            && self.seen().is_wait_over(language, age, self.language_wait, Instant::now())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
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
                    self.seen().listening_since = Instant::now();
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
        let now = Instant::now();
        let announced = self.judges.read(now, |heartbeats| {
            let languages = heartbeats.iter().flat_map(|heartbeat| &heartbeat.languages);
            languages.map(|language| language.id).collect::<HashSet<_>>()
        });
        self.seen().record(announced, self.language_wait, now);
        let waiting = match bus.waiting_languages().await {
            Ok(waiting) => waiting,
            Err(error) => {
                debug!(%error, "cannot look for waiting submissions");
                return LOOK_INTERVAL;
            }
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    const SWIFT: LanguageId = LanguageId(83);
    const WAIT: Duration = Duration::from_mins(1);

    #[test]
    fn wait_lasts_until_no_judge_has_served_the_language_for_as_long() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut seen = Seen::new(start);
        let is_over =
            |seen: &Seen, seconds| seen.is_wait_over(SWIFT, Duration::from_secs(500), WAIT, at(seconds));
        assert_eq!([60, 61].map(|seconds| is_over(&seen, seconds)), [false, true], "after the start");
        seen.record([SWIFT], WAIT, at(100));
        seen.record([], WAIT, at(110));
        assert_eq!([160, 161].map(|seconds| is_over(&seen, seconds)), [false, true], "after it was served");
        assert!(!seen.is_wait_over(SWIFT, WAIT, WAIT, at(500)), "a submission that was handed on just now");
        seen.listening_since = at(200);
        assert_eq!([260, 261].map(|seconds| is_over(&seen, seconds)), [false, true], "after a gap");
    }

    /// Its judge may be restarting. Without the catalogue, nothing else says that the language exists.
    #[test]
    fn language_that_was_announced_lately_is_known() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut seen = Seen::new(start);
        assert!(!seen.was_served(SWIFT, WAIT, at(1)));
        seen.record([SWIFT], WAIT, at(100));
        assert_eq!([159, 160].map(|seconds| seen.was_served(SWIFT, WAIT, at(seconds))), [true, false]);
        assert!(!seen.was_served(SWIFT, Duration::ZERO, at(100)), "LANGUAGE_WAIT_S=0");
        seen.record([], WAIT, at(401));
        assert!(seen.served_at.is_empty());
    }

    #[test]
    fn time_without_a_judge_is_seen_for_15_seconds_to_5_minutes() {
        let (start, age) = (Instant::now(), Duration::from_hours(100));
        let seen = Seen::new(start);
        for (wait, observed) in [(0, 15), (300, 300), (86_400, 300)] {
            let is_over = |seconds| {
                seen.is_wait_over(SWIFT, age, Duration::from_secs(wait), start + Duration::from_secs(seconds))
            };
            assert_eq!((is_over(observed), is_over(observed + 1)), (false, true), "LANGUAGE_WAIT_S={wait}");
        }
    }
}
