//! The languages that the running judges serve, from their heartbeats.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gavel_bus::{Bus, HEARTBEAT_TIMEOUT};
use gavel_domain::heartbeat::Heartbeat;
use serde::Serialize;
use tracing::debug;

/// The maximum number of judges that are tracked.
const MAX_JUDGES: usize = 1_000;
/// The pause before subscribing again after a subscription failed or ended.
const RESUBSCRIBE_PAUSE: Duration = Duration::from_secs(2);

/// The judges with a recent heartbeat, by the subjects of their heartbeats.
#[derive(Default)]
pub(crate) struct Judges(Mutex<HashMap<String, (Instant, Heartbeat)>>);

/// What the judges report about one language.
#[derive(Default)]
struct Reported {
    names: BTreeSet<String>,
    versions: BTreeSet<String>,
    engines: BTreeSet<String>,
    judges: usize,
}

/// A language in the response.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct LanguageEntry {
    id: u32,
    name: String,
    /// The version of the toolchain; a list if the judges have different versions.
    version: String,
    engines: BTreeSet<String>,
    judges: usize,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LanguageList {
    judges: usize,
    languages: Vec<LanguageEntry>,
}

impl Judges {
    /// Receives heartbeats for as long as the future is polled.
    pub(crate) async fn listen(&self, bus: &Bus) {
        loop {
            match bus.heartbeats("judge").await {
                Ok(mut presences) => {
                    while let Some((subject, heartbeat)) = presences.next().await {
                        self.record(subject, heartbeat, Instant::now());
                    }
                }
                Err(error) => debug!(%error, "cannot subscribe to the heartbeats of the judges"),
            }
            tokio::time::sleep(RESUBSCRIBE_PAUSE).await;
        }
    }

    fn record(&self, subject: String, heartbeat: Heartbeat, now: Instant) {
        let mut judges = self.lock();
        remove_silent(&mut judges, now);
        if judges.len() < MAX_JUDGES || judges.contains_key(&subject) {
            judges.insert(subject, (now, heartbeat));
        }
    }

    pub(crate) fn list(&self, now: Instant) -> LanguageList {
        let mut judges = self.lock();
        remove_silent(&mut judges, now);
        let mut languages: BTreeMap<u32, Reported> = BTreeMap::new();
        for (_, heartbeat) in judges.values() {
            // A judge may report a language under two engines, but it counts once.
            let mut counted = BTreeSet::new();
            for language in &heartbeat.languages {
                let reported = languages.entry(language.id.0).or_default();
                reported.names.insert(language.name.clone());
                reported.versions.extend((!language.version.is_empty()).then(|| language.version.clone()));
                reported.engines.insert(language.engine.clone());
                reported.judges += usize::from(counted.insert(language.id));
            }
        }
        let entries = languages.into_iter().map(|(id, reported)| LanguageEntry {
            id,
            name: reported.names.into_iter().next().unwrap_or_default(),
            version: reported.versions.into_iter().collect::<Vec<_>>().join(", "),
            engines: reported.engines,
            judges: reported.judges,
        });
        LanguageList { languages: entries.collect(), judges: judges.len() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, Heartbeat)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove_silent(judges: &mut HashMap<String, (Instant, Heartbeat)>, now: Instant) {
    judges.retain(|_, (received_at, _)| now.saturating_duration_since(*received_at) < HEARTBEAT_TIMEOUT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use gavel_domain::LanguageId;
    use gavel_domain::heartbeat::ServedLanguage;

    fn heartbeat(languages: &[(u32, &str, &str)]) -> Heartbeat {
        let language = |&(id, version, engine): &(u32, &str, &str)| ServedLanguage {
            id: LanguageId(id),
            name: format!("L{id}"),
            version: version.to_owned(),
            engine: engine.to_owned(),
        };
        Heartbeat {
            service: "judge".to_owned(),
            instance: "j".to_owned(),
            version: "1".to_owned(),
            started_at_ms: 1,
            slots: 2,
            busy: 0,
            languages: languages.iter().map(language).collect(),
            dependencies: Vec::new(),
            problems: Vec::new(),
        }
    }

    #[test]
    fn silent_judges_are_removed_and_others_counted_per_language() {
        let (judges, start) = (Judges::default(), Instant::now());
        judges.record(
            "a".to_owned(),
            heartbeat(&[(71, "3.11.2", "sandbox"), (50, "12.2.0", "sandbox")]),
            start,
        );
        judges.record("b".to_owned(), heartbeat(&[(71, "3.13.1", "sandbox"), (83, "", "judge0")]), start);
        let later = start + Duration::from_secs(10);
        judges.record("b".to_owned(), heartbeat(&[(71, "3.13.1", "sandbox"), (83, "", "judge0")]), later);
        let text = |at| serde_json::to_string(&judges.list(at)).unwrap();
        assert_eq!(
            text(later),
            concat!(
                r#"{"judges":2,"languages":[{"id":50,"name":"L50","version":"12.2.0","engines":["sandbox"],"judges":1},"#,
                r#"{"id":71,"name":"L71","version":"3.11.2, 3.13.1","engines":["sandbox"],"judges":2},"#,
                r#"{"id":83,"name":"L83","version":"","engines":["judge0"],"judges":1}]}"#,
            )
        );
        let listing = judges.list(start + HEARTBEAT_TIMEOUT);
        assert_eq!((listing.judges, listing.languages.len()), (1, 2));
        assert_eq!(text(later + HEARTBEAT_TIMEOUT), r#"{"judges":0,"languages":[]}"#);
    }

    #[test]
    fn number_of_tracked_judges_is_bounded() {
        let (judges, now) = (Judges::default(), Instant::now());
        for n in 0..2 * MAX_JUDGES {
            judges.record(n.to_string(), heartbeat(&[]), now);
        }
        assert_eq!(judges.list(now).judges, MAX_JUDGES);
    }
}
