//! The messages between the judge and the init of a slot. Both are the same build, so the encoding has no versions.

use serde::{Deserialize, Serialize};

use crate::protocol::ids::IdMapping;
use crate::protocol::limits::ResourceLimits;

/// Which cgroup interface the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CgroupVersion {
    /// Separate hierarchies, one for each controller.
    V1,
    /// The unified hierarchy.
    V2,
}

/// The description of a slot, sent to its init once. The descriptors of the slot's cgroup files travel with it, in
/// the order of [`SlotSetup::cgroup_files`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SlotSetup {
    /// How the slot's ids relate to the host's.
    pub(crate) id_mapping: IdMapping,
    /// The user and group id that programs of this slot run as, as they see it.
    pub(crate) uid: u32,
    /// The CPU that the slot is pinned to.
    pub(crate) cpu: Option<usize>,
    /// The size of the writable tmpfs, in bytes.
    pub(crate) box_bytes: u64,
    /// The maximum number of files and directories in it.
    pub(crate) box_inodes: u64,
    /// Top-level directories that hold toolchains, such as `usr`.
    pub(crate) toolchain_dirs: Vec<String>,
    /// Other files and directories that toolchains need, by absolute path.
    pub(crate) mounts: Vec<String>,
    /// How to read the cgroup's files. If `None`, usage is sampled.
    pub(crate) cgroup: Option<CgroupVersion>,
    /// The cgroup files whose descriptors travel with this message.
    pub(crate) cgroup_files: Vec<CgroupFile>,
    /// Whether the cgroup gives programs a lower CPU weight than services. If not, the init lowers its priority.
    pub(crate) has_cpu_weight: bool,
    /// Whether programs must stay in the session of the init, since each session has a share of the CPU.
    pub(crate) has_one_session: bool,
}

/// A cgroup file that the init reads or writes for each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CgroupFile {
    /// The memory limit (written).
    MemoryLimit,
    /// The limit of memory and swap together (written; v1 with swap accounting only).
    MemorySwapLimit,
    /// The peak memory usage (read, and written to reset it).
    MemoryPeak,
    /// The current memory usage (read).
    MemoryCurrent,
    /// The memory usage by its kind (read).
    MemoryStat,
    /// The number of out-of-memory kills (read).
    MemoryEvents,
    /// CPU time (read).
    CpuUsage,
    /// The process limit (written).
    ProcessLimit,
}

/// The directory that a file is copied to before a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FileLocation {
    /// The working directory, owned by the program's user.
    WorkDir,
    /// The program's directory, which programs cannot write.
    ProgramDir,
}

/// A file that is copied into the box before a run; its content travels as a descriptor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FileSpec {
    pub(crate) location: FileLocation,
    pub(crate) name: String,
    pub(crate) mode: u32,
}

/// One run. The descriptors of stdin, stdout and stderr travel with it, then the files' contents in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunRequest {
    /// The program and its arguments; the first is an absolute path in the box.
    pub(crate) argv: Vec<String>,
    /// `NAME=value` each.
    pub(crate) env: Vec<String>,
    /// Files to copy into the box. Unless this is empty, the program's directory is emptied first.
    pub(crate) files: Vec<FileSpec>,
    pub(crate) limits: ResourceLimits,
    /// A file of the working directory to return if the run succeeds.
    pub(crate) artefact: Option<ArtefactRequest>,
    /// Whether the judge has let the run use another CPU besides the slot's own.
    pub(crate) has_spare_cpu: bool,
}

/// A file that a compiler is expected to create.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ArtefactRequest {
    pub(crate) name: String,
    pub(crate) max_bytes: u64,
}

/// From the judge to the init.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToInit {
    /// The first message.
    Setup(SlotSetup),
    /// Run a program.
    Run(RunRequest),
    /// End the current run now. Has no effect if no run is in progress.
    StopRun,
    /// Remove the loaded program.
    UnloadProgram,
}

/// From the init to the judge.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromInit {
    /// The slot is built and every layer of isolation is in effect.
    Ready,
    /// A step failed, and the init exits. `step` completes the sentence "the slot's init could not …".
    Failed { step: String, errno: i32 },
    /// A run has ended, and nothing of it is left in the slot.
    Report(RunReport),
}

/// How the program's main process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ProcessExit {
    Exited(i32),
    Signaled(i32),
    /// A step before its execution failed; the number is an errno.
    NotStarted(i32),
    /// The kernel refused to execute it; the number is an errno.
    NotExecuted(i32),
    /// Its memory limit is below what must stay resident, and could not be set.
    MemoryLimitTooLow,
}

/// Why the init ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KillReason {
    CpuLimit,
    WallLimit,
    /// It waited too long for a CPU.
    Starved,
    /// Sampling found too much memory in use, or the kernel has killed a process for its memory.
    MemoryLimit,
    /// [`ToInit::StopRun`].
    StopRequested,
}

/// The result of [`RunRequest::artefact`]. The file's descriptor travels with `Sent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ArtefactStatus {
    NotRequested,
    Sent,
    Missing,
    NotAFile,
    TooLarge,
}

/// One run as the init saw it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct RunReport {
    pub(crate) exit: ProcessExit,
    /// `None` if the main process ended before the init ended the run.
    pub(crate) kill_reason: Option<KillReason>,
    /// Whether the kernel killed at least one process of the run because memory ran out.
    pub(crate) out_of_memory: bool,
    pub(crate) cpu_ns: u64,
    /// The elapsed time without `waiting_ns`.
    pub(crate) wall_ns: u64,
    /// The time in which the run was runnable and waited for a CPU that others used.
    pub(crate) waiting_ns: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) artefact: ArtefactStatus,
    /// The slot could not be cleaned and must not be used again.
    pub(crate) unusable: bool,
}
