//! The CPU weight of a judge's programs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::protocol::wire::CgroupVersion;

/// By how much the weight of a program is lower than that of a service, which is the default.
const DIVISOR: usize = 4;

/// The weight of a judge's top group, if the group has the controller `cpu`.
///
/// The kernel divides the weight of a group among the CPUs that its processes use. So that a program has the same weight
/// on its CPU whatever the other slots do, the weight of the group follows the number of busy slots.
#[derive(Debug)]
pub(super) struct CpuWeight {
    file: File,
    default: usize,
    largest: usize,
    /// Slots that share a CPU share the weight of one, too.
    cpus: usize,
}

impl CpuWeight {
    /// Opens the weight of a group with these directories, and sets it to that of services for now: the judge starts.
    /// Returns `None` if it has none that can be set.
    pub(super) fn open(directories: &[PathBuf], version: CgroupVersion, cpus: usize) -> Option<Self> {
        let (name, default, largest) = match version {
            CgroupVersion::V1 => ("cpu.shares", 1024, 262_144),
            CgroupVersion::V2 => ("cpu.weight", 100, 10_000),
        };
        let path = directories.iter().map(|directory| directory.join(name)).find(|path| path.exists())?;
        let weight = Self { file: File::options().write(true).open(path).ok()?, default, largest, cpus };
        weight.set(cpus * default).then_some(weight)
    }

    /// Sets the weight for programs in this many busy slots. Returns whether it is set.
    pub(super) fn set_busy_slots(&self, busy: usize) -> bool {
        self.set(busy.clamp(1, self.cpus) * self.default / DIVISOR)
    }

    fn set(&self, weight: usize) -> bool {
        self.file.write_at(weight.min(self.largest).to_string().as_bytes(), 0).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_is_a_quarter_for_each_cpu_that_a_busy_slot_can_use() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cpu.weight");
        let directories = [folder.path().to_owned()];
        assert!(CpuWeight::open(&directories, CgroupVersion::V2, 4).is_none());
        std::fs::write(&file, "100").unwrap();
        let weight = CpuWeight::open(&directories, CgroupVersion::V2, 4).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "400");
        for (busy, expected) in [(0, "25"), (1, "25"), (3, "75"), (4, "100"), (16, "100")] {
            std::fs::write(&file, "").unwrap();
            assert!(weight.set_busy_slots(busy));
            assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
        }
    }
}
