//! The instructions of a filter (`linux/filter.h`), as far as it needs them.

use libc::sock_filter;

/// Offsets in `struct seccomp_data` (`linux/seccomp.h`).
pub(super) const NUMBER_OFFSET: u32 = 0;
pub(super) const ARCHITECTURE_OFFSET: u32 = 4;
const FIRST_ARGUMENT_OFFSET: u32 = 16;

/// A comparison of the loaded number with a constant.
#[derive(Clone, Copy)]
pub(super) enum Test {
    Equals,
    Exceeds,
    /// At least one bit of the constant is set.
    HasBits,
}

/// The offset of the lower half of this argument; both supported machines are little-endian.
pub(super) const fn argument_offset(index: u32) -> u32 {
    FIRST_ARGUMENT_OFFSET + 8 * index
}

/// Loads the number at this offset.
pub(super) fn load(offset: u32) -> sock_filter {
    sock_filter { code: opcode(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS), jt: 0, jf: 0, k: offset }
}

/// Skips this many instructions, depending on the result.
pub(super) fn jump(test: Test, value: u32, if_true: u8, if_false: u8) -> sock_filter {
    let test = match test {
        Test::Equals => libc::BPF_JEQ,
        Test::Exceeds => libc::BPF_JGT,
        Test::HasBits => libc::BPF_JSET,
    };
    sock_filter { code: opcode(libc::BPF_JMP | test | libc::BPF_K), jt: if_true, jf: if_false, k: value }
}

/// Ends the filter with this answer.
pub(super) fn ret(answer: u32) -> sock_filter {
    sock_filter { code: opcode(libc::BPF_RET | libc::BPF_K), jt: 0, jf: 0, k: answer }
}

fn opcode(bits: u32) -> u16 {
    u16::try_from(bits).unwrap_or(0)
}
