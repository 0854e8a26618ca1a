//! What this machine offers to the sandbox: a check of each means of isolation, with the remedy if it is missing.

use crate::host::cgroup;
use crate::host::check::HostCheck;
use crate::host::config::{SandboxConfig, TierChoice};
use crate::host::cpu_weight;
use crate::host::error::{self, StartError};
use crate::host::overcommit;
use crate::host::sandbox::Sandbox;
use crate::host::tier;
use crate::protocol::ids::IdMapping;

/// Checks the machine and builds one slot of the configured tier. Blocks for some tens of milliseconds.
pub async fn probe(config: &SandboxConfig) -> Vec<HostCheck> {
    let mut checks = vec![kernel(), filter(), user_namespaces(), ids(config)];
    checks.extend([overcommit::waiting_time(), overcommit::cpus(config.slots)]);
    checks.push(cpu_weight::check());
    checks.extend(cgroups());
    checks.push(slot(config).await);
    checks
}

fn kernel() -> HostCheck {
    HostCheck {
        name: "kernel",
        ok: tier::check_kernel().is_ok(),
        detail: format!("Linux {}", tier::kernel_release()),
        impact: "no tier works",
        remedy: "boot Linux 5.12 or later",
    }
}

fn filter() -> HostCheck {
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    HostCheck {
        name: "seccomp",
        ok: actions.contains("errno") && actions.contains("kill_process"),
        detail: if actions.is_empty() {
            "no system call filters".to_owned()
        } else {
            actions.trim().to_owned()
        },
        impact: "no tier works: each needs the system call filter",
        remedy: "boot a kernel with CONFIG_SECCOMP_FILTER, and give the judge access to /proc/sys",
    }
}

fn user_namespaces() -> HostCheck {
    let created = tier::try_user_namespace();
    HostCheck {
        name: "user namespaces",
        ok: created.is_ok(),
        detail: created
            .map_or_else(|error| format!("cannot be created: {error}"), |()| "can be created".to_owned()),
        impact: "only the tier no-user-namespace works, and it needs root",
        remedy: error::USER_NAMESPACE_REMEDY,
    }
}

fn ids(config: &SandboxConfig) -> HostCheck {
    let mapping = tier::id_mapping(&SandboxConfig { tier: TierChoice::Auto, ..config.clone() });
    HostCheck {
        name: "separate ids for programs",
        ok: matches!(mapping, Ok(IdMapping::Separate)),
        detail: match mapping {
            Ok(IdMapping::Separate) => "the judge may assign them".to_owned(),
            Ok(_) => {
                "the judge may not assign them; programs have its own id, without its privileges".to_owned()
            }
            Err(error) => error.to_string(),
        },
        impact: "one layer less: a program that escaped its namespaces would have the judge's user id on the host; a \
                 judge that is root does not start",
        remedy: "run the judge as root, with CAP_SETUID, CAP_SETGID and CAP_CHOWN and ids 60000 to 61023",
    }
}

fn cgroups() -> [HostCheck; 2] {
    const IMPACT: &str = "if the other version is missing too, the kernel cannot enforce limits; memory and CPU time \
                          can only be sampled (SANDBOX_TIER=no-cgroup)";
    [("cgroup v2", cgroup::probe_v2()), ("cgroup v1", cgroup::probe_v1())].map(|(name, probed)| {
        let (ok, detail, remedy) = match probed {
            Ok(detail) => (true, detail, ""),
            Err(StartError::Cgroup { missing, remedy }) => (false, format!("not usable: {missing}"), remedy),
            Err(error) => (false, error.to_string(), ""),
        };
        HostCheck { name, ok, detail, impact: IMPACT, remedy }
    })
}

async fn slot(config: &SandboxConfig) -> HostCheck {
    let built = Sandbox::start_without_languages(SandboxConfig { slots: 1, ..config.clone() }).await;
    let (ok, detail) = match built {
        Ok(sandbox) => {
            let tier = sandbox.tier().to_string();
            sandbox.shutdown().await;
            (true, format!("built one: {tier}"))
        }
        Err(error) => (false, gavel_domain::error::chain(&error)),
    };
    HostCheck {
        name: "sandbox slot",
        ok,
        detail,
        impact: "the sandbox does not start with this SANDBOX_TIER",
        remedy: "fix what is missing above, or set SANDBOX_TIER to a tier that this machine offers",
    }
}
