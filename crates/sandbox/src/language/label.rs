//! What people call the language of one of Judge0's ids, in a word or two: the table of languages says so.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use gavel_domain::LanguageId;

use super::{Languages, judge0};

static LABELS: LazyLock<BTreeMap<u32, String>> = LazyLock::new(|| {
    let mut labels = BTreeMap::new();
    for language in Languages::default().entries() {
        labels.extend(language.ids.iter().map(|id| (*id, short(&language.name).to_owned())));
    }
    labels
});

/// The language of an id, without toolchain and version: "Python". An id that the table does not have is called as
/// Judge0 calls it, with its version's first number where the table has another of that name: "Python 2".
#[must_use]
pub fn label(id: LanguageId) -> Option<String> {
    if let Some(label) = LABELS.get(&id.0) {
        return Some(label.clone());
    }
    let name = judge0::name(id)?;
    let is_taken = LABELS.values().any(|label| label == short(name));
    let major = judge0::version(id).and_then(|version| version.split('.').next()).filter(|_| is_taken);
    Some(major.map_or_else(|| short(name).to_owned(), |major| format!("{} {major}", short(name))))
}

/// A name without what stands in brackets.
fn short(name: &str) -> &str {
    name.split(" (").next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_of_the_table_has_the_label_that_judge0_has_for_it_too() {
        assert_eq!(LABELS.len(), 48);
        for (id, label) in LABELS.iter() {
            assert_eq!(judge0::name(LanguageId(*id)).map(short), Some(label.as_str()), "{id}");
            assert!(label.len() <= 10, "{label} is longer than the column of a tap");
        }
    }

    #[test]
    fn ids_that_are_not_served_have_one_too() {
        let label = |id| label(LanguageId(id));
        let labels = [71, 50, 63, 109, 82].map(|id| label(id).unwrap());
        assert_eq!(labels, ["Python", "C", "JavaScript", "Python", "SQL"]);
        assert_eq!([70, 83, 81].map(|id| label(id).unwrap()), ["Python 2", "Swift", "Scala"]);
        assert_eq!(label(4711), None);
    }
}
