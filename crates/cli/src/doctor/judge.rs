//! This machine, as one that judges: what the kernel gives, and which toolchains there are.

use std::collections::BTreeMap;

use gavel_config::Env;
use gavel_judge::{Config, EngineChoice};
use gavel_sandbox::{Sandbox, SandboxConfig, probe};

use super::{Finding, State};

/// Looks at it with the settings that a judge would have here.
pub(super) async fn check() -> Vec<Finding> {
    let mut env = Env::from_process();
    let settings = Config::read(&mut env);
    if let Err(problems) = env.finish() {
        return vec![Finding::bad(
            "the judge's settings",
            problems.to_string(),
            "set them as deploy/default.env says",
        )];
    }
    if settings.engine == EngineChoice::Judge0 {
        return vec![Finding::skipped("this machine as a judge", "ENGINE=judge0 needs nothing of it")];
    }
    let config = SandboxConfig {
        slots: settings.slots.clamp(1, 4),
        languages: settings.languages,
        versions: settings.versions,
        tier: settings.sandbox_tier,
        ..SandboxConfig::default()
    };
    let mut findings = machine(&config).await;
    findings.extend(toolchains(config).await);
    findings
}

/// Each means of isolation. What is missing is bad only where no slot can be built without it.
async fn machine(config: &SandboxConfig) -> Vec<Finding> {
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
            () if works && has_cgroup && each.name.starts_with("cgroup") => State::Spare,
            () if works => State::Warning,
            () => State::Bad,
        };
        Finding { state, ..Finding::bad(each.name, each.detail, remedy) }
    };
    found.into_iter().map(finding).collect()
}

/// Each language of the table: its version, or how to get it.
async fn toolchains(config: SandboxConfig) -> Vec<Finding> {
    let Ok(sandbox) = Sandbox::start(config).await else {
        // The finding on the slot says why.
        return vec![Finding::skipped("languages of this machine", "no sandbox, so no toolchain was tried")];
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
            "no toolchain is found",
            "install some: scripts/languages --list shows them",
        ));
    }
    findings.extend(sandbox.unserved().iter().map(|language| {
        let ids: Vec<String> = language.ids.iter().map(ToString::to_string).collect();
        let (name, found) =
            (format!("language {}", language.name), format!("not served, for {}", ids.join(", ")));
        Finding { state: State::Spare, ..Finding::bad(&name, found, language.reason.clone()) }
    }));
    sandbox.shutdown().await;
    findings
}
