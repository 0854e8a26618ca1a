//! The embedded execution engine (Linux).
//!
//! A [`Sandbox`] holds a few slots. Each slot is a process tree of its own whose init (see [`init`]) lives
//! in its cgroups, its namespaces and its minimal root, and waits for orders. A [`Workspace`] is one slot, lent
//! to one submission: it compiles once and runs many times, each time in a clean box.
//!
//! What a program did comes back as an [`gavel_domain::Execution`]; what went wrong on our side is a [`Fault`].
//! The two are never mixed: a limit that a program met is no fault, and a fault is no limit.
//!
//! It needs Linux 5.12 or later, user namespaces, and the cgroup controllers memory and pids (on v1 cpuacct as well);
//! root where programs are to have ids of their own. With less, [`Sandbox::start`] says what is missing, and which
//! lesser [`TierChoice`] would do without; [`probe`] tells what the machine offers.

pub mod config;
pub mod error;
pub mod init;

mod cache;
mod capture;
mod cgroup;
mod channel;
mod cores;
mod ids;
mod language;
mod limits;
mod memfd;
mod outcome;
mod probe;
mod program;
mod sandbox;
mod slot;
mod spawn;
mod tier;
mod wire;
mod workspace;

pub use config::{InitProgram, MAX_SLOTS, NoSuchTier, SandboxConfig, TierChoice};
pub use error::{Fault, SlotError, StartError};
pub use ids::Ids;
pub use language::{
    InstalledLanguage, Languages, TableError, UnservedLanguage, VersionRule, VersionRuleError, label,
};
pub use limits::RunLimits;
pub use probe::{Finding, probe};
pub use program::{Compilation, Program};
pub use sandbox::Sandbox;
pub use tier::Tier;
pub use wire::CgroupVersion;
pub use workspace::Workspace;

/// What the fuzz targets reach that is nobody else's.
#[cfg(fuzzing)]
pub mod fuzzing {
    /// The memory that a program's image asks for, in bytes.
    ///
    /// # Errors
    /// Where the file is no program, or ends too early.
    pub fn image_bytes(file: &std::fs::File) -> std::io::Result<u64> {
        crate::program::elf::image_bytes(file)
    }
}
