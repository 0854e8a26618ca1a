//! The judge's side of the sandbox: runs in the judge process, on the host, with all of the judge's privileges.
//!
//! It never executes a program itself: it builds slots, sends requests to their inits (see [`crate::protocol`]) and
//! reads what programs write. It does not use [`crate::init`].

pub(crate) mod async_fd;
mod autogroup;
pub(crate) mod cache;
pub(crate) mod capture;
pub(crate) mod cgroup;
pub(crate) mod check;
pub(crate) mod claim;
pub(crate) mod compiler_output;
pub(crate) mod config;
pub(crate) mod cpu_weight;
pub(crate) mod cpus;
pub(crate) mod elf;
pub(crate) mod error;
pub(crate) mod id_claims;
pub(crate) mod init_process;
pub(crate) mod inits;
pub(crate) mod memfd;
pub(crate) mod messages;
pub(crate) mod open_files;
pub(crate) mod outcome;
pub(crate) mod overcommit;
pub(crate) mod pool;
pub(crate) mod probe;
pub(crate) mod program;
pub(crate) mod sandbox;
pub(crate) mod side_by_side;
pub(crate) mod slot;
pub(crate) mod slot_builder;
pub(crate) mod slot_count;
pub(crate) mod slot_ids;
pub(crate) mod speedup;
pub(crate) mod tier;
pub(crate) mod toolchain;
pub(crate) mod workspace;
