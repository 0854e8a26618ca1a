//! A program that is ready to run, kept by the judge in a sealed file in memory.

use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::language::Language;

/// What came of a compilation.
#[derive(Debug)]
pub enum Compilation {
    /// It can be run.
    Ready(Program),
    /// The source is not a program, or its compilation met a limit.
    Failed {
        /// What the compiler wrote to both streams, at most 64 KiB, and where a limit was met a sentence that
        /// says so. Any bytes.
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
    file: OwnedFd,
    bytes: u64,
    image_bytes: u64,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Program {
    pub(crate) fn new(language: Arc<Language>, file: OwnedFd) -> Self {
        let file = std::fs::File::from(file);
        let image_bytes = if language.compile.is_empty() { 0 } else { elf::image_bytes(&file).unwrap_or(0) };
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Inner { id, language, file: file.into(), bytes, image_bytes }))
    }

    /// Whether both are one: of the same source, compiled once.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.id() == other.id()
    }

    /// Tells programs apart.
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    pub(crate) fn language(&self) -> &Language {
        &self.0.language
    }

    pub(crate) fn file(&self) -> &OwnedFd {
        &self.0.file
    }

    /// The size of its file.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// The memory that its image asks for at start, in bytes; 0 where that is not known.
    pub(crate) fn image_bytes(&self) -> u64 {
        self.0.image_bytes
    }
}

/// The little that is read of the ELF format (elf(5)), 64-bit little-endian.
pub(crate) mod elf {
    use super::FileExt;
    use std::fs::File;
    use std::io;

    const HEADER_BYTES: usize = 64;
    const SEGMENT_BYTES: usize = 56;
    const LOADED: u64 = 1;

    /// A segment of a program.
    struct Segment {
        kind: u64,
        offset: u64,
        file_bytes: u64,
        memory_bytes: u64,
    }

    /// The memory of all loaded segments, in bytes.
    pub(crate) fn image_bytes(file: &File) -> io::Result<u64> {
        let loaded = segments(file)?.into_iter().filter(|segment| segment.kind == LOADED);
        Ok(loaded.fold(0, |sum, segment| sum.saturating_add(segment.memory_bytes)))
    }

    /// The length of the file without what follows its last segment: debugging information, mostly.
    pub(crate) fn needed_bytes(file: &File) -> io::Result<u64> {
        let ends =
            segments(file)?.into_iter().map(|segment| segment.offset.saturating_add(segment.file_bytes));
        ends.max().ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn segments(file: &File) -> io::Result<Vec<Segment>> {
        let mut header = [0; HEADER_BYTES];
        file.read_exact_at(&mut header, 0)?;
        if !header.starts_with(b"\x7fELF\x02\x01") {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (table, count) = (number(&header[32..40]), number(&header[56..58]));
        let mut segments = Vec::new();
        for index in 0..count {
            let mut bytes = [0; SEGMENT_BYTES];
            file.read_exact_at(&mut bytes, table.saturating_add(index * 56))?;
            segments.push(Segment {
                kind: number(&bytes[0..4]),
                offset: number(&bytes[8..16]),
                file_bytes: number(&bytes[32..40]),
                memory_bytes: number(&bytes[40..48]),
            });
        }
        Ok(segments)
    }

    fn number(bytes: &[u8]) -> u64 {
        bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn our_own_executable_is_read() {
            let file = File::open("/proc/self/exe").unwrap();
            let needed = needed_bytes(&file).unwrap();
            assert!(needed > 0 && needed <= file.metadata().unwrap().len());
            assert!(image_bytes(&file).unwrap() > 0);
        }

        #[test]
        fn what_is_no_program_is_refused() {
            let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
            assert!(image_bytes(&file).is_err());
        }
    }
}
