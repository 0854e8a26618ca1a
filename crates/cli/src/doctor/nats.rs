//! NATS, the streams on it, and who is there.

use std::time::Duration;

use gavel_bus::topology::{MIN_NATS_VERSION, Stream};
use gavel_domain::heartbeat::Heartbeat;
use gavel_inspect::{InspectError, Inspector, TopologyMismatch};

use super::Finding;
use crate::exit::CommandError;
use crate::session::NatsOptions;
use crate::status::SERVICES;

/// Every instance says that it is there within this time.
const LISTEN: Duration = Duration::from_millis(2_500);
/// From this on, clocks matter to the order of callbacks (ADR 2).
const SKEW_MS: i64 = 1_000;

pub(super) async fn check(nats: &NatsOptions) -> Vec<Finding> {
    let inspector = match nats.inspector("doctor", "ops").await {
        Ok(inspector) => inspector,
        Err(stop) => return vec![stopped("NATS", stop)],
    };
    let mut findings = vec![Finding::good("NATS", "it answers"), version(&inspector)];
    match inspector.topology_mismatches().await {
        Err(error @ InspectError::NoJetStream) => findings.push(denied("JetStream", error)),
        Err(error) => findings.push(denied("streams and consumers", error)),
        Ok(faults) => {
            findings.push(Finding::good("JetStream", "it is enabled"));
            findings.extend(topology(&inspector, faults).await);
        }
    }
    findings.extend(present(&inspector).await);
    findings
}

async fn topology(inspector: &Inspector, faults: Vec<TopologyMismatch>) -> Vec<Finding> {
    if faults.is_empty() {
        let fits = Finding::good("streams and consumers", "all are there and as they should be");
        return vec![fits, permission(inspector).await, clock(inspector).await];
    }
    let finding = |fault: TopologyMismatch| {
        let name = format!("{} {}", if fault.is_stream { "stream" } else { "consumer" }, fault.name);
        let remedy = if fault.is_missing {
            "start a service whose user may make streams and consumers, or run gavel streams: both make what is missing"
        } else {
            "Gavel leaves what exists as it is: change it with the nats command, or let the line run empty, \
             delete it, and let a service make it anew"
        };
        Finding::bad(&name, fault.problem, remedy)
    };
    faults.into_iter().map(finding).collect()
}

fn version(inspector: &Inspector) -> Finding {
    let text = inspector.server_version();
    let mut numbers = text.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= MIN_NATS_VERSION {
        return Finding::good("version of NATS", text);
    }
    Finding::bad(
        "version of NATS",
        text,
        format!("run nats-server {}.{} or newer", MIN_NATS_VERSION.0, MIN_NATS_VERSION.1),
    )
}

async fn permission(inspector: &Inspector) -> Finding {
    match inspector.first(Stream::Queued, "submission.>", 1).await {
        Ok(_) => Finding::good("permission to read history", "this user has it"),
        Err(error) => denied("permission to read history", error),
    }
}

async fn clock(inspector: &Inspector) -> Finding {
    match inspector.snapshot().await {
        Err(error) => denied("clock", error),
        Ok(snapshot) if snapshot.skew_ms.abs() > SKEW_MS => Finding::bad(
            "clock",
            format!("that of NATS and ours differ by {} ms", snapshot.skew_ms),
            "have both keep time by NTP: callbacks are ordered by clocks that agree within a second",
        ),
        Ok(snapshot) => Finding::good(
            "clock",
            format!("that of NATS and ours differ by at most {} ms", snapshot.skew_ms.abs()),
        ),
    }
}

/// Each kind of service must be there, ready, and all of one version.
async fn present(inspector: &Inspector) -> Vec<Finding> {
    let present = match inspector.heartbeats(LISTEN).await {
        Ok(present) => present.into_iter().map(|(heartbeat, _)| heartbeat).collect::<Vec<_>>(),
        Err(error) => return vec![denied("services", error)],
    };
    let mut findings = Vec::new();
    for service in SERVICES {
        let names: Vec<_> = present.iter().filter(|each| each.service == service).collect();
        findings.push(match names.as_slice() {
            [] => Finding::bad(
                service,
                "none is heard",
                format!("start gavel-{service} (or gavel up) with this NATS_URL; its log says what it lacks"),
            ),
            names => Finding::good(service, format!("{} there", names.len())),
        });
    }
    for each in &present {
        findings.extend(each.problems.iter().map(|problem| {
            let remedy = "its log has more; /readyz says the same";
            Finding::bad(&format!("{} is ready", each.instance), problem.as_str(), remedy)
        }));
        findings.extend(each.dependencies.iter().filter_map(|peer| {
            let name = format!("{} as {} sees it", peer.name, each.instance);
            let remedy =
                format!("see whether {} is up and what that instance is configured with is right", peer.name);
            Some(Finding::bad(&name, peer.problem.as_deref()?, remedy))
        }));
    }
    let judges: Vec<_> = present.iter().filter(|each| each.service == "judge").collect();
    if !judges.is_empty() && judges.iter().all(|judge| judge.languages.is_empty()) {
        findings.push(Finding::bad(
            "languages",
            "no judge serves any",
            "install toolchains on the judges (scripts/languages), or let ENGINE be judge0",
        ));
    }
    findings.extend(versions(&present));
    findings
}

fn versions(present: &[Heartbeat]) -> Option<Finding> {
    let mut versions: Vec<_> = present.iter().map(|each| each.version.as_str()).collect();
    versions.sort_unstable();
    versions.dedup();
    (versions.len() > 1).then(|| {
        Finding::warning(
            "versions",
            format!("services of {} run side by side", versions.join(", ")),
            "bring all to one version once a rollout is over",
        )
    })
}

fn denied(name: &str, error: InspectError) -> Finding {
    stopped(name, CommandError::from(error))
}

fn stopped(name: &str, stop: CommandError) -> Finding {
    Finding::bad(name, stop.message, stop.remedy.unwrap_or_default())
}
