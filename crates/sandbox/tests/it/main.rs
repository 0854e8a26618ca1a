//! Tests of the sandbox with real toolchains and hostile programs. They need what the sandbox needs, and fail without
//! it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// Whether programs have separate ids.
const AS_ROOT: bool = true;

mod artefacts;
mod cleanliness;
mod compilers;
mod compiling;
mod elf;
mod inits;
mod isolation;
mod lifecycle;
mod linker;
mod load;
mod neighbours;
mod outcomes;
mod precompiled_headers;
mod same_slot;
mod side_by_side;
mod speedups;
mod streams;
mod support;
