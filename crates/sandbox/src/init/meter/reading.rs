//! What a meter reads at the end of a run.

/// What a run used.
#[derive(Clone, Copy)]
pub(in crate::init) struct Reading {
    pub(in crate::init) cpu_ns: u64,
    pub(in crate::init) memory_bytes: u64,
    pub(in crate::init) out_of_memory: bool,
}
