//! The catalogue of languages: Judge0's ids, with their names, display labels, file extensions and metric labels.
//!
//! It lists every language that a submission may name. Whether a judge can run one is up to its engine.

use crate::LanguageId;

mod table;

use table::TABLE;

/// A language of the catalogue.
#[derive(Debug)]
struct CatalogueEntry {
    id: u32,
    name: &'static str,
    label: &'static str,
    extensions: &'static [&'static str],
    metric_label: Option<&'static str>,
}

const fn entry(id: u32, name: &'static str, label: &'static str) -> CatalogueEntry {
    CatalogueEntry { id, name, label, extensions: &[], metric_label: None }
}

impl CatalogueEntry {
    const fn extensions(self, extensions: &'static [&'static str]) -> Self {
        Self { extensions, ..self }
    }

    const fn metric_label(self, label: &'static str) -> Self {
        Self { metric_label: Some(label), ..self }
    }
}

fn find(id: LanguageId) -> Option<&'static CatalogueEntry> {
    TABLE.binary_search_by_key(&id.0, |entry| entry.id).ok().map(|index| &TABLE[index])
}

/// Returns Judge0's name of a language, with its version, such as "C (GCC 9.2.0)".
#[must_use]
pub fn name(id: LanguageId) -> Option<&'static str> {
    find(id).map(|entry| entry.name)
}

/// Returns the display label of a language, without toolchain and version, such as "C" or "Python 2".
#[must_use]
pub fn label(id: LanguageId) -> Option<&'static str> {
    find(id).map(|entry| entry.label)
}

/// Returns the version in Judge0's name of a language, such as "9.2.0". `None` if the name has none.
#[must_use]
pub fn version(id: LanguageId) -> Option<&'static str> {
    find(id).and_then(|entry| version_in(entry.name))
}

/// The label value in metrics of all languages that the app does not offer.
pub const OTHER_LABEL: &str = "other";

/// Returns the label value of a language in metrics, such as "50 C". A language that the app does not offer is "other",
/// so that a caller cannot create new label values.
#[must_use]
pub fn metric_label(id: LanguageId) -> &'static str {
    find(id).and_then(|entry| entry.metric_label).unwrap_or(OTHER_LABEL)
}

/// Returns the languages that the app offers, by id.
pub fn offered() -> impl Iterator<Item = LanguageId> {
    TABLE.iter().filter(|entry| entry.metric_label.is_some()).map(|entry| LanguageId(entry.id))
}

/// Returns the language of source files with this extension (without the dot).
#[must_use]
pub fn by_extension(extension: &str) -> Option<LanguageId> {
    TABLE.iter().find(|entry| entry.extensions.contains(&extension)).map(|entry| LanguageId(entry.id))
}

/// Returns the first version number in a text: digits with at least one dot between them.
#[must_use]
pub fn version_in(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        rest = &rest[start..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number = rest[..end].trim_end_matches('.');
        if number.contains('.') {
            return Some(number);
        }
        rest = &rest[end..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_and_texts_are_unique_where_they_must_be() {
        assert!(TABLE.is_sorted_by(|one, next| one.id < next.id));
        let all_differ =
            |texts: Vec<&str>| texts.iter().collect::<std::collections::HashSet<_>>().len() == texts.len();
        assert!(all_differ(TABLE.iter().flat_map(|entry| entry.extensions).copied().collect()));
        assert!(all_differ(TABLE.iter().filter_map(|entry| entry.metric_label).collect()));
    }

    #[test]
    fn labels_name_languages_without_toolchain() {
        let labels = [71, 50, 63, 109, 82].map(|id| label(LanguageId(id)).unwrap());
        assert_eq!(labels, ["Python", "C", "JavaScript", "Python", "SQL"]);
        assert_eq!([70, 83, 81].map(|id| label(LanguageId(id)).unwrap()), ["Python 2", "Swift", "Scala"]);
        assert_eq!(label(LanguageId(4711)), None);
        for entry in &TABLE {
            let short = entry.name.split(" (").next().unwrap();
            let rest = entry.label.strip_prefix(short).unwrap_or_else(|| panic!("{entry:?}"));
            let major = version_in(entry.name).and_then(|version| version.split('.').next());
            assert!(rest.is_empty() || rest.strip_prefix(' ') == major, "{entry:?}");
        }
    }

    #[test]
    fn most_names_have_a_version() {
        assert_eq!(name(LanguageId(50)), Some("C (GCC 9.2.0)"));
        assert_eq!(version(LanguageId(105)), Some("14.1.0"));
        assert_eq!(version(LanguageId(62)), Some("13.0.1"));
        assert_eq!(version(LanguageId(43)), None);
    }

    #[test]
    fn languages_that_the_app_offers_have_metric_labels() {
        let ids = [50, 51, 52, 54, 60, 61, 62, 63, 68, 70, 71, 72, 73, 74, 78, 83];
        assert_eq!(offered().collect::<Vec<_>>(), ids.map(LanguageId));
        for id in ids {
            assert!(metric_label(LanguageId(id)).starts_with(&format!("{id} ")), "{id}");
        }
        assert_eq!(metric_label(LanguageId(71)), "71 Python 3");
        assert_eq!([46, 4711].map(|id| metric_label(LanguageId(id))), ["other", "other"]);
    }

    #[test]
    fn extensions_name_languages() {
        let rows =
            [("c", 50), ("cpp", 54), ("cc", 54), ("py", 71), ("mjs", 63), ("hs", 61), ("R", 80), ("r", 80)];
        for (extension, id) in rows {
            assert_eq!(by_extension(extension), Some(LanguageId(id)), "{extension}");
        }
        assert_eq!(by_extension("txt"), None);
    }

    #[test]
    fn version_numbers_are_found_in_toolchain_output() {
        let rows = [
            ("gcc (Debian 12.2.0-14+deb12u1) 12.2.0", Some("12.2.0")),
            ("go version go1.19.8 linux/amd64", Some("1.19.8")),
            ("/usr/share/java/kotlin-stdlib-1.3.31.jar", Some("1.3.31")),
            ("openjdk 21 2023-09-19", None),
            ("This is perl 5, version 36, subversion 0 (v5.36.0)", Some("5.36.0")),
            ("8.", None),
            ("", None),
        ];
        for (text, number) in rows {
            assert_eq!(version_in(text), number, "{text}");
        }
    }
}
