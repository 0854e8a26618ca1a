//! The table of languages, `languages.toml`, which is part of the executable.

use gavel_domain::LanguageId;
use serde::Deserialize;

/// One entry of the table; `languages.toml` says what each field means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Language {
    pub(crate) ids: Vec<u32>,
    pub(crate) name: String,
    pub(crate) toolchain: String,
    pub(crate) version: Vec<String>,
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) compile: Vec<String>,
    #[serde(default)]
    pub(crate) artefact: String,
    pub(crate) run: Vec<String>,
    #[serde(default)]
    pub(crate) etc: Vec<String>,
    #[serde(default)]
    pub(crate) environment: Vec<String>,
    #[serde(default)]
    pub(crate) extra_memory_mib: u64,
    #[serde(default)]
    pub(crate) extra_processes: u32,
    pub(crate) compile_memory_mib: Option<u64>,
    pub(crate) out_of_memory: Option<String>,
}

/// A language whose toolchain works on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedLanguage {
    /// Judge0's id.
    pub id: LanguageId,
    /// What a person calls it.
    pub name: String,
    /// What the toolchain says of its version, one line.
    pub version: String,
}

#[derive(Deserialize)]
struct Table {
    language: Vec<Language>,
}

/// What every program finds in its environment.
const ENVIRONMENT: [&str; 4] =
    ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/box/work", "LANG=C.UTF-8", "TMPDIR=/tmp"];

impl Language {
    /// All entries of the table.
    pub(crate) fn table() -> Vec<Self> {
        let table: Table = toml::from_str(include_str!("../languages.toml"))
            .expect("the table is part of the build, and a test reads it");
        table.language
    }

    /// The environment of its compiler and its programs.
    pub(crate) fn env(&self) -> Vec<String> {
        ENVIRONMENT.into_iter().map(str::to_owned).chain(self.environment.iter().cloned()).collect()
    }

    /// The name of the file that is run: the compiler's, or the source.
    pub(crate) fn program_file(&self) -> &str {
        if self.compile.is_empty() { &self.source } else { &self.artefact }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_table_is_whole() {
        let table = Language::table();
        let mut seen = HashSet::new();
        for language in &table {
            assert!(
                !language.ids.is_empty() && language.ids.iter().all(|id| seen.insert(*id)),
                "{language:?}"
            );
            assert_eq!(language.compile.is_empty(), language.artefact.is_empty(), "{}", language.name);
            for command in [&language.version, &language.run, &language.compile] {
                assert!(command.first().is_none_or(|program| program.starts_with('/')), "{command:?}");
            }
            let file = format!("/box/program/{}", language.program_file());
            assert!(language.run.contains(&file), "{} does not run {file}", language.name);
            assert!(language.environment.iter().all(|variable| variable.contains('=')), "{}", language.name);
        }
        for id in [50, 52, 54, 63, 71] {
            assert!(seen.contains(&id), "{id}");
        }
    }
}
