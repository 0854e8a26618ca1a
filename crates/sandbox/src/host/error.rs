//! The errors of the sandbox. A program never causes them, and none of them is a verdict.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use gavel_domain::engine::EngineFault;
use gavel_domain::{LanguageId, catalogue};
use rustix::io::Errno;

/// The oldest kernel that has everything the sandbox uses (`mount_setattr`).
pub(crate) const MIN_KERNEL: (u32, u32) = (5, 12);
/// How to allow user namespaces.
pub(crate) const USER_NAMESPACE_REMEDY: &str = "allow them (sysctl user.max_user_namespaces above 0, and kernel.unprivileged_userns_clone=1 and \
     kernel.apparmor_restrict_unprivileged_userns=0 if these exist; containers: the seccomp profile deploy/seccomp/judge.json), or run the judge as \
     root with SANDBOX_TIER=no-user-namespace";

/// Why the sandbox cannot start on this machine. It never starts with a layer of isolation missing.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configured number of slots is zero or too large.
    #[error("the number of sandbox slots must be 1 to {max}", max = crate::host::config::MAX_SLOTS)]
    Slots,
    /// The kernel is too old.
    #[error(
        "the sandbox needs Linux {}.{} or later, and this is {release}: boot a later kernel, or use a Judge0 (ENGINE=judge0)",
        MIN_KERNEL.0,
        MIN_KERNEL.1
    )]
    Kernel {
        /// The release, as `uname -r` shows it.
        release: String,
    },
    /// User namespaces cannot be created.
    #[error("the sandbox needs user namespaces: {USER_NAMESPACE_REMEDY}")]
    UserNamespace(#[source] io::Error),
    /// Without a user namespace, creating namespaces and mounts needs privileges that this process lacks.
    #[error(
        "SANDBOX_TIER=no-user-namespace needs root with the capability {capability}: run the judge as root, in a \
         container with this capability added"
    )]
    NotPrivileged {
        /// The missing capability, such as `CAP_SYS_ADMIN`.
        capability: &'static str,
    },
    /// The judge is root and may not give its programs other ids. They would then own root's files.
    #[error(
        "the judge is root, but cannot give programs separate user ids: it lacks {missing}. Run it with CAP_SETUID, \
         CAP_SETGID, CAP_CHOWN and the user ids 60000 to 61023, or as a user other than root"
    )]
    RootWithoutIds {
        /// A capability, or the range of ids.
        missing: String,
    },
    /// Other judges on this machine use the user ids of programs.
    #[error(
        "{slots} slots need as many user ids, and {free} are free: other judges on this machine use the rest of \
         {max}. Stop one, or set JUDGE_SLOTS lower",
        max = crate::host::config::MAX_SLOTS
    )]
    IdsInUse {
        /// The number of free ids.
        free: usize,
        /// The configured number of slots.
        slots: usize,
    },
    /// The user ids of programs could not be claimed.
    #[error("cannot claim user ids for programs")]
    IdClaims(#[source] io::Error),
    /// There is no usable cgroup hierarchy.
    #[error(
        "the sandbox needs the cgroup controllers {missing}: {remedy}; or set SANDBOX_TIER=no-cgroup, so that memory \
         and CPU time are sampled instead of limited by the kernel"
    )]
    Cgroup {
        /// The missing controllers, separated by commas.
        missing: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The executable that slots run as their init cannot be read.
    #[error("cannot read the executable of the sandbox's init at {}", path.display())]
    InitProgram {
        /// The path of the executable.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A slot could not be built.
    #[error("cannot build a sandbox slot")]
    Slot(#[from] SlotError),
    /// The sandbox failed while it asked the toolchains for their versions.
    #[error("cannot ask the toolchains for their versions")]
    Versions(#[source] SandboxError),
}

impl StartError {
    /// Whether it persists until the configuration or the machine is changed. Otherwise a later start may succeed.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::IdsInUse { .. } | Self::IdClaims(_) | Self::Versions(_) => false,
            Self::Slot(error) => error.is_permanent(),
            _ => true,
        }
    }
}

/// Why a slot could not be built.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// A cgroup or one of its files could not be created or written.
    #[error("cannot {action} the cgroup file {}", path.display())]
    Cgroup {
        /// Such as `create` or `write`.
        action: &'static str,
        /// The path of the cgroup or its file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The ids of the slot's user namespace could not be set.
    #[error("cannot set the ids of a slot's user namespace")]
    Ids(#[source] io::Error),
    /// The init could not be started in its namespaces.
    #[error("cannot start an init in new user, PID, mount, network, IPC and UTS namespaces")]
    Spawn(#[source] io::Error),
    /// A step inside the init failed.
    #[error("the slot's init could not {step}: {}", io::Error::from_raw_os_error(*errno))]
    Step {
        /// The step, such as `mount a private /proc`.
        step: String,
        /// The error number.
        errno: i32,
    },
    /// The init exited, or its answer was not understood.
    #[error("the slot's init did not start: {0}")]
    NoAnswer(String),
}

impl SlotError {
    /// Whether the kernel refuses a step, or does not have it. Otherwise it lacks memory, processes or the like.
    fn is_permanent(&self) -> bool {
        let errno = match self {
            Self::Cgroup { source, .. } | Self::Ids(source) | Self::Spawn(source) => source.raw_os_error(),
            Self::Step { errno, .. } => Some(*errno),
            Self::NoAnswer(_) => None,
        };
        let refusals = [
            Errno::PERM,
            Errno::ACCESS,
            Errno::ROFS,
            Errno::NOSYS,
            Errno::INVAL,
            Errno::OPNOTSUPP,
            Errno::NODEV,
        ];
        errno.is_some_and(|errno| refusals.contains(&Errno::from_raw_os_error(errno)))
    }
}

/// Why a workspace could not compile or run a program. The program is never the cause.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The language is not in the table, or its toolchain is not on this machine.
    #[error("{} is not served by this judge: {reason}", name_with_id(*language))]
    NotServed {
        /// The requested id.
        language: LanguageId,
        /// Why, with the remedy for the operator.
        reason: String,
    },
    /// The sandbox has been shut down.
    #[error("the sandbox is shut down")]
    Closed,
    /// A slot could not be built.
    #[error("cannot build a sandbox slot")]
    Slot(#[from] SlotError),
    /// A pipe or a file in memory for the run could not be created.
    #[error("cannot prepare the {what} of a run")]
    Prepare {
        /// Such as `stdin`.
        what: &'static str,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The slot's init exited during a run.
    #[error("the slot's init exited during a run: {0}")]
    Lost(String),
    /// A run waited too long for a CPU that other processes used.
    #[error(
        "a run of {program} waited {} s for a CPU: this machine has too much other work. Use fewer slots (JUDGE_SLOTS) \
         or more CPUs",
        waited.as_secs()
    )]
    Starved {
        /// The path of the executable in the box.
        program: String,
        /// The time in which the run was runnable and had no CPU.
        waited: Duration,
    },
    /// The slot did not answer within the limits of the run on time and a grace period.
    #[error("the slot did not end a run within {grace_seconds} s after its limits on time")]
    Stuck {
        /// The grace period, in seconds.
        grace_seconds: u64,
    },
    /// Reading what the program wrote failed.
    #[error("cannot read what a program wrote")]
    Capture(#[source] io::Error),
    /// The program or compiler could not be started.
    #[error("cannot start {program}: {errno}")]
    Launch {
        /// The path of the executable in the box.
        program: String,
        /// The error number of the failed step.
        errno: Errno,
    },
}

/// The language for an operator: "Swift (83)", or "language 4711".
fn name_with_id(id: LanguageId) -> String {
    catalogue::label(id).map_or_else(|| format!("language {id}"), |label| format!("{label} ({id})"))
}

impl From<SandboxError> for EngineFault {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::NotServed { language, .. } => {
                let name = catalogue::label(language).map_or(format!("language {language}"), str::to_owned);
                Self::Final {
                    reason: format!("{name} is not available on this judge"),
                    source: Some(error.into()),
                }
            }
            error => Self::Transient(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_permanent_and_shortages_are_not() {
        let spawn = |errno: Errno| StartError::Slot(SlotError::Spawn(errno.into()));
        let step = |errno: Errno| {
            StartError::Slot(SlotError::Step { step: String::new(), errno: errno.raw_os_error() })
        };
        for error in [spawn(Errno::PERM), step(Errno::NOSYS), StartError::Slots] {
            assert!(error.is_permanent(), "{error:?}");
        }
        let lost = StartError::Slot(SlotError::NoAnswer(String::new()));
        for error in
            [spawn(Errno::AGAIN), step(Errno::NOMEM), lost, StartError::IdsInUse { free: 0, slots: 1 }]
        {
            assert!(!error.is_permanent(), "{error:?}");
        }
    }
}
