//! The messages between a slot on the judge's side and its init. Both are the same build, so the encoding has
//! no versions.

use std::io;

use serde::{Deserialize, Serialize};

use crate::protocol::ids::Ids;

/// Which cgroup interface the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CgroupVersion {
    /// Separate hierarchies, one a controller.
    V1,
    /// The unified hierarchy.
    V2,
}

/// What the init needs to know once. With it travel the descriptors of the slot's cgroup files, in the order
/// of [`MeterFile::ALL`], only those that [`Setup::meter`] names.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// How the slot's ids relate to the host's.
    pub(crate) ids: Ids,
    /// The user and group id that programs of this slot run as, as they see it.
    pub(crate) uid: u32,
    /// The processor that the slot is pinned to.
    pub(crate) core: Option<usize>,
    /// The size of the writable tmpfs, in bytes.
    pub(crate) box_bytes: u64,
    /// The most files and directories in it.
    pub(crate) box_inodes: u64,
    /// Directories at the root that hold toolchains, such as `usr`.
    pub(crate) toolchain_dirs: Vec<String>,
    /// Other files and directories that toolchains need, by absolute path.
    pub(crate) mounts: Vec<String>,
    /// How to read the cgroup's files; without any, use is sampled.
    pub(crate) cgroup: Option<CgroupVersion>,
    /// The cgroup files whose descriptors are sent along.
    pub(crate) meter: Vec<MeterFile>,
}

/// A cgroup file that the init reads or writes for each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MeterFile {
    /// The memory limit (written).
    MemoryLimit,
    /// The limit of memory and swap together (written; v1 with swap accounting only).
    MemorySwapLimit,
    /// The peak of memory use (read, and written to reset it).
    MemoryPeak,
    /// Memory use now (read).
    MemoryNow,
    /// Where out-of-memory kills are counted (read).
    MemoryEvents,
    /// CPU time (read).
    CpuUsage,
    /// The process limit (written).
    ProcessLimit,
}

/// Where a file is put before a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// The working directory, owned by the program's user.
    Work,
    /// The program's directory, which programs cannot write.
    Program,
}

/// A file that is put into the box before a run; its content travels as a descriptor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FileSpec {
    pub(crate) place: Place,
    pub(crate) name: String,
    pub(crate) mode: u32,
}

/// What one run may use.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Caps {
    pub(crate) cpu_ns: u64,
    pub(crate) wall_ns: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) processes: u32,
    pub(crate) file_bytes: u64,
    pub(crate) stack_bytes: u64,
}

/// One run. With it travel stdin, stdout and stderr, then the files' contents in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The program and its arguments; the first is an absolute path in the box.
    pub(crate) argv: Vec<String>,
    /// `NAME=value` each.
    pub(crate) env: Vec<String>,
    /// What to put into the box. Where this is not empty, the program's directory is emptied first.
    pub(crate) files: Vec<FileSpec>,
    pub(crate) caps: Caps,
    /// A file of the working directory to hand out when the run succeeded.
    pub(crate) collect: Option<Collect>,
}

/// A file that a compiler is expected to leave.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Collect {
    pub(crate) name: String,
    pub(crate) max_bytes: u64,
}

/// From the judge to the init.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToInit {
    /// The first message.
    Setup(Setup),
    /// Run this.
    Order(Order),
    /// End the current run now; without effect when none is under way.
    Stop,
    /// Forget the loaded program.
    Wipe,
}

/// From the init to the judge.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromInit {
    /// The slot is built and every layer of isolation holds.
    Ready,
    /// A step failed; the init ends. `step` says which, in words that an operator can use.
    Failed { step: String, errno: i32 },
    /// A run is over, and nothing of it is left in the slot.
    Report(Report),
}

/// How the program itself ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    Exited(i32),
    Signaled(i32),
    /// It could not be executed; the number is an errno.
    NotStarted(i32),
    /// Its memory limit could not even be set, being below what must stay resident.
    NoRoom,
}

/// Why the init ended the run, where it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StoppedBy {
    /// It was over before any limit.
    Nothing,
    CpuLimit,
    WallLimit,
    /// Too much memory was in use, found by sampling, or the kernel has ended a process for it.
    MemoryLimit,
    /// [`ToInit::Stop`].
    Judge,
}

/// What became of [`Order::collect`]. With `Sent` travels the file's descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Collected {
    NotAsked,
    Sent,
    Missing,
    NotAFile,
    TooLarge,
}

/// One run, as the init saw it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) end: End,
    pub(crate) stopped_by: StoppedBy,
    /// The kernel killed at least one process of the run for want of memory.
    pub(crate) out_of_memory: bool,
    pub(crate) cpu_ns: u64,
    pub(crate) wall_ns: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) collected: Collected,
    /// The slot could not be cleaned and must not be used again.
    pub(crate) spent: bool,
}

/// A failed step of the init, on its way to [`FromInit::Failed`].
#[derive(Debug)]
pub(crate) struct StepError {
    pub(crate) step: String,
    pub(crate) errno: i32,
}

/// Names the step that failed.
pub(crate) trait Step<T> {
    fn step(self, name: impl FnOnce() -> String) -> Result<T, StepError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, name: impl FnOnce() -> String) -> Result<T, StepError> {
        self.map_err(|error| StepError { step: name(), errno: error.into().raw_os_error().unwrap_or(0) })
    }
}
