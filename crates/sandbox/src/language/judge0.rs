//! What Judge0 calls its ids, so that one that is not served here can be named.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use gavel_domain::LanguageId;

use super::number_in;

static NAMES: LazyLock<BTreeMap<u32, String>> = LazyLock::new(|| {
    let names: BTreeMap<String, String> = toml::from_str(include_str!("../../judge0.toml"))
        .expect("the names are part of the build, and a test reads them");
    names.into_iter().filter_map(|(id, name)| Some((id.parse().ok()?, name))).collect()
});

/// What Judge0 calls it: "C (GCC 9.2.0)".
pub(super) fn name(id: LanguageId) -> Option<&'static str> {
    NAMES.get(&id.0).map(String::as_str)
}

/// The language of an id, for a person: "Swift (83)", or "language 4711".
pub(crate) fn named(id: LanguageId) -> String {
    match NAMES.get(&id.0) {
        // Without the version, which stands between brackets.
        Some(name) => format!("{} ({id})", name.split(" (").next().unwrap_or(name)),
        None => format!("language {id}"),
    }
}

/// The version that an id stands for, where Judge0's name has one.
pub(crate) fn version(id: LanguageId) -> Option<&'static str> {
    NAMES.get(&id.0).and_then(|name| number_in(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_names_and_most_a_version() {
        assert_eq!(NAMES.len(), 113);
        assert_eq!(named(LanguageId(83)), "Swift (83)");
        assert_eq!(named(LanguageId(76)), "C++ (76)");
        assert_eq!(named(LanguageId(4711)), "language 4711");
        assert_eq!(version(LanguageId(105)), Some("14.1.0"));
        assert_eq!(version(LanguageId(62)), Some("13.0.1"));
        assert_eq!(version(LanguageId(43)), None);
    }
}
