//! The table of languages: `languages.toml`, which is part of the executable, and the operator's file that overrides
//! it.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gavel_domain::LanguageId;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::entry::Language;

/// The directories that no entry may mount: the sandbox has its own.
const RESERVED_DIRS: [&str; 7] = ["/proc", "/sys", "/dev", "/box", "/tmp", "/run", "/usr"];
/// The maximum memory that one entry may request, in MiB.
const MAX_MEMORY_MIB: u32 = 1 << 20;
/// The maximum number of commands in `compile_fallbacks`: a source that does not compile costs all of them.
const MAX_FALLBACKS: usize = 3;

/// The languages to serve if their toolchains are installed.
#[derive(Clone, Debug)]
pub struct Languages {
    entries: Vec<Arc<Language>>,
}

/// What is wrong with the operator's file.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file is not valid.
    #[error("{}, line {line}{}: {problem}", path.display(), field.as_ref().map_or(String::new(), |field| format!(", {field}")))]
    Invalid {
        /// The path of the file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The field, if the problem is in one.
        field: Option<String>,
        /// What is wrong.
        problem: String,
    },
}

/// What is wrong with a text, and where.
struct ParseProblem {
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
        Self {
            entries: read
                .unwrap_or_else(|error| panic!("the built-in language table is invalid: {}", error.problem)),
        }
    }
}

impl Languages {
    /// Adds the entries of the operator's file. An id that the file has is removed from the entries here.
    ///
    /// # Errors
    /// Returns a [`TableError`] if the file cannot be read or is not valid; it names the line and the field.
    pub fn with_file(self, path: &Path) -> Result<Self, TableError> {
        let unreadable = |source| TableError::Unreadable { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let overrides = read(&text).map_err(|ParseProblem { span, field, problem }| TableError::Invalid {
            path: path.to_owned(),
            line: text[..span.start.min(text.len())].matches('\n').count() + 1,
            field,
            problem,
        })?;
        Ok(self.overridden_by(overrides))
    }

    /// Keeps only these Judge0 ids; the others become unknown.
    #[must_use]
    pub fn only(self, ids: &[u32]) -> Self {
        self.keep(|id| ids.contains(&id))
    }

    /// Whether the toolchain of an id exists on this machine. Whether it works is checked when a sandbox starts.
    #[must_use]
    pub fn has_toolchain(&self, id: LanguageId) -> bool {
        let entry = self.entries.iter().find(|language| language.ids.contains(&id.0));
        entry.is_some_and(|language| Path::new(&language.toolchain).exists())
    }

    /// The memory that a run is granted on top of its limit, because the language's runtime itself needs it, in bytes.
    #[must_use]
    pub fn runtime_memory_bytes(&self, id: LanguageId) -> u64 {
        let entry = self.entries.iter().find(|language| language.ids.contains(&id.0));
        entry.map_or(0, |language| language.runtime_memory_bytes())
    }

    pub(crate) fn entries(&self) -> &[Arc<Language>] {
        &self.entries
    }

    fn overridden_by(self, overrides: Vec<Arc<Language>>) -> Self {
        let overridden: HashSet<u32> =
            overrides.iter().flat_map(|language| language.ids.iter().copied()).collect();
        let mut merged = self.keep(|id| !overridden.contains(&id));
        merged.entries.extend(overrides);
        merged
    }

    fn keep(mut self, keep: impl Fn(u32) -> bool) -> Self {
        for language in &mut self.entries {
            Arc::make_mut(language).ids.retain(|id| keep(*id));
        }
        self.entries.retain(|language| !language.ids.is_empty());
        self
    }
}

/// Parses a text and checks each entry.
fn read(text: &str) -> Result<Vec<Arc<Language>>, ParseProblem> {
    let wrong = |error: toml::de::Error, document: Option<&DeTable<'_>>| {
        let span = error.span().unwrap_or_default();
        let field = document.and_then(|document| field_at(document, span.start));
        ParseProblem { span, field, problem: error.message().replace('\n', " ") }
    };
    let document = DeTable::parse(text).map_err(|error| wrong(error, None))?;
    let table: Table = toml::from_str(text).map_err(|error| wrong(error, Some(document.get_ref())))?;
    let mut seen = HashSet::new();
    for (index, entry) in table.language.iter().enumerate() {
        if let Err((field, problem)) = check(entry.get_ref(), &mut seen) {
            let span = entry_field(document.get_ref(), index, field).unwrap_or_else(|| entry.span());
            return Err(ParseProblem { span, field: Some(field.to_owned()), problem });
        }
    }
    Ok(table.language.into_iter().map(|entry| Arc::new(entry.into_inner())).collect())
}

/// The field of an entry that is wrong, and what is wrong with it.
type FieldProblem = (&'static str, String);

fn fail(field: &'static str, problem: impl Into<String>) -> Result<(), FieldProblem> {
    Err((field, problem.into()))
}

/// Checks an entry. Returns its first problem. `seen` has the ids of the entries before it.
fn check(language: &Language, seen: &mut HashSet<u32>) -> Result<(), FieldProblem> {
    if language.ids.is_empty() {
        return fail("ids", "must contain at least one Judge0 id");
    }
    if let Some(twice) = language.ids.iter().find(|id| !seen.insert(**id)) {
        return fail("ids", format!("{twice} is listed twice"));
    }
    if language.name.trim().is_empty() || language.name.len() > 100 {
        return fail("name", "must be 1 to 100 bytes");
    }
    check_commands(language)?;
    check_files(language)?;
    check_limits(language)
}

fn check_commands(language: &Language) -> Result<(), FieldProblem> {
    let commands = [("version", &language.version), ("compile", &language.compile), ("run", &language.run)];
    let fallbacks = language.compile_fallbacks.iter().map(|command| ("compile_fallbacks", command));
    let build = language.front_end.iter().map(|front_end| ("front_end", &front_end.build));
    for (field, command) in commands.into_iter().chain(fallbacks).chain(build) {
        match command.first() {
            None if field != "compile" => {
                return fail(field, "must be a command: a program and its arguments");
            }
            Some(program) if !program.starts_with('/') => {
                return fail(field, "must start with an absolute path");
            }
            _ => check_nul(field, command)?,
        }
    }
    if language.front_end.is_some() && language.compile.is_empty() {
        return fail("front_end", "must be used by `compile`");
    }
    if language.compile.is_empty() && !language.compile_fallbacks.is_empty() {
        return fail("compile_fallbacks", "must not be set without `compile`");
    }
    if language.compile_fallbacks.len() > MAX_FALLBACKS {
        return fail("compile_fallbacks", format!("must be at most {MAX_FALLBACKS} commands"));
    }
    if let Some(speedup) = &language.speedup {
        if !speedup.inputs.is_absolute() {
            return fail("speedup", "must name its inputs by an absolute path");
        }
        if language.compile.is_empty() && (speedup.is_for_compiler() || speedup.changes_messages) {
            return fail("speedup", "must be for `run` only, without `compile`");
        }
        check_nul("speedup", speedup.arguments())?;
    }
    if language.environment.iter().any(|variable| variable.find('=').is_none_or(|at| at == 0)) {
        return fail("environment", "must be a list of NAME=value");
    }
    check_nul("environment", &language.environment)
}

fn check_files(language: &Language) -> Result<(), FieldProblem> {
    if !language.toolchain.starts_with('/') {
        return fail("toolchain", "must be an absolute path");
    }
    if !is_file_name(&language.source) {
        return fail("source", "must be a file name without a directory");
    }
    if language.compile.is_empty() != language.artefact.is_empty() {
        return fail("artefact", "must be set if and only if `compile` is set");
    }
    if !language.artefact.is_empty() && !is_file_name(&language.artefact) {
        return fail("artefact", "must be a file name without a directory");
    }
    let file = format!("/box/program/{}", language.program_file());
    if !language.run.iter().any(|argument| argument.contains(&file)) {
        return fail("run", format!("must run {file}"));
    }
    if let Some(mount) = language.mounts.iter().find(|mount| !is_mountable(mount)) {
        let reserved = RESERVED_DIRS.join(", ");
        return fail("mounts", format!("{mount:?} must be an absolute path outside {reserved}"));
    }
    check_nul("mounts", &language.mounts)
}

fn check_limits(language: &Language) -> Result<(), FieldProblem> {
    if language.extra_memory_mib > MAX_MEMORY_MIB {
        return fail("extra_memory_mib", format!("must be at most {MAX_MEMORY_MIB}"));
    }
    if language.compile_memory_mib.is_some_and(|mib| !(16..=MAX_MEMORY_MIB).contains(&mib)) {
        return fail("compile_memory_mib", format!("must be 16 to {MAX_MEMORY_MIB}"));
    }
    if language.compile_cpu_s.is_some_and(|seconds| !(1..=600).contains(&seconds)) {
        return fail("compile_cpu_s", "must be 1 to 600");
    }
    Ok(())
}

fn check_nul<'a>(
    field: &'static str,
    texts: impl IntoIterator<Item = &'a String>,
) -> Result<(), FieldProblem> {
    if texts.into_iter().any(|text| text.contains('\0')) {
        return fail(field, "must not contain a NUL byte");
    }
    Ok(())
}

fn is_file_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 100 && !text.contains(['/', '\0']) && text != "." && text != ".."
}

/// Whether this is an absolute, normalised path that hides no directory of the sandbox.
fn is_mountable(path: &str) -> bool {
    let is_normal = path.len() > 1 && path.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."));
    let is_within = |folder: &str| path == folder || path.starts_with(&format!("{folder}/"));
    path.starts_with('/') && is_normal && !RESERVED_DIRS.into_iter().any(is_within) && path != "/etc"
}

fn entries_of<'a>(document: &'a DeTable<'_>) -> impl Iterator<Item = &'a DeTable<'a>> {
    let list = document.get("language").and_then(|value| value.get_ref().as_array());
    list.into_iter().flatten().filter_map(|entry| match entry.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    })
}

/// The position of a field of an entry.
fn entry_field(document: &DeTable<'_>, entry: usize, field: &str) -> Option<Range<usize>> {
    let table = entries_of(document).nth(entry)?;
    table.iter().find(|(key, _)| key.get_ref() == field).map(|(key, _)| key.span())
}

/// The field whose name or value is at this position.
fn field_at(document: &DeTable<'_>, position: usize) -> Option<String> {
    let fields = entries_of(document).flat_map(|table| table.iter());
    let mut fields = fields.filter(|(key, value)| (key.span().start..value.span().end).contains(&position));
    fields.next().map(|(key, _)| key.get_ref().to_string())
}

#[cfg(test)]
mod tests;
