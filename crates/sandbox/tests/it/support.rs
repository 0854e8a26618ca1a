//! Fixtures of the tests: a sandbox with this crate's own init, and running programs in it.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use gavel_domain::{Execution, LanguageId};
use gavel_sandbox::{
    Compilation, InitProgram, Languages, Program, RunLimits, Sandbox, SandboxConfig, TierChoice, Workspace,
};

use crate::AS_ROOT;

pub(crate) const C: LanguageId = LanguageId(50);
pub(crate) const CPP: LanguageId = LanguageId(54);
pub(crate) const PYTHON: LanguageId = LanguageId(71);
pub(crate) const JAVASCRIPT: LanguageId = LanguageId(63);
pub(crate) const MIB: u64 = 1 << 20;

pub(crate) fn config(slots: usize) -> SandboxConfig {
    let init = InitProgram::Path(PathBuf::from(env!("CARGO_BIN_EXE_gavel-sandbox-init")));
    if !AS_ROOT {
        become_nobody();
    }
    // Every toolchain in the list is started once by every test.
    let languages = Languages::default().only(&[50, 52, 54, 71, 63]);
    SandboxConfig { slots, init, languages, tier: tier(), ..SandboxConfig::default() }
}

/// The tier to test: the one that `SANDBOX_TIER` names, or the best that works with these privileges.
pub(crate) fn tier() -> TierChoice {
    let expected = if AS_ROOT { TierChoice::Auto } else { TierChoice::NoCgroup };
    std::env::var("SANDBOX_TIER").map_or(expected, |name| name.parse().unwrap())
}

/// The tiers to test if a test is to hold on each: those that work with these privileges, or the one that `SANDBOX_TIER`
/// names.
pub(crate) fn tiers() -> Vec<TierChoice> {
    if AS_ROOT && std::env::var_os("SANDBOX_TIER").is_none() {
        vec![TierChoice::Auto, TierChoice::NoUserNamespace, TierChoice::NoCgroup]
    } else {
        vec![tier()]
    }
}

/// Drops all privileges, if this process has any. The files of the build stay readable.
#[expect(unsafe_code, reason = "ids of the whole process have no safe form")]
fn become_nobody() {
    const NOBODY: u32 = 65_534;
    if rustix::process::geteuid().is_root() {
        // SAFETY: plain system calls; the C library applies them to all threads.
        let dropped = unsafe {
            libc::setgroups(0, std::ptr::null()) == 0
                && libc::setresgid(NOBODY, NOBODY, NOBODY) == 0
                && libc::setresuid(NOBODY, NOBODY, NOBODY) == 0
                // A process that changed its ids is not dumpable, and its files in /proc then belong to root.
                && libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) == 0
        };
        assert!(dropped, "{}", std::io::Error::last_os_error());
    }
}

pub(crate) async fn sandbox(slots: usize) -> Sandbox {
    Sandbox::start(config(slots)).await.unwrap_or_else(|error| panic!("{}", chain(&error)))
}

/// Whether a program in a slot can have this id, as it sees it.
pub(crate) fn is_programs_id(id: u32) -> bool {
    if AS_ROOT { (60_000..60_512).contains(&id) } else { id == 0 }
}

pub(crate) use gavel_domain::error::chain;

/// Limits for programs that either stay within them or are ended soon.
pub(crate) fn limits() -> RunLimits {
    // The factor by which an emulated machine is slower.
    let slowness = std::env::var("SLOWNESS").map_or(1, |factor| factor.parse().unwrap());
    RunLimits {
        cpu_time: Duration::from_millis(1500) * slowness,
        wall_time: Duration::from_secs(6) * slowness,
        memory_bytes: 64 * MIB,
        ..RunLimits::default()
    }
}

/// A sandbox of one slot, and a workspace in it.
pub(crate) struct Fixture {
    pub(crate) workspace: Workspace,
    pub(crate) sandbox: Sandbox,
}

impl Fixture {
    pub(crate) async fn open() -> Self {
        Self::with_slots(1).await
    }

    /// The same with more slots, of which the others stay free.
    pub(crate) async fn with_slots(slots: usize) -> Self {
        let sandbox = sandbox(slots).await;
        let workspace = sandbox.workspace().await.unwrap();
        Self { workspace, sandbox }
    }

    pub(crate) async fn program(&mut self, language: LanguageId, source: &str) -> Program {
        match self.workspace.compile(language, source.as_bytes()).await.unwrap() {
            Compilation::Ready(program) => program,
            Compilation::Failed { output } => panic!("{}", String::from_utf8_lossy(&output)),
        }
    }

    pub(crate) async fn run(&mut self, language: LanguageId, source: &str, limits: &RunLimits) -> Execution {
        let program = self.program(language, source).await;
        self.workspace.run(&program, Bytes::new(), limits).await.unwrap()
    }

    pub(crate) async fn c(&mut self, source: &str) -> Execution {
        self.run(C, source, &limits()).await
    }

    pub(crate) async fn python(&mut self, source: &str) -> Execution {
        self.run(PYTHON, source, &limits()).await
    }
}

/// What a program printed, trimmed. Panics with its outcome and output if the program did not exit with 0.
pub(crate) fn printed(run: &Execution) -> String {
    assert!(
        run.outcome.is_success(),
        "{:?} {:?}\n{}\n{}",
        run.outcome,
        run.usage,
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );
    String::from_utf8_lossy(&run.stdout).trim().to_owned()
}
