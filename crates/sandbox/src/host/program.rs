//! A program that is ready to run, held by the judge in a sealed file in memory.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::host::elf;
use crate::language::{Language, Speedup};
use crate::protocol::limits::RunLimits;

/// The result of a compilation.
#[derive(Debug)]
pub enum Compilation {
    /// The program can be run.
    Ready(Program),
    /// The compiler rejected the source, or the compilation exceeded a limit.
    Failed {
        /// What the compiler wrote to both streams, at most 64 KiB, and a sentence that names the limit if one was
        /// exceeded. Not necessarily UTF-8.
        output: Vec<u8>,
    },
}

/// A program that is ready to run, in any workspace of the sandbox that compiled it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Program(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: u64,
    language: Arc<Language>,
    /// What makes it start faster.
    speedup: Option<Speedup>,
    file: OwnedFd,
    bytes: u64,
    image_bytes: u64,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Program {
    /// `speedup` makes it start faster.
    pub(crate) fn new(language: Arc<Language>, speedup: Option<Speedup>, file: OwnedFd) -> Self {
        let file = std::fs::File::from(file);
        let image_bytes = if language.compile.is_empty() { 0 } else { elf::image_bytes(&file).unwrap_or(0) };
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Inner { id, language, speedup, file: file.into(), bytes, image_bytes }))
    }

    /// Whether both come from the same compilation.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.id() == other.id()
    }

    /// Unique among the programs of this process.
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    pub(crate) fn language(&self) -> &Language {
        &self.0.language
    }

    /// The command that runs it within these limits, which do not include what is granted to the runtime.
    pub(crate) fn run_command(&self, limits: &RunLimits) -> Vec<String> {
        let command = self.language().run_command(limits);
        match &self.0.speedup {
            Some(speedup) => speedup.added_to_run(&command),
            None => command,
        }
    }

    pub(crate) fn file(&self) -> &OwnedFd {
        &self.0.file
    }

    /// The size of its file, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// The memory that its image needs at start, in bytes; 0 if not known.
    pub(crate) fn image_bytes(&self) -> u64 {
        self.0.image_bytes
    }
}
