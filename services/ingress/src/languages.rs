//! `GET /v1/languages`: what the judges that are there serve, as they say themselves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{self, Request};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use gavel_bus::{Bus, HEARTBEAT_TIMEOUT};
use gavel_domain::heartbeat::Heartbeat;
use serde::Serialize;
use tracing::debug;

use crate::answer;
use crate::handler::State;

/// The most judges that are kept in mind.
const MAX_JUDGES: usize = 1_000;
/// How long to wait before listening again, should that ever end.
const LISTEN_AGAIN: Duration = Duration::from_secs(2);

/// The judges that were heard of late, by their subjects.
#[derive(Default)]
pub(crate) struct Judges(Mutex<HashMap<String, (Instant, Heartbeat)>>);

/// What judges say of one language.
#[derive(Default)]
struct Found {
    names: BTreeSet<String>,
    versions: BTreeSet<String>,
    engines: BTreeSet<String>,
    judges: usize,
}

/// A language as the answer has it.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Served {
    id: u32,
    name: String,
    /// That of the toolchain; all of them, where judges differ.
    version: String,
    engines: BTreeSet<String>,
    judges: usize,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Listing {
    judges: usize,
    languages: Vec<Served>,
}

impl Judges {
    /// Listens for as long as it is polled.
    pub(crate) async fn listen(&self, bus: &Bus) {
        loop {
            match bus.presences("judge").await {
                Ok(mut presences) => {
                    while let Some((subject, heartbeat)) = presences.next().await {
                        self.note(subject, heartbeat, Instant::now());
                    }
                }
                Err(error) => debug!(%error, "cannot listen to the judges"),
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }

    fn note(&self, subject: String, heartbeat: Heartbeat, now: Instant) {
        let mut judges = self.lock();
        forget(&mut judges, now);
        if judges.len() < MAX_JUDGES || judges.contains_key(&subject) {
            judges.insert(subject, (now, heartbeat));
        }
    }

    fn list(&self, now: Instant) -> Listing {
        let mut judges = self.lock();
        forget(&mut judges, now);
        let mut found: BTreeMap<u32, Found> = BTreeMap::new();
        for (_, heartbeat) in judges.values() {
            // A judge may name a language under two engines, and is one judge all the same.
            let mut counted = BTreeSet::new();
            for language in &heartbeat.languages {
                let of = found.entry(language.id.0).or_default();
                of.names.insert(language.name.clone());
                of.versions.extend((!language.version.is_empty()).then(|| language.version.clone()));
                of.engines.insert(language.engine.clone());
                of.judges += usize::from(counted.insert(language.id));
            }
        }
        let served = found.into_iter().map(|(id, of)| Served {
            id,
            name: of.names.into_iter().next().unwrap_or_default(),
            version: of.versions.into_iter().collect::<Vec<_>>().join(", "),
            engines: of.engines,
            judges: of.judges,
        });
        Listing { languages: served.collect(), judges: judges.len() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, Heartbeat)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget(judges: &mut HashMap<String, (Instant, Heartbeat)>, now: Instant) {
    judges.retain(|_, (heard, _)| now.saturating_duration_since(*heard) < HEARTBEAT_TIMEOUT);
}

/// The same keys as for submissions; without counting towards their rate.
pub(crate) async fn languages(
    extract::State(state): extract::State<Arc<State>>,
    request: Request,
) -> Response {
    let headers: &HeaderMap = request.headers();
    if !state.guard.knows(headers) {
        return answer::unauthorized();
    }
    Json(state.judges.list(Instant::now())).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gavel_domain::LanguageId;
    use gavel_domain::heartbeat::ServedLanguage;

    fn heartbeat(languages: &[(u32, &str, &str)]) -> Heartbeat {
        let offered = |&(id, version, engine): &(u32, &str, &str)| ServedLanguage {
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
            languages: languages.iter().map(offered).collect(),
            dependencies: Vec::new(),
            problems: Vec::new(),
        }
    }

    #[test]
    fn judges_are_counted_and_those_that_fall_silent_are_forgotten() {
        let (judges, start) = (Judges::default(), Instant::now());
        judges.note(
            "a".to_owned(),
            heartbeat(&[(71, "3.11.2", "sandbox"), (50, "12.2.0", "sandbox")]),
            start,
        );
        judges.note("b".to_owned(), heartbeat(&[(71, "3.13.1", "sandbox"), (83, "", "judge0")]), start);
        let later = start + Duration::from_secs(10);
        judges.note("b".to_owned(), heartbeat(&[(71, "3.13.1", "sandbox"), (83, "", "judge0")]), later);
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
    fn the_number_of_judges_kept_is_bounded() {
        let (judges, now) = (Judges::default(), Instant::now());
        for n in 0..2 * MAX_JUDGES {
            judges.note(n.to_string(), heartbeat(&[]), now);
        }
        assert_eq!(judges.list(now).judges, MAX_JUDGES);
    }
}
