//! The few fields that the judge reads of an ELF executable (elf(5)): 64-bit, little-endian.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;
/// `PT_LOAD`.
const LOADABLE: u64 = 1;

/// An entry of the program header table.
struct Segment {
    kind: u64,
    offset: u64,
    file_bytes: u64,
    memory_bytes: u64,
}

/// The memory of all loadable segments, in bytes. Fails if the file is not such an executable.
pub(crate) fn image_bytes(file: &File) -> io::Result<u64> {
    let loaded = segments(file)?.into_iter().filter(|segment| segment.kind == LOADABLE);
    Ok(loaded.fold(0, |sum, segment| sum.saturating_add(segment.memory_bytes)))
}

/// The length of the file up to the end of its last segment. What follows is mostly debugging information.
pub(crate) fn needed_bytes(file: &File) -> io::Result<u64> {
    let ends = segments(file)?.into_iter().map(|segment| segment.offset.saturating_add(segment.file_bytes));
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
    fn own_executable_is_read() {
        let file = File::open("/proc/self/exe").unwrap();
        let needed = needed_bytes(&file).unwrap();
        assert!(needed > 0 && needed <= file.metadata().unwrap().len());
        assert!(image_bytes(&file).unwrap() > 0);
    }

    #[test]
    fn file_that_is_not_a_program_is_rejected() {
        let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
        assert!(image_bytes(&file).is_err());
    }
}
