//! The languages that the running judges serve, from their heartbeats.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use gavel_bus::LiveInstances;
use serde::Serialize;

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

/// Lists the languages that the judges alive at `now` serve.
pub(crate) fn list(judges: &LiveInstances, now: Instant) -> LanguageList {
    judges.read(now, |heartbeats| {
        let mut languages = BTreeMap::<u32, Reported>::new();
        for heartbeat in heartbeats {
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
        LanguageList { languages: entries.collect(), judges: heartbeats.len() }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use gavel_bus::HEARTBEAT_TIMEOUT;
    use gavel_domain::LanguageId;
    use gavel_domain::heartbeat::{Heartbeat, ServedLanguage};

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
        let (judges, start) = (LiveInstances::default(), Instant::now());
        judges.record(
            "a".to_owned(),
            heartbeat(&[(71, "3.11.2", "sandbox"), (50, "12.2.0", "sandbox")]),
            start,
        );
        judges.record("b".to_owned(), heartbeat(&[(71, "3.13.1", "sandbox"), (83, "", "judge0")]), start);
        let later = start + Duration::from_secs(10);
        judges.record("b".to_owned(), heartbeat(&[(71, "3.13.1", "sandbox"), (83, "", "judge0")]), later);
        let text = |at| serde_json::to_string(&list(&judges, at)).unwrap();
        assert_eq!(
            text(later),
            concat!(
                r#"{"judges":2,"languages":[{"id":50,"name":"L50","version":"12.2.0","engines":["sandbox"],"judges":1},"#,
                r#"{"id":71,"name":"L71","version":"3.11.2, 3.13.1","engines":["sandbox"],"judges":2},"#,
                r#"{"id":83,"name":"L83","version":"","engines":["judge0"],"judges":1}]}"#,
            )
        );
        let listing = list(&judges, start + HEARTBEAT_TIMEOUT);
        assert_eq!((listing.judges, listing.languages.len()), (1, 2));
        assert_eq!(text(later + HEARTBEAT_TIMEOUT), r#"{"judges":0,"languages":[]}"#);
    }

    #[test]
    fn number_of_tracked_judges_is_bounded() {
        let (judges, now) = (LiveInstances::default(), Instant::now());
        for n in 0..2_000 {
            judges.record(n.to_string(), heartbeat(&[]), now);
        }
        assert_eq!(list(&judges, now).judges, 1_000);
    }
}
