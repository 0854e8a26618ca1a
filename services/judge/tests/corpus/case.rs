//! The cases of the corpus, read from their folders.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gavel_domain::LanguageId;
use gavel_sandbox::RunLimits;
use serde::Deserialize;

/// The language of the program that looks for traces. Every machine must have it.
pub(crate) const PYTHON: u32 = 71;

/// The fields of `case.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    /// A Judge0 id.
    language: u32,
    /// The expected outcome: `exit 0`, `signal SIGSEGV`, `cpu time limit`, `wall time limit`, `memory limit`, `stdout
    /// limit`, `stderr limit` or `compile error`. A list if several outcomes are correct.
    expect: OneOrMore,
    /// Why several outcomes are correct.
    both_right: Option<String>,
    /// The input, empty by default. `{file}`, `{port}` and `{socket}` are replaced by those that the judge's side has open.
    stdin: Option<String>,
    stdin_hex: Option<String>,
    /// How many times the input is repeated.
    stdin_times: Option<usize>,
    /// The expected standard output. Not checked if it is missing.
    stdout: Option<String>,
    stdout_hex: Option<String>,
    stdout_times: Option<usize>,
    /// A text that standard error, or the compiler's output, must contain.
    says: Option<String>,
    #[serde(default)]
    limits: CaseLimits,
    /// The expected outcome on the tier without cgroups, if it differs.
    sampled: Option<Sampled>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sampled {
    expect: String,
    /// What that tier cannot do.
    #[expect(dead_code, reason = "documentation for readers of the case")]
    why: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseLimits {
    cpu_ms: Option<u64>,
    wall_ms: Option<u64>,
    memory_mib: Option<u64>,
    processes: Option<u32>,
    stdout_bytes: Option<u64>,
    stderr_bytes: Option<u64>,
}

/// A program with its expected outcome.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) source: Vec<u8>,
    pub(crate) expect: Vec<String>,
    pub(crate) stdin: Vec<u8>,
    pub(crate) stdout: Option<Vec<u8>>,
    pub(crate) says: Option<String>,
    pub(crate) limits: RunLimits,
    language: u32,
    sampled: Option<String>,
}

impl Case {
    /// Returns the case with its expected outcome on the tier without cgroups.
    pub(crate) fn sampled(self) -> Self {
        match self.sampled.clone() {
            Some(outcome) => Self { expect: vec![outcome], stdout: None, ..self },
            None => self,
        }
    }

    /// Reads all cases, sorted by name.
    pub(crate) fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut cases: Vec<_> = entries.filter(|path| path.is_dir()).map(|path| Self::read(&path)).collect();
        cases.sort_by(|one, other| one.name.cmp(&other.name));
        cases
    }

    pub(crate) fn language(&self) -> LanguageId {
        LanguageId(self.language)
    }

    fn read(folder: &Path) -> Self {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let text =
            fs::read_to_string(folder.join("case.toml")).unwrap_or_else(|error| panic!("{name}: {error}"));
        let text: CaseFile = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expect = match text.expect {
            OneOrMore::One(one) => vec![one],
            OneOrMore::More(more) => more,
        };
        assert_eq!(
            expect.len() > 1,
            text.both_right.is_some(),
            "{name}: `both_right` is required for a list of outcomes and not allowed otherwise"
        );
        let stdin = text.stdin.map(String::into_bytes).or_else(|| text.stdin_hex.as_deref().map(unhex));
        let stdout = text.stdout.map(String::into_bytes).or_else(|| text.stdout_hex.as_deref().map(unhex));
        Self {
            source: fs::read(source(folder)).unwrap(),
            expect,
            stdin: stdin.unwrap_or_default().repeat(text.stdin_times.unwrap_or(1)),
            stdout: stdout.map(|bytes| bytes.repeat(text.stdout_times.unwrap_or(1))),
            says: text.says,
            limits: text.limits.run_limits(),
            language: text.language,
            sampled: text.sampled.map(|sampled| sampled.expect),
            name,
        }
    }
}

impl CaseLimits {
    /// The defaults are more than any case needs, even on a busy machine.
    fn run_limits(&self) -> RunLimits {
        let (defaults, slowness) = (RunLimits::default(), slowness());
        let wall_time = Duration::from_millis(self.wall_ms.unwrap_or(60_000)) * slowness;
        RunLimits {
            cpu_time: Duration::from_millis(self.cpu_ms.unwrap_or(5_000)) * slowness,
            wall_time,
            max_waiting: RunLimits::max_waiting_for(wall_time),
            memory_bytes: self.memory_mib.unwrap_or(64) << 20,
            processes: self.processes.unwrap_or(defaults.processes),
            stdout_bytes: self.stdout_bytes.unwrap_or(defaults.stdout_bytes),
            stderr_bytes: self.stderr_bytes.unwrap_or(defaults.stderr_bytes),
            ..defaults
        }
    }
}

/// The factor by which an emulated machine is slower: all limits on time are multiplied by it.
fn slowness() -> u32 {
    std::env::var("SLOWNESS").map_or(1, |factor| factor.parse().expect("SLOWNESS is a number"))
}

/// Returns the source: the only other file in the folder.
fn source(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files = files.filter(|path| !path.ends_with("case.toml"));
    match (files.next(), files.next()) {
        (Some(source), None) => source,
        _ => panic!("{}: expected case.toml and one source file", folder.display()),
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
