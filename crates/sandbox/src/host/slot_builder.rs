//! What all slots of a judge are built from.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::host::autogroup;
use crate::host::cgroup::Cgroups;
use crate::host::config::{InitProgram, SandboxConfig};
use crate::host::cpus::CpuClaims;
use crate::host::elf;
use crate::host::error::StartError;
use crate::host::id_claims::IdClaims;
use crate::host::inits::Inits;
use crate::host::memfd;
use crate::host::slot_ids::SlotIds;
use crate::protocol::ids::IdMapping;
use crate::protocol::wire::{CgroupFile, SlotSetup};

/// Top-level directories that hold toolchains and their libraries.
const TOOLCHAIN_DIRS: [&str; 6] = ["usr", "bin", "sbin", "lib", "lib32", "lib64"];
/// What every dynamically linked toolchain also needs.
const COMMON_MOUNTS: [&str; 2] = ["/etc/ld.so.cache", "/etc/alternatives"];
/// The largest executable that is accepted as an init, in bytes.
const MAX_INIT_BYTES: u64 = 256 << 20;

/// The resources that the slots of a judge share, and their inits.
#[derive(Debug)]
pub(crate) struct SlotBuilder {
    /// `None` if the inits sample what their programs use.
    pub(super) cgroups: Option<Cgroups>,
    id_mapping: IdMapping,
    ids: IdClaims,
    /// The CPUs that slots are pinned to.
    pub(super) cpus: CpuClaims,
    pub(crate) config: SandboxConfig,
    /// The init's executable, sealed.
    pub(super) init_program: OwnedFd,
    /// Files and directories outside `/usr` that toolchains need.
    mounts: Vec<String>,
    pub(crate) inits: Inits,
    /// Counts the slots that were built, so that each gets a cgroup of a new name.
    built: AtomicU64,
}

impl SlotBuilder {
    /// Takes a sealed copy of the init's executable.
    pub(crate) fn new(
        config: SandboxConfig,
        cgroups: Option<Cgroups>,
        id_mapping: IdMapping,
    ) -> Result<Self, StartError> {
        let path = match &config.init {
            InitProgram::CurrentExe => PathBuf::from("/proc/self/exe"),
            InitProgram::Path(path) => path.clone(),
        };
        let copy = || -> io::Result<OwnedFd> {
            let mut file = File::open(&path)?;
            let needed = elf::needed_bytes(&file)?.min(MAX_INIT_BYTES);
            let mut loaded = io::Read::take(&mut file, needed);
            memfd::sealed_copy("gavel-sandbox-init", &mut loaded, MAX_INIT_BYTES)?
                .ok_or_else(|| io::ErrorKind::FileTooLarge.into())
        };
        let init_program = copy().map_err(|source| StartError::InitProgram { path: path.clone(), source })?;
        let entries = config.languages.entries();
        let needed = entries.iter().flat_map(|language| language.mounts.iter().cloned());
        let mut mounts: Vec<_> = COMMON_MOUNTS.into_iter().map(str::to_owned).chain(needed).collect();
        // A directory comes before its contents.
        mounts.sort();
        mounts.dedup();
        let cpus = CpuClaims::new(config.slots);
        let ids = IdClaims::new(id_mapping, config.first_uid, config.slots)?;
        let (inits, built) = (Inits::default(), AtomicU64::new(0));
        Ok(Self { cgroups, id_mapping, ids, cpus, config, init_program, mounts, inits, built })
    }

    /// The user and group ids of a slot.
    pub(super) fn slot_ids(&self, slot_index: usize) -> SlotIds {
        self.ids.of_slot(slot_index)
    }

    /// A cgroup name that no slot of this judge has had.
    pub(super) fn next_group_name(&self, slot_index: usize) -> String {
        format!("slot-{slot_index}-{}", self.built.fetch_add(1, Ordering::Relaxed))
    }

    /// The description that the init of a slot receives first.
    pub(super) fn setup(&self, slot_index: usize, cgroup_files: Vec<CgroupFile>) -> SlotSetup {
        let has_cpu_weight = self.cgroups.as_ref().is_some_and(Cgroups::has_cpu_weight);
        SlotSetup {
            id_mapping: self.id_mapping,
            uid: self.slot_ids(slot_index).programs_inside(),
            cpu: self.cpus.cpu_of(slot_index),
            box_bytes: self.config.box_bytes,
            box_inodes: self.config.box_inodes,
            toolchain_dirs: TOOLCHAIN_DIRS.into_iter().map(str::to_owned).collect(),
            mounts: self.mounts.clone(),
            cgroup: self.cgroups.as_ref().map(Cgroups::version),
            cgroup_files,
            has_cpu_weight,
            has_one_session: !has_cpu_weight && autogroup::is_effective(),
        }
    }
}

/// Every slot refers to its builder, so that here no slot is left.
impl Drop for SlotBuilder {
    fn drop(&mut self) {
        self.inits.reap_all();
    }
}
