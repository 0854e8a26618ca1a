//! What this machine can do for the sandbox, one finding a means, each with the remedy where it is missing.

use std::fmt;

use crate::host::cgroup;
use crate::host::config::{SandboxConfig, TierChoice};
use crate::host::error::{self, StartError};
use crate::host::sandbox::Sandbox;
use crate::host::tier;
use crate::protocol::ids::Ids;

/// One thing that the sandbox needs or can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub name: &'static str,
    /// Whether it is there.
    pub ok: bool,
    /// What was found, in one clause.
    pub found: String,
    /// What is lost without it, in one clause.
    pub costs: &'static str,
    /// What to do where it is missing.
    pub remedy: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, found, costs, remedy, .. } = self;
        if self.ok {
            return write!(f, "ok       {name}: {found}");
        }
        write!(f, "missing  {name}: {found}\n         costs {costs}\n         remedy: {remedy}")
    }
}

/// The oldest kernel on which every part exists (`mount_setattr`).
const OLDEST: (u32, u32) = (5, 12);

/// Looks at the machine, and builds one slot of the tier that `config` asks for. Blocks for some ten milliseconds.
pub async fn probe(config: &SandboxConfig) -> Vec<Finding> {
    let mut findings = vec![kernel(), filter(), user_namespaces(), ids(config)];
    findings.extend(cgroups());
    findings.push(slot(config).await);
    findings
}

fn kernel() -> Finding {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    Finding {
        name: "kernel",
        ok: version >= OLDEST,
        found: format!("Linux {release}"),
        costs: "everything: no tier works",
        remedy: "boot Linux 5.12 or later",
    }
}

fn filter() -> Finding {
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    Finding {
        name: "seccomp",
        ok: actions.contains("errno") && actions.contains("kill_process"),
        found: if actions.is_empty() {
            "no system call filters".to_owned()
        } else {
            actions.trim().to_owned()
        },
        costs: "everything: no tier works without the system call filter",
        remedy: "boot a kernel with CONFIG_SECCOMP_FILTER, and let the judge see /proc/sys",
    }
}

fn user_namespaces() -> Finding {
    let made = tier::make_user_namespace();
    Finding {
        name: "user namespaces",
        ok: made.is_ok(),
        found: made
            .map_or_else(|error| format!("they cannot be made: {error}"), |()| "they can be made".to_owned()),
        costs: "all tiers but no-user-namespace, which takes root",
        remedy: error::USER_NAMESPACE_REMEDY,
    }
}

fn ids(config: &SandboxConfig) -> Finding {
    let ids = tier::ids(&SandboxConfig { tier: TierChoice::Auto, ..config.clone() });
    Finding {
        name: "ids of their own for programs",
        ok: matches!(ids, Ok(Ids::Two)),
        found: match ids {
            Ok(Ids::Two) => "the judge may give them".to_owned(),
            Ok(_) => {
                "the judge may not give them; programs have its own id, without its privileges".to_owned()
            }
            Err(error) => error.to_string(),
        },
        costs: "a layer: a program that got out of its namespaces would be the judge's user on the host",
        remedy: "run the judge as root, with CAP_SETUID, CAP_SETGID and CAP_CHOWN and ids 60000 to 61023",
    }
}

fn cgroups() -> [Finding; 2] {
    const COSTS: &str = "with the other version missing too: limits that the kernel keeps; memory and CPU time can \
                         only be sampled (SANDBOX_TIER=no-cgroup)";
    [("cgroup v2", cgroup::look_v2()), ("cgroup v1", cgroup::look_v1())].map(|(name, looked)| {
        let (ok, found, remedy) = match looked {
            Ok(found) => (true, found, ""),
            Err(StartError::Cgroup { missing, remedy }) => (false, format!("not usable: {missing}"), remedy),
            Err(error) => (false, error.to_string(), ""),
        };
        Finding { name, ok, found, costs: COSTS, remedy }
    })
}

async fn slot(config: &SandboxConfig) -> Finding {
    let built = Sandbox::start_without_languages(SandboxConfig { slots: 1, ..config.clone() }).await;
    let (ok, found) = match built {
        Ok(sandbox) => {
            let tier = sandbox.tier().to_string();
            sandbox.shutdown().await;
            (true, format!("built one: {tier}"))
        }
        Err(error) => (false, error::chain(&error)),
    };
    Finding {
        name: "a slot",
        ok,
        found,
        costs: "the engine does not start with this SANDBOX_TIER",
        remedy: "mend what is missing above, or name a tier that this machine offers",
    }
}
