//! The few fields that the judge reads of an ELF executable (elf(5)): 64-bit, little-endian.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;
/// `PT_LOAD`, `PT_DYNAMIC` and `PT_INTERP`.
const LOADABLE: u64 = 1;
const DYNAMIC: u64 = 2;
const INTERPRETER: u64 = 3;
/// `ET_EXEC` and `ET_DYN`.
const EXECUTABLE: u64 = 2;
const SHARED: u64 = 3;
/// `DT_FLAGS_1`, and `DF_1_PIE` among its bits.
const FLAGS: u64 = 0x6fff_fffb;
const POSITION_INDEPENDENT: u64 = 0x0800_0000;
/// A dynamic section longer than this is not read further, in bytes.
const MAX_DYNAMIC_BYTES: u64 = 64 << 10;

#[cfg(target_arch = "x86_64")]
const MACHINE: u64 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u64 = 183;

/// An entry of the program header table.
struct Segment {
    kind: u64,
    offset: u64,
    file_bytes: u64,
    memory_bytes: u64,
}

/// Whether the kernel can execute the file: an ELF executable for this machine, position-independent or not, or a script
/// with a `#!` line. Returns `false` for libraries, archives and object files.
pub(crate) fn is_executable(file: &File) -> bool {
    let mut header = [0; HEADER_BYTES];
    let length = file.read_at(&mut header, 0).unwrap_or(0);
    if header[..length].starts_with(b"#!") {
        return true;
    }
    let Ok(segments) = segments(file) else { return false };
    let has = |kind| segments.iter().any(|segment| segment.kind == kind);
    let is_program = match number(&header[16..18]) {
        EXECUTABLE => true,
        SHARED => has(INTERPRETER) || is_static_and_position_independent(file, &segments),
        _ => false,
    };
    is_program && number(&header[18..20]) == MACHINE && has(LOADABLE)
}

fn is_static_and_position_independent(file: &File, segments: &[Segment]) -> bool {
    let Some(dynamic) = segments.iter().find(|segment| segment.kind == DYNAMIC) else { return false };
    let length = dynamic.file_bytes.min(MAX_DYNAMIC_BYTES);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, dynamic.offset).is_ok()
        && bytes
            .chunks_exact(16)
            .any(|entry| number(&entry[..8]) == FLAGS && number(&entry[8..]) & POSITION_INDEPENDENT != 0)
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
        assert!(is_executable(&file));
    }

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
        file
    }

    #[test]
    fn only_programs_of_this_machine_are_executable() {
        let program = std::fs::read("/proc/self/exe").unwrap();
        let changed = |at: usize, byte: u8| {
            let mut bytes = program[..program.len().min(1 << 16)].to_vec();
            bytes[at] = byte;
            is_executable(&file_of(&bytes))
        };
        assert!(changed(0, 0x7f), "unchanged");
        for (at, byte, what) in [
            (0, b'!', "magic"),
            (4, 1, "32-bit"),
            (5, 2, "big-endian"),
            (16, 1, "object file"),
            (18, 40, "another machine"),
            (39, 0xff, "program headers beyond the end"),
            (56, 0, "no program headers"),
        ] {
            assert!(!changed(at, byte), "{what}");
        }
        assert!(!is_executable(&file_of(b"")) && !is_executable(&file_of(b"!<arch>\n")));
        assert!(is_executable(&file_of(b"#!/bin/sh\n")));
    }

    #[test]
    fn shared_library_is_executable_only_if_it_is_a_position_independent_program() {
        let with_flags = |flags: u64| {
            let mut bytes = vec![0_u8; HEADER_BYTES];
            bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
            bytes[16] = 3;
            bytes[18..20].copy_from_slice(&u16::try_from(MACHINE).unwrap().to_le_bytes());
            bytes[32] = 64;
            bytes[56] = 2;
            for (kind, offset, size) in [(LOADABLE, 0_u64, 0_u64), (DYNAMIC, 176, 16)] {
                let mut segment = [0_u8; SEGMENT_BYTES];
                segment[..8].copy_from_slice(&kind.to_le_bytes());
                segment[8..16].copy_from_slice(&offset.to_le_bytes());
                segment[32..40].copy_from_slice(&size.to_le_bytes());
                bytes.extend(segment);
            }
            bytes.extend(FLAGS.to_le_bytes());
            bytes.extend(flags.to_le_bytes());
            is_executable(&file_of(&bytes))
        };
        assert!(with_flags(POSITION_INDEPENDENT | 1));
        assert!(!with_flags(1));
    }

    #[test]
    fn file_that_is_not_a_program_is_rejected() {
        let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
        assert!(image_bytes(&file).is_err());
    }
}
