//! What an operator chooses about the sandbox.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

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
    /// Which means of isolation to use, or nothing.
    pub tier: TierChoice,
    /// The size of a slot's writable file system, in bytes; it also counts as memory of the run. Default
    /// 256 MiB.
    pub box_bytes: u64,
    /// The most files and directories in it. Default 16,384.
    pub box_inodes: u64,
    /// The first of the user and group ids that slots use where the judge is root: one a slot for its programs,
    /// and [`MAX_SLOTS`] above it one for its init. Nobody else may use the range. Default 60,000.
    pub first_uid: u32,
    /// The languages to look for. Default: the table that is part of the executable.
    pub languages: Languages,
    /// Whether a toolchain may be older than what an id stands for. Default: it may.
    pub versions: VersionRule,
    /// Bytes of compiled programs that are kept for the next submission of the same source. Default 64 MiB.
    pub compile_cache_bytes: u64,
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
            compile_cache_bytes: 64 << 20,
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

/// Which means of isolation to use (`SANDBOX_TIER`). What is named is used, or the start fails: a lesser tier is
/// taken only by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TierChoice {
    /// cgroup v2, else v1, with a user namespace a slot: everything that this crate promises.
    #[default]
    Auto,
    /// The same with cgroup v2 only.
    CgroupV2,
    /// The same with cgroup v1 only.
    CgroupV1,
    /// Without a user namespace: the init of a slot is the host's root with few capabilities left.
    NoUserNamespace,
    /// Without cgroups: memory and CPU time of a run are sampled instead of counted by the kernel.
    NoCgroup,
}

/// The names, in the order of the enum.
const NAMES: [(TierChoice, &str); 5] = [
    (TierChoice::Auto, "auto"),
    (TierChoice::CgroupV2, "cgroup-v2"),
    (TierChoice::CgroupV1, "cgroup-v1"),
    (TierChoice::NoUserNamespace, "no-user-namespace"),
    (TierChoice::NoCgroup, "no-cgroup"),
];

impl TierChoice {
    /// Each tier; `Auto` is one of them.
    pub const EACH: [Self; 4] = [Self::CgroupV2, Self::CgroupV1, Self::NoUserNamespace, Self::NoCgroup];
}

/// A text that names no tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be auto, cgroup-v2, cgroup-v1, no-user-namespace or no-cgroup")]
pub struct NoSuchTier;

impl FromStr for TierChoice {
    type Err = NoSuchTier;

    fn from_str(text: &str) -> Result<Self, NoSuchTier> {
        NAMES.iter().find(|(_, name)| *name == text).map(|(choice, _)| *choice).ok_or(NoSuchTier)
    }
}

impl fmt::Display for TierChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(choice, _)| choice == self).map_or("auto", |(_, name)| name);
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tier_is_read_by_the_name_that_it_shows() {
        for (choice, name) in NAMES {
            assert_eq!((name.parse(), choice.to_string().as_str()), (Ok(choice), name));
        }
        assert_eq!("none".parse::<TierChoice>(), Err(NoSuchTier));
    }
}
