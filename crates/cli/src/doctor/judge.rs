//! Checks of this machine as a judge: what the kernel offers for isolation, and which toolchains are installed.

use std::collections::BTreeMap;

use gavel_config::Env;
use gavel_judge::{Config, EngineChoice};
use gavel_sandbox::{Sandbox, SandboxConfig, probe};

use super::{Finding, State};

/// Checks with the settings that a judge would have on this machine.
pub(super) async fn check() -> Vec<Finding> {
    let mut env = Env::from_process();
    let settings = Config::read(&mut env);
    if let Err(problems) = env.finish() {
        return vec![Finding::bad(
            "settings of the judge",
            problems.to_string(),
            "Correct the variables as described in deploy/default.env.",
        )];
    }
    if settings.engine == EngineChoice::Judge0 {
        return vec![Finding::skipped(
            "this machine as a judge",
            "not checked, because ENGINE=judge0 runs nothing on this machine",
        )];
    }
    let config = SandboxConfig {
        slots: settings.slots,
        languages: settings.languages,
        versions: settings.versions,
        tier: settings.sandbox_tier,
        ..SandboxConfig::default()
    };
    let mut findings = isolation(&config).await;
    let slots = config.slots.min(4);
    findings.extend(toolchains(SandboxConfig { slots, ..config }).await);
    findings
}

/// Checks each means of isolation. A missing one is a problem only if no slot can be built without it.
async fn isolation(config: &SandboxConfig) -> Vec<Finding> {
    let found = probe(config).await;
    let works = found.iter().any(|each| each.name == "sandbox slot" && each.ok);
    let has_cgroup = found.iter().any(|each| each.name.starts_with("cgroup") && each.ok);
    let finding = |each: gavel_sandbox::HostCheck| {
        if each.ok {
            return Finding::good(each.name, each.detail);
        }
        let remedy = match each.remedy {
            "" => format!("without it: {}", each.impact),
            remedy => format!("{remedy}; without it: {}", each.impact),
        };
        let state = match () {
            () if works && has_cgroup && each.name.starts_with("cgroup") => State::Optional,
            () if works => State::Warning,
            () => State::Bad,
        };
        Finding { state, ..Finding::bad(each.name, each.detail, remedy) }
    };
    found.into_iter().map(finding).collect()
}

/// Returns a finding for each known language: its version, or how to install it.
async fn toolchains(config: SandboxConfig) -> Vec<Finding> {
    let Ok(sandbox) = Sandbox::start(config).await else {
        // The finding about the slot names the reason.
        return vec![Finding::skipped(
            "languages of this machine",
            "not checked, because the sandbox does not start",
        )];
    };
    let mut served = BTreeMap::<(String, String), Vec<String>>::new();
    for language in sandbox.languages() {
        let ids = served.entry((language.name.clone(), language.version.clone())).or_default();
        ids.push(language.id.to_string());
    }
    let mut findings: Vec<Finding> = served
        .into_iter()
        .map(|((name, version), ids)| {
            Finding::good(&format!("language {name}"), format!("{version}, for {}", ids.join(", ")))
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::bad(
            "languages of this machine",
            "no toolchains found",
            "Install some: \"scripts/languages --list\" lists them.",
        ));
    }
    findings.extend(sandbox.unserved().iter().map(|language| {
        let ids: Vec<String> = language.ids.iter().map(ToString::to_string).collect();
        let (name, found) =
            (format!("language {}", language.name), format!("not served, for {}", ids.join(", ")));
        Finding { state: State::Optional, ..Finding::bad(&name, found, language.reason.clone()) }
    }));
    sandbox.shutdown().await;
    findings
}
