//! Changing the headers of an executable (elf(5)): 64-bit, little-endian.

/// Kinds of segments: `PT_LOAD`, `PT_DYNAMIC`, `PT_INTERP`, `PT_GNU_STACK`.
pub(crate) const LOADABLE: u32 = 1;
const DYNAMIC: u32 = 2;
pub(crate) const INTERPRETER: u32 = 3;
pub(crate) const STACK: u32 = 0x6474_e551;
/// The last loadable segment, which has the program's data. No kind in the file.
pub(crate) const DATA: u32 = u32::MAX;
/// `DT_FLAGS_1`.
const FLAGS: u64 = 0x6fff_fffb;

/// An executable that is changed.
pub(crate) struct Elf {
    pub(crate) bytes: Vec<u8>,
}

impl Elf {
    /// Fields of a program header, by offset.
    pub(crate) const OFFSET: usize = 8;
    pub(crate) const ADDRESS: usize = 16;
    pub(crate) const FILE_BYTES: usize = 32;
    pub(crate) const MEMORY_BYTES: usize = 40;

    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        assert!(bytes.starts_with(b"\x7fELF\x02\x01"));
        Self { bytes }
    }

    /// Sets a field of the program header of this kind.
    pub(crate) fn set(&mut self, kind: u32, field: usize, value: u64) {
        let at = self.segment(kind) + field;
        self.set_header(at, value);
    }

    /// Sets 8 bytes of the file.
    pub(crate) fn set_header(&mut self, at: usize, value: u64) {
        self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    /// Turns a segment into one that the kernel ignores.
    pub(crate) fn remove(&mut self, kind: u32) -> &mut Self {
        let at = self.segment(kind);
        self.bytes[at..at + 4].fill(0);
        self
    }

    pub(crate) fn set_interpreter(&mut self, path: &str) {
        let at = self.segment(INTERPRETER);
        let (start, length) = (self.number(at + Self::OFFSET), self.number(at + Self::FILE_BYTES));
        assert!(path.len() < length, "{path} is too long");
        self.bytes[start..start + length].fill(0);
        self.bytes[start..start + path.len()].copy_from_slice(path.as_bytes());
    }

    /// Without them and without an interpreter it is a library.
    pub(crate) fn clear_flags_of_position_independence(&mut self) {
        let at = self.segment(DYNAMIC);
        let (start, length) = (self.number(at + Self::OFFSET), self.number(at + Self::FILE_BYTES));
        let entries = (start..start + length).step_by(16);
        let flags = entries.filter(|at| self.bytes[*at..*at + 8] == FLAGS.to_le_bytes()).collect::<Vec<_>>();
        for at in flags {
            self.set_header(at + 8, 0);
        }
    }

    /// Replaces every occurrence of `old`, of which there must be one, by `new`.
    pub(crate) fn replace(&mut self, old: &[u8], new: &[u8]) {
        let found: Vec<_> = self
            .bytes
            .windows(old.len())
            .enumerate()
            .filter(|(_, it)| *it == old)
            .map(|(at, _)| at)
            .collect();
        assert!(!found.is_empty());
        for at in found {
            self.bytes[at..at + new.len()].copy_from_slice(new);
        }
    }

    /// The offset of the program header of this kind.
    fn segment(&self, kind: u32) -> usize {
        let (table, count) = (self.number(32), usize::from(self.bytes[56]));
        let mut headers = (0..count).map(|index| table + index * 56);
        let is = |at: &usize, kind: u32| self.bytes[*at..*at + 4] == kind.to_le_bytes();
        let found = match kind {
            DATA => headers.rfind(|at| is(at, LOADABLE)),
            _ => headers.find(|at| is(at, kind)),
        };
        found.unwrap_or_else(|| panic!("no segment {kind:#x}"))
    }

    fn number(&self, at: usize) -> usize {
        let bytes = self.bytes[at..at + 8].try_into().unwrap();
        usize::try_from(u64::from_le_bytes(bytes)).unwrap()
    }
}
