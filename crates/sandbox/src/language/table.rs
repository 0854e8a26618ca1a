//! The table of languages: `languages.toml`, which is part of the executable, and an operator's file over it.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gavel_domain::LanguageId;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Language;

/// Where no toolchain may be shown: the sandbox has its own.
const RESERVED: [&str; 7] = ["/proc", "/sys", "/dev", "/box", "/tmp", "/run", "/usr"];
/// The most that one entry may ask for in memory, in MiB.
const MAX_MIB: u32 = 1 << 20;

/// The languages that are looked for.
#[derive(Clone, Debug)]
pub struct Languages {
    entries: Vec<Arc<Language>>,
}

/// What is wrong with an operator's file.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It says something that cannot be.
    #[error("{}, line {line}{}: {problem}", path.display(), field.as_ref().map_or(String::new(), |field| format!(", {field}")))]
    Invalid {
        /// Which.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The field, where it is one.
        field: Option<String>,
        /// What is wrong with it.
        problem: String,
    },
}

/// What is wrong with a text, and where.
struct Wrong {
    span: Range<usize>,
    field: Option<String>,
    problem: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    language: Vec<Spanned<Language>>,
}

impl Default for Languages {
    /// The table that is part of the executable.
    fn default() -> Self {
        let read = read(include_str!("../../languages.toml"));
        Self { entries: read.unwrap_or_else(|wrong| panic!("a test reads the table: {}", wrong.problem)) }
    }
}

impl Languages {
    /// The same with an operator's file over it: an entry there takes its ids from those here.
    ///
    /// # Errors
    /// [`TableError`], which names line and field.
    pub fn with_file(self, path: &Path) -> Result<Self, TableError> {
        let unreadable = |source| TableError::Unreadable { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let over = read(&text).map_err(|Wrong { span, field, problem }| TableError::Invalid {
            path: path.to_owned(),
            line: text[..span.start.min(text.len())].matches('\n').count() + 1,
            field,
            problem,
        })?;
        Ok(self.under(over))
    }

    /// Only these ids of Judge0's; the others are as good as unknown.
    #[must_use]
    pub fn only(self, ids: &[u32]) -> Self {
        self.keep(|id| ids.contains(&id))
    }

    /// Whether the toolchain of an id is on this machine; whether it works shows when a sandbox starts.
    #[must_use]
    pub fn has_toolchain(&self, id: LanguageId) -> bool {
        let entry = self.entries.iter().find(|language| language.ids.contains(&id.0));
        entry.is_some_and(|language| Path::new(&language.toolchain).exists())
    }

    pub(crate) fn entries(&self) -> &[Arc<Language>] {
        &self.entries
    }

    fn under(self, over: Vec<Arc<Language>>) -> Self {
        let taken: HashSet<u32> = over.iter().flat_map(|language| language.ids.iter().copied()).collect();
        let mut whole = self.keep(|id| !taken.contains(&id));
        whole.entries.extend(over);
        whole
    }

    fn keep(mut self, keep: impl Fn(u32) -> bool) -> Self {
        for language in &mut self.entries {
            Arc::make_mut(language).ids.retain(|id| keep(*id));
        }
        self.entries.retain(|language| !language.ids.is_empty());
        self
    }
}

/// The entries of a text, each checked.
fn read(text: &str) -> Result<Vec<Arc<Language>>, Wrong> {
    let wrong = |error: toml::de::Error, document: Option<&DeTable<'_>>| {
        let span = error.span().unwrap_or_default();
        let field = document.and_then(|document| field_at(document, span.start));
        Wrong { span, field, problem: error.message().replace('\n', " ") }
    };
    let document = DeTable::parse(text).map_err(|error| wrong(error, None))?;
    let table: Table = toml::from_str(text).map_err(|error| wrong(error, Some(document.get_ref())))?;
    let mut seen = HashSet::new();
    for (index, entry) in table.language.iter().enumerate() {
        if let Err((field, problem)) = check(entry.get_ref(), &mut seen) {
            let place = entry_field(document.get_ref(), index, field).unwrap_or_else(|| entry.span());
            return Err(Wrong { span: place, field: Some(field.to_owned()), problem });
        }
    }
    Ok(table.language.into_iter().map(|entry| Arc::new(entry.into_inner())).collect())
}

/// The first thing in an entry that cannot be: its field, and why.
fn check(language: &Language, seen: &mut HashSet<u32>) -> Result<(), (&'static str, String)> {
    let fail = |field, problem: &str| Err((field, problem.to_owned()));
    if language.ids.is_empty() {
        return fail("ids", "must name at least one of Judge0's ids");
    }
    if let Some(twice) = language.ids.iter().find(|id| !seen.insert(**id)) {
        return Err(("ids", format!("{twice} stands here a second time")));
    }
    if language.name.trim().is_empty() || language.name.len() > 100 {
        return fail("name", "must be 1 to 100 bytes");
    }
    for (field, command, needed) in [
        ("version", &language.version, true),
        ("compile", &language.compile, false),
        ("run", &language.run, true),
    ] {
        match command.first() {
            None if needed => return fail(field, "must be a command: a program and its arguments"),
            Some(program) if !program.starts_with('/') => {
                return fail(field, "must begin with an absolute path");
            }
            _ => {}
        }
    }
    if !language.toolchain.starts_with('/') {
        return fail("toolchain", "must be an absolute path");
    }
    if !is_file_name(&language.source) {
        return fail("source", "must be the name of a file, without a folder");
    }
    if language.compile.is_empty() != language.artefact.is_empty() {
        return fail("artefact", "must be there with `compile`, and only then");
    }
    if !language.artefact.is_empty() && !is_file_name(&language.artefact) {
        return fail("artefact", "must be the name of a file, without a folder");
    }
    let file = format!("/box/program/{}", language.program_file());
    if !language.run.iter().any(|argument| argument.contains(&file)) {
        return Err(("run", format!("must run {file}")));
    }
    if let Some(mount) = language.mounts.iter().find(|mount| !can_be_shown(mount)) {
        return Err((
            "mounts",
            format!("{mount:?} must be an absolute path outside {}", RESERVED.join(", ")),
        ));
    }
    if language.environment.iter().any(|variable| variable.find('=').is_none_or(|at| at == 0)) {
        return fail("environment", "must be a list of NAME=value");
    }
    if language.extra_memory_mib > MAX_MIB {
        return Err(("extra_memory_mib", format!("must be at most {MAX_MIB}")));
    }
    if language.compile_memory_mib.is_some_and(|mib| !(16..=MAX_MIB).contains(&mib)) {
        return Err(("compile_memory_mib", format!("must be 16 to {MAX_MIB}")));
    }
    if language.compile_cpu_s.is_some_and(|seconds| !(1..=600).contains(&seconds)) {
        return fail("compile_cpu_s", "must be 1 to 600");
    }
    let lists = [
        ("version", &language.version),
        ("compile", &language.compile),
        ("run", &language.run),
        ("mounts", &language.mounts),
        ("environment", &language.environment),
    ];
    match lists.into_iter().find(|(_, list)| list.iter().any(|text| text.contains('\0'))) {
        Some((field, _)) => fail(field, "must not hold a NUL"),
        None => Ok(()),
    }
}

fn is_file_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 100 && !text.contains(['/', '\0']) && text != "." && text != ".."
}

/// A plain path that hides nothing of the sandbox's own.
fn can_be_shown(path: &str) -> bool {
    let normal = path.len() > 1 && path.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."));
    let within = |folder: &str| path == folder || path.starts_with(&format!("{folder}/"));
    path.starts_with('/') && normal && !RESERVED.into_iter().any(within) && path != "/etc"
}

fn entries_of<'a>(document: &'a DeTable<'_>) -> impl Iterator<Item = &'a DeTable<'a>> {
    let list = document.get("language").and_then(|value| value.get_ref().as_array());
    list.into_iter().flatten().filter_map(|entry| match entry.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    })
}

/// Where a field of an entry stands.
fn entry_field(document: &DeTable<'_>, entry: usize, field: &str) -> Option<Range<usize>> {
    let table = entries_of(document).nth(entry)?;
    table.iter().find(|(key, _)| key.get_ref() == field).map(|(key, _)| key.span())
}

/// The field whose value, or name, stands at this place.
fn field_at(document: &DeTable<'_>, place: usize) -> Option<String> {
    let fields = entries_of(document).flat_map(|table| table.iter());
    let mut fields = fields.filter(|(key, value)| (key.span().start..value.span().end).contains(&place));
    fields.next().map(|(key, _)| key.get_ref().to_string())
}

#[cfg(test)]
mod tests;
