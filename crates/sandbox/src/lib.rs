//! The embedded execution engine (Linux).
//!
//! A [`Sandbox`] holds a fixed number of slots. Each slot is a separate process tree: its init (see [`init`]) lives
//! in the slot's own cgroups, namespaces and minimal root, and waits for requests. A [`Workspace`] is one slot, lent
//! to one submission: it compiles once and runs many times, each time in a clean box. The tests of a submission also run
//! in slots that are idle ([`Workspace::run_tests`]).
//!
//! What a program did comes back as a [`gavel_domain::Execution`]; a failure of the sandbox is a [`SandboxError`],
//! which converts into a [`gavel_domain::engine::EngineFault`]. The two are never mixed: a limit that a program exceeds
//! is not an error, and an error is not a limit.
//!
//! It needs Linux 5.12 or later, user namespaces, and the cgroup controllers memory and pids (on v1 also cpuacct);
//! root if programs are to have separate ids. If something is missing, [`Sandbox::start`] names it and the
//! lesser [`TierChoice`] that works without it; [`probe`] reports what the machine offers.
//!
//! The modules show which code runs where:
//!
//! | module | runs in | privileges |
//! | --- | --- | --- |
//! | `host` | the judge process | the judge's |
//! | [`init`] | the init of a slot, process 1 inside the sandbox | drops them before the first program |
//! | `protocol` | both: the messages between them | |
//! | `language` | the judge process: which languages there are, and how to compile and run them | the judge's |
//! | `spawn` | both: starting a process | |

mod host;
pub mod init;
mod language;
mod protocol;
mod spawn;

pub use host::check::HostCheck;
pub use host::config::{InitProgram, MAX_SLOTS, ParseTierError, SandboxConfig, TierChoice};
pub use host::error::{SandboxError, SlotError, StartError};
pub use host::probe::probe;
pub use host::program::{Compilation, Program};
pub use host::sandbox::Sandbox;
pub use host::side_by_side::TestRun;
pub use host::tier::Tier;
pub use host::workspace::Workspace;
pub use language::{
    InstalledLanguage, Languages, ParseVersionRuleError, TableError, UnservedLanguage, VersionRule,
};
pub use protocol::ids::IdMapping;
pub use protocol::limits::RunLimits;
pub use protocol::wire::CgroupVersion;

/// What only the fuzz targets use.
#[cfg(fuzzing)]
pub mod fuzzing {
    /// The memory that a program's image needs at start, in bytes.
    ///
    /// # Errors
    /// Returns an error if the file is not a program or ends too early.
    pub fn image_bytes(file: &std::fs::File) -> std::io::Result<u64> {
        crate::host::elf::image_bytes(file)
    }
}
