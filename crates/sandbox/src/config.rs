//! What an operator chooses about the sandbox.

use std::path::PathBuf;

use crate::language::{Languages, VersionRule};

/// The most slots: their user ids are a range of this length.
pub const MAX_SLOTS: usize = 512;

/// How the sandbox is set up. `SandboxConfig::default()` suits a judge whose `main` calls
/// [`crate::init::enter_if_asked`] first.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Runs side by side, 1 to [`MAX_SLOTS`]; one a core, so that no run disturbs another's time. Default: the
    /// number of cores.
    pub slots: usize,
    /// The executable that slots run as their init.
    pub init: InitProgram,
    /// Which means of isolation to use.
    pub tier: TierChoice,
    /// The size of a slot's writable file system, in bytes; it also counts as memory of the run. Default
    /// 256 MiB.
    pub box_bytes: u64,
    /// The most files and directories in it. Default 16,384.
    pub box_inodes: u64,
    /// The first of the user and group ids that programs run as, one a slot. Nobody else may use the range.
    /// Default 60,000.
    pub first_uid: u32,
    /// The languages to look for. Default: the table that is part of the executable.
    pub languages: Languages,
    /// Whether a toolchain may be older than what an id stands for. Default: it may.
    pub versions: VersionRule,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            slots: std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MAX_SLOTS),
            init: InitProgram::CurrentExe,
            tier: TierChoice::Auto,
            box_bytes: 256 << 20,
            box_inodes: 16_384,
            first_uid: 60_000,
            languages: Languages::default(),
            versions: VersionRule::default(),
        }
    }
}

/// The executable that slots run as their init: one whose `main` calls [`crate::init::enter_if_asked`] first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitProgram {
    /// The one that is running.
    CurrentExe,
    /// Another of the same build.
    Path(PathBuf),
}

/// Which means of isolation to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TierChoice {
    /// The best that the machine offers.
    #[default]
    Auto,
    /// cgroup v1 or nothing.
    CgroupV1,
    /// cgroup v2 or nothing.
    CgroupV2,
}

impl TierChoice {
    /// Each one that can be asked for by name.
    pub const EACH: [Self; 2] = [Self::CgroupV1, Self::CgroupV2];
}
