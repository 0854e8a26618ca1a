//! The languages that this machine can be asked for: what each needs, and which of Judge0's ids it serves.

mod table;
mod version;

use gavel_domain::LanguageId;
use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::protocol::limits::RunLimits;

pub use table::{Languages, TableError};
pub(crate) use version::is_older;
pub use version::{VersionRule, VersionRuleError};

const MIB: u64 = 1 << 20;

/// One entry of the table; `languages.toml` says what each field means.
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
    pub(crate) toolchain: String,
    pub(crate) version: Vec<String>,
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) compile: Vec<String>,
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
    pub(crate) compile_memory_mib: Option<u32>,
    pub(crate) compile_cpu_s: Option<u16>,
    #[serde(default, deserialize_with = "pattern")]
    pub(crate) out_of_memory: Option<Regex>,
}

/// A language whose toolchain works on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledLanguage {
    /// Judge0's id.
    pub id: LanguageId,
    /// What a person calls it, such as "C++ (GCC)".
    pub name: String,
    /// The toolchain's version, such as "12.2.0", whatever version Judge0 means by the id.
    pub version: String,
}

/// An entry of the table that cannot be served here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnservedLanguage {
    /// Judge0's ids.
    pub ids: Vec<LanguageId>,
    /// What a person calls it.
    pub name: String,
    /// Why, in one clause.
    pub reason: String,
}

/// What every program finds in its environment.
const ENVIRONMENT: [&str; 4] =
    ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/box/work", "LANG=C.UTF-8", "TMPDIR=/tmp"];
/// Stands for the memory limit, in MiB, without what is granted to the runtime.
const MEMORY: &str = "{memory_mib}";

impl Language {
    /// The environment of its compiler and its programs.
    pub(crate) fn env(&self, limits: &RunLimits) -> Vec<String> {
        let own = self.environment.iter().map(|variable| filled(variable, limits));
        ENVIRONMENT.into_iter().map(str::to_owned).chain(own).collect()
    }

    /// The command that runs a program within these limits, of which the runtime's own share is no part.
    pub(crate) fn run_command(&self, limits: &RunLimits) -> Vec<String> {
        self.run.iter().map(|argument| filled(argument, limits)).collect()
    }

    /// The limits of its compiler.
    pub(crate) fn compile_limits(&self) -> RunLimits {
        let usual = RunLimits::COMPILATION;
        let cpu_time =
            self.compile_cpu_s.map_or(usual.cpu_time, |s| std::time::Duration::from_secs(s.into()));
        RunLimits {
            memory_bytes: self.compile_memory_mib.map_or(usual.memory_bytes, |mib| u64::from(mib) * MIB),
            cpu_time,
            wall_time: cpu_time * 2,
            ..usual
        }
    }

    /// What a run may use, with what the runtime itself needs.
    pub(crate) fn granted(&self, limits: &RunLimits) -> RunLimits {
        RunLimits {
            memory_bytes: limits.memory_bytes.saturating_add(u64::from(self.extra_memory_mib) * MIB),
            processes: limits.processes.saturating_add(self.extra_processes.into()),
            ..*limits
        }
    }

    /// The name of the file that is run: the compiler's, or the source.
    pub(crate) fn program_file(&self) -> &str {
        if self.compile.is_empty() { &self.source } else { &self.artefact }
    }

    /// Why it is not served where its toolchain is missing.
    pub(crate) fn missing(&self) -> String {
        let how = match &self.key {
            Some(key) if !self.debian.is_empty() => format!(", which `scripts/languages {key}` installs"),
            _ => String::new(),
        };
        format!("its toolchain {} is missing{how}", self.toolchain)
    }
}

/// The text with the memory limit in its place; at least 1, since no runtime takes 0 for a limit.
fn filled(text: &str, limits: &RunLimits) -> String {
    text.replace(MEMORY, &(limits.memory_bytes / MIB).max(1).to_string())
}

/// A regular expression; `^` and `$` match at each line.
fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Regex>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let built = RegexBuilder::new(&text).multi_line(true).build();
    // The message is a drawing of several lines; its last says what is wrong.
    let wrong = |error: regex::Error| error.to_string().lines().last().unwrap_or_default().trim().to_owned();
    built.map(Some).map_err(|error| D::Error::custom(format!("not a regular expression: {}", wrong(error))))
}
