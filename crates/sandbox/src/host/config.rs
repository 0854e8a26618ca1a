//! The configuration of the sandbox.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::language::{Languages, VersionRule};

/// The maximum number of slots: their user ids come from a range of fixed length.
pub const MAX_SLOTS: usize = 512;

/// The configuration of the sandbox. `SandboxConfig::default()` suits a judge whose `main` calls
/// [`crate::init::enter_if_asked`] first.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Runs at the same time, 1 to [`MAX_SLOTS`]. With at most one for each CPU, no run disturbs the timing of
    /// another. Default: the number of CPUs.
    pub slots: usize,
    /// The executable that slots run as their init.
    pub init: InitProgram,
    /// Which means of isolation to use. If they are not available, the start fails.
    pub tier: TierChoice,
    /// The size of a slot's writable file system, in bytes; it also counts as memory of the run. Default
    /// 256 MiB.
    pub box_bytes: u64,
    /// The maximum number of files and directories in it. Default 16,384.
    pub box_inodes: u64,
    /// The first of the user and group ids that slots use if the judge is root: for each slot one for its programs
    /// and, [`MAX_SLOTS`] above it, one for its init. Nothing else on the machine may use the range; judges use the same
    /// one, or ones that do not overlap. Default 60,000.
    pub first_uid: u32,
    /// The languages to serve if their toolchains are installed. Default: the table that is part of the executable.
    pub languages: Languages,
    /// Whether a toolchain may be older than the version that Judge0 means by an id. Default: it may.
    pub versions: VersionRule,
    /// The size of the cache of compiled programs, in bytes. Default 64 MiB.
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

/// The executable that slots run as their init. Its `main` calls [`crate::init::enter_if_asked`] first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitProgram {
    /// The executable of this process.
    CurrentExe,
    /// Another executable of the same build.
    Path(PathBuf),
}

/// Which means of isolation to use (`SANDBOX_TIER`). If the named tier is not available, the start fails: a lesser
/// tier is used only if it is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TierChoice {
    /// cgroup v2, else v1, with a user namespace for each slot: everything that this crate promises.
    #[default]
    Auto,
    /// The same with cgroup v2 only.
    CgroupV2,
    /// The same with cgroup v1 only.
    CgroupV1,
    /// Without a user namespace: the init of a slot is root on the host, with few capabilities left.
    NoUserNamespace,
    /// Without cgroups: memory and CPU time of a run are sampled instead of accounted by the kernel.
    NoCgroup,
}

/// The names, in the order of the enum.
const TIER_NAMES: [(TierChoice, &str); 5] = [
    (TierChoice::Auto, "auto"),
    (TierChoice::CgroupV2, "cgroup-v2"),
    (TierChoice::CgroupV1, "cgroup-v1"),
    (TierChoice::NoUserNamespace, "no-user-namespace"),
    (TierChoice::NoCgroup, "no-cgroup"),
];

impl TierChoice {
    /// Every tier; [`Self::Auto`] selects one of the first two.
    pub const ALL: [Self; 4] = [Self::CgroupV2, Self::CgroupV1, Self::NoUserNamespace, Self::NoCgroup];
}

/// The text is not the name of a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be auto, cgroup-v2, cgroup-v1, no-user-namespace or no-cgroup")]
pub struct ParseTierError;

impl FromStr for TierChoice {
    type Err = ParseTierError;

    fn from_str(text: &str) -> Result<Self, ParseTierError> {
        TIER_NAMES.iter().find(|(_, name)| *name == text).map(|(choice, _)| *choice).ok_or(ParseTierError)
    }
}

impl fmt::Display for TierChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = TIER_NAMES.iter().find(|(choice, _)| choice == self).map_or("auto", |(_, name)| name);
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tier_names_parse_back_to_their_tiers() {
        for (choice, name) in TIER_NAMES {
            assert_eq!((name.parse(), choice.to_string().as_str()), (Ok(choice), name));
        }
        assert_eq!("none".parse::<TierChoice>(), Err(ParseTierError));
    }
}
