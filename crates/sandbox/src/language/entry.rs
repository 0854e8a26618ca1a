//! An entry of the table of languages.

use std::path::PathBuf;

use gavel_domain::LanguageId;
use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::protocol::limits::RunLimits;

const MIB: u64 = 1 << 20;

/// One entry of the table. `languages.toml` explains the fields.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Language {
    pub(crate) ids: Vec<u32>,
    pub(crate) name: String,
    pub(crate) key: Option<String>,
    #[serde(default)]
    pub(crate) debian: Vec<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "for scripts/languages, which reads the same table")]
    npm: Vec<String>,
    #[expect(dead_code, reason = "for scripts/languages, which reads the same table")]
    debian_suite: Option<String>,
    pub(crate) toolchain: String,
    pub(crate) version: Vec<String>,
    pub(crate) source: String,
    pub(crate) front_end: Option<FrontEnd>,
    #[serde(default)]
    pub(crate) compile: Vec<String>,
    #[serde(default)]
    pub(crate) compile_fallbacks: Vec<Vec<String>>,
    pub(crate) speedup: Option<Speedup>,
    #[serde(default)]
    pub(crate) artefact: String,
    pub(crate) run: Vec<String>,
    #[serde(default)]
    pub(crate) mounts: Vec<String>,
    #[serde(default)]
    pub(crate) environment: Vec<String>,
    #[serde(default)]
    pub(crate) extra_memory_mib: u32,
    #[serde(default)]
    pub(crate) extra_processes: u16,
    #[serde(default)]
    pub(crate) compiler_has_threads: bool,
    pub(crate) compile_memory_mib: Option<u32>,
    pub(crate) compile_cpu_s: Option<u16>,
    #[serde(default, deserialize_with = "pattern")]
    pub(crate) out_of_memory: Option<Regex>,
    #[serde(default)]
    pub(crate) drop_byte_order_marks: bool,
}

/// A program of the sandbox that compiles submissions. It is built when the sandbox starts, by the language's toolchain.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrontEnd {
    /// The source.
    #[serde(deserialize_with = "front_end_source")]
    pub(crate) source: String,
    /// The command that creates the language's `artefact` from it.
    pub(crate) build: Vec<String>,
    /// The folder that may have both already, from the toolchain's installation.
    pub(crate) built: Option<PathBuf>,
}

/// What was prepared for a toolchain at its installation, so that it compiles or starts faster.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Speedup {
    /// The arguments that make a compiler use it, which follow its program.
    #[serde(default)]
    compile: Vec<String>,
    /// The same for the command that runs a program.
    #[serde(default)]
    run: Vec<String>,
    /// The list of the files that it was made from.
    pub(crate) inputs: PathBuf,
    /// Whether the compiler's messages may be others.
    #[serde(default)]
    pub(crate) changes_messages: bool,
}

impl Speedup {
    /// The command that compiles, with the arguments inserted.
    pub(crate) fn added_to_compile(&self, command: &[String]) -> Vec<String> {
        after_program(command, &self.compile)
    }

    /// The command that runs a program, with the arguments inserted.
    pub(crate) fn added_to_run(&self, command: &[String]) -> Vec<String> {
        after_program(command, &self.run)
    }

    /// All arguments.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &String> {
        self.compile.iter().chain(&self.run)
    }

    /// Whether a compiler uses it.
    pub(crate) fn is_for_compiler(&self) -> bool {
        !self.compile.is_empty()
    }
}

fn after_program(command: &[String], inserted: &[String]) -> Vec<String> {
    let (program, arguments) = command.split_at(1.min(command.len()));
    [program, inserted, arguments].concat()
}

/// A language whose toolchain works on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledLanguage {
    /// Judge0's id.
    pub id: LanguageId,
    /// The name shown to people, such as "C++ (GCC)".
    pub name: String,
    /// The version of the installed toolchain, such as "12.2.0"; Judge0 may mean another version by the id.
    pub version: String,
}

/// An entry of the table that is not served on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnservedLanguage {
    /// Judge0's ids.
    pub ids: Vec<LanguageId>,
    /// The name shown to people.
    pub name: String,
    /// Why, in one clause.
    pub reason: String,
}

/// The environment variables of every program.
const COMMON_ENVIRONMENT: [&str; 4] =
    ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/box/work", "LANG=C.UTF-8", "TMPDIR=/tmp"];
/// What the JVM keeps in the heap before the program starts, and the header of an array as large as the limit.
const JVM_OWN_OBJECTS_MIB: u64 = 4;
/// The largest stack of a JVM's threads. To fill it and to unwind it takes about 0.7 s of CPU time, so that endless
/// recursion ends with a `StackOverflowError` within the time limits of most questions.
const MAX_JVM_STACK_MIB: u64 = 128;

impl Language {
    /// The environment of the language's compiler and programs.
    pub(crate) fn env(&self, limits: &RunLimits) -> Vec<String> {
        let own = self.environment.iter().map(|variable| expand(variable, limits));
        COMMON_ENVIRONMENT.into_iter().map(str::to_owned).chain(own).collect()
    }

    /// The command that runs a program within these limits, which do not include what is granted to the runtime.
    pub(crate) fn run_command(&self, limits: &RunLimits) -> Vec<String> {
        self.run.iter().map(|argument| expand(argument, limits)).collect()
    }

    /// The commands that compile a source: a command is used if those before it rejected the source.
    pub(crate) fn compile_commands(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.compile).chain(&self.compile_fallbacks)
    }

    /// The limits of the language's compiler.
    pub(crate) fn compile_limits(&self) -> RunLimits {
        let defaults = RunLimits::COMPILATION;
        let cpu_time =
            self.compile_cpu_s.map_or(defaults.cpu_time, |s| std::time::Duration::from_secs(s.into()));
        RunLimits {
            memory_bytes: self.compile_memory_mib.map_or(defaults.memory_bytes, |mib| u64::from(mib) * MIB),
            cpu_time,
            wall_time: cpu_time * 2,
            max_waiting: RunLimits::max_waiting_for(cpu_time * 2),
            ..defaults
        }
    }

    /// The memory that the language's runtime itself needs, in bytes.
    pub(crate) fn runtime_memory_bytes(&self) -> u64 {
        u64::from(self.extra_memory_mib) * MIB
    }

    /// The limits of a run plus what the language's runtime itself needs.
    pub(crate) fn with_runtime_overhead(&self, limits: &RunLimits) -> RunLimits {
        RunLimits {
            memory_bytes: limits.memory_bytes.saturating_add(self.runtime_memory_bytes()),
            processes: limits.processes.saturating_add(self.extra_processes.into()),
            ..*limits
        }
    }

    /// The name of the file that is run: the artefact of the compiler, or the source.
    pub(crate) fn program_file(&self) -> &str {
        if self.compile.is_empty() { &self.source } else { &self.artefact }
    }

    /// Whether the kernel itself executes the program, instead of an interpreter.
    pub(crate) fn is_native(&self) -> bool {
        self.run.first().is_some_and(|path| is_program_path(path))
    }

    /// The reason why the language is not served if its toolchain is missing.
    pub(crate) fn missing_reason(&self) -> String {
        let remedy = match &self.key {
            Some(key) if !self.debian.is_empty() => format!(", which `scripts/languages {key}` installs"),
            _ => String::new(),
        };
        format!("its toolchain {} is missing{remedy}", self.toolchain)
    }
}

/// Whether a path of the box is in the directory of the submission's own program.
pub(crate) fn is_program_path(path: &str) -> bool {
    path.starts_with("/box/program/")
}

/// The text with the sizes inserted that follow from the memory limit, in MiB.
fn expand(text: &str, limits: &RunLimits) -> String {
    // No runtime accepts 0 as a limit.
    let memory = (limits.memory_bytes / MIB).max(1);
    let young = (memory / 4).clamp(8, 64);
    let heap = memory.saturating_add(young + JVM_OWN_OBJECTS_MIB);
    let stack = memory.min(MAX_JVM_STACK_MIB);
    [("{memory_mib}", memory), ("{young_mib}", young), ("{heap_mib}", heap), ("{stack_mib}", stack)]
        .into_iter()
        .fold(text.to_owned(), |text, (placeholder, mib)| text.replace(placeholder, &mib.to_string()))
}

/// The source of a front end, by the name of its file.
fn front_end_source<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "CompileJava.java" => Ok(include_str!("../../front_ends/CompileJava.java").to_owned()),
        other => Err(D::Error::custom(format!("there is no front end {other:?}"))),
    }
}

/// Parses a regular expression in which `^` and `$` match at each line.
fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Regex>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let built = RegexBuilder::new(&text).multi_line(true).build();
    // The message has several lines, with a drawing; the last line says what is wrong.
    let problem =
        |error: regex::Error| error.to_string().lines().last().unwrap_or_default().trim().to_owned();
    built.map(Some).map_err(|error| D::Error::custom(format!("not a regular expression: {}", problem(error))))
}

#[cfg(test)]
mod tests;
