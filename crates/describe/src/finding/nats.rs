//! Checks of NATS: the server, the streams and consumers, and the running services.

use std::time::Duration;

use futures::future::join_all;
use gavel_bus::StoreError;
use gavel_bus::topology::{MIN_NATS_VERSION, Stream};
use gavel_domain::heartbeat::Heartbeat;
use gavel_domain::{LanguageId, catalogue};
use gavel_inspect::{Difference, InspectError, Inspector, StreamStats, nats_version};

use super::{Finding, State};
use crate::event::Event;
use crate::explanation::Explanation;
use crate::status::SERVICES;

/// How long to listen for heartbeats: longer than the interval at which each instance sends them.
const LISTEN_TIME: Duration = Duration::from_millis(2_500);
/// A larger difference of clocks can change the order of callbacks (ADR 2).
const MAX_CLOCK_SKEW_MS: i64 = 1_000;
/// A stream that is at least this full is reported, in percent.
const NEARLY_FULL_PERCENT: u64 = 80;

/// Runs all checks of NATS and of the services. Stores a probe in each stream.
pub async fn check(inspector: &Inspector) -> Vec<Finding> {
    let mut findings = vec![Finding::good("NATS", "connected"), version(inspector), max_payload(inspector)];
    match inspector.topology_differences(None).await {
        Err(error @ InspectError::NoJetStream) => findings.push(failed("JetStream", &error)),
        Err(error) => findings.push(failed("streams and consumers", &error)),
        Ok(differences) => {
            findings.push(Finding::good("JetStream", "enabled"));
            findings.extend(topology(inspector, &differences).await);
        }
    }
    match inspector.heartbeats(LISTEN_TIME).await {
        Ok(present) => {
            let present: Vec<_> = present.into_iter().map(|(heartbeat, _)| heartbeat).collect();
            findings.extend(services(inspector, &present).await);
        }
        Err(error) => findings.push(failed("services", &error)),
    }
    findings
}

async fn topology(inspector: &Inspector, differences: &[Difference]) -> Vec<Finding> {
    let lacks_something = differences.iter().any(|found| found.is_missing() && !found.is_optional());
    let mut findings: Vec<_> = differences.iter().map(difference_finding).collect();
    if findings.is_empty() {
        findings.push(Finding::good("streams and consumers", "all exist with the expected configuration"));
    }
    if !lacks_something {
        findings.extend([store(inspector).await, permission(inspector).await]);
        findings.extend(snapshot(inspector).await);
    }
    findings
}

/// Describes a difference from the expected streams and consumers.
#[must_use]
pub fn difference_finding(difference: &Difference) -> Finding {
    let kind = if difference.consumer.is_some() { "consumer" } else { "stream" };
    let name = format!("{kind} {}", difference.name());
    let problem = difference.problem();
    match &difference.obstacle {
        _ if difference.is_optional() => Finding::warning(
            &name,
            problem,
            "Run \"gavel streams\": it creates the stream, or says that nats-server has no space for it. In that case raise \
             max_file_store, or leave it: the services work without the stream.",
        ),
        _ if difference.is_missing() => Finding::bad(
            &name,
            problem,
            "Start a service whose user may create streams and consumers, or run \"gavel streams\": both create what is missing.",
        ),
        Some(obstacle) => Finding::bad(&name, problem, obstacle),
        None => Finding::bad(
            &name,
            problem,
            "Run \"gavel streams --apply\" with the variables of the services: it corrects this and keeps all messages.",
        ),
    }
}

fn version(inspector: &Inspector) -> Finding {
    let text = inspector.server_version();
    if nats_version(&text).is_some_and(|version| version >= MIN_NATS_VERSION) {
        return Finding::good("version of NATS", text);
    }
    Finding::bad(
        "version of NATS",
        text,
        format!("Run nats-server {}.{} or newer.", MIN_NATS_VERSION.0, MIN_NATS_VERSION.1),
    )
}

fn max_payload(inspector: &Inspector) -> Finding {
    match inspector.check_max_payload() {
        Ok(()) => Finding::good("max_payload of NATS", "sufficient"),
        Err(problem) => Finding::bad(
            "max_payload of NATS",
            problem,
            "Change max_payload in the configuration of nats-server, and restart or reload it.",
        ),
    }
}

/// Stores a probe in each stream that exists.
async fn store(inspector: &Inspector) -> Finding {
    let checks = join_all(Stream::ALL.map(|stream| inspector.check_store(stream))).await;
    // Reported already.
    let is_known = |problem: &StoreError| match problem {
        StoreError::Missing(stream) => stream.effect_if_missing().is_some(),
        _ => false,
    };
    let problems = checks.into_iter().filter_map(Result::err).filter(|problem| !is_known(problem));
    let problems: Vec<String> = problems.map(|problem| problem.to_string()).collect();
    if problems.is_empty() {
        return Finding::good("store of NATS", "each stream stores messages");
    }
    let remedy = "Accepted submissions are not lost. They continue once nats-server stores messages again.";
    Finding::bad("store of NATS", problems.join("; "), remedy)
}

async fn permission(inspector: &Inspector) -> Finding {
    match inspector.first(Stream::Queued, "submission.>", 1).await {
        Ok(_) => Finding::good("permission to read history", "granted"),
        Err(error) => failed("permission to read history", &error),
    }
}

async fn snapshot(inspector: &Inspector) -> Vec<Finding> {
    match inspector.snapshot().await {
        Err(error) => vec![failed("clock", &error)],
        Ok(snapshot) => {
            let nearly_full = snapshot.streams.iter().filter_map(nearly_full);
            [clock(snapshot.skew_ms)].into_iter().chain(nearly_full).collect()
        }
    }
}

/// Checks that the clocks of NATS and of this machine agree; `skew_ms` is their difference.
#[must_use]
pub fn clock(skew_ms: i64) -> Finding {
    if skew_ms.abs() > MAX_CLOCK_SKEW_MS {
        return Finding::bad(
            "clock",
            format!("the clocks of NATS and this machine differ by {skew_ms} ms"),
            "Synchronize both with NTP: the order of callbacks needs clocks that differ by less than a second.",
        );
    }
    Finding::good(
        "clock",
        format!("the clocks of NATS and this machine differ by at most {} ms", skew_ms.abs()),
    )
}

/// Reports a stream that refuses messages when it is full, if it soon will be.
#[must_use]
pub fn nearly_full(stats: &StreamStats) -> Option<Finding> {
    let percent = stats.bytes.saturating_mul(100) / stats.max_bytes?.max(1);
    if percent < NEARLY_FULL_PERCENT || stats.stream.discards_oldest() {
        return None;
    }
    let (effect, remedy) = match stats.stream {
        Stream::Queued => (
            "once it is full, the ingress refuses submissions",
            "Add judges, or raise NATS_STORE_BYTES and run \"gavel streams --apply\". It keeps 72 hours of submissions.",
        ),
        Stream::Ready | Stream::Waiting => (
            "once it is full, submissions wait in the queue before it",
            "Add judges, or start a judge that serves the languages that submissions wait for.",
        ),
        _ => (
            "once it is full, submissions wait until its oldest messages expire",
            "Raise NATS_STORE_BYTES and run \"gavel streams --apply\".",
        ),
    };
    let name = format!("stream {}", stats.stream.name());
    Some(Finding::warning(&name, format!("{percent}% full: {effect}"), remedy))
}

/// Checks that each kind of service runs and is ready, that all have one version, and that the languages are served.
/// `present` are the heartbeats of the running instances.
pub async fn services(inspector: &Inspector, present: &[Heartbeat]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for service in SERVICES {
        let names: Vec<_> = present.iter().filter(|each| each.service == service).collect();
        findings.push(match names.as_slice() {
            [] => Finding::bad(
                service,
                "no heartbeat received",
                format!("Start gavel-{service} (or gavel up) with this NATS_URL; if it runs, see its log."),
            ),
            names => Finding::good(service, format!("{} running", names.len())),
        });
    }
    for each in present {
        findings.extend(each.problems.iter().map(|problem| {
            let remedy = "See its log for details.";
            Finding::bad(&format!("{} is not ready", each.instance), problem.as_str(), remedy)
        }));
        findings.extend(each.dependencies.iter().filter_map(|peer| {
            let name = format!("{} as {} sees it", peer.name, each.instance);
            let remedy = format!("Check that {} runs, and the settings of that instance for it.", peer.name);
            Some(Finding::bad(&name, peer.problem.as_deref()?, remedy))
        }));
    }
    let judges: Vec<_> = present.iter().filter(|each| each.service == "judge").collect();
    if !judges.is_empty() && judges.iter().all(|judge| judge.languages.is_empty()) {
        findings.push(Finding::bad(
            "languages",
            "no judge serves a language",
            "Install toolchains on the judges (scripts/languages), or set ENGINE=judge0.",
        ));
    }
    findings.extend(languages(inspector, present).await);
    findings.extend(versions(present));
    findings
}

/// Returns the languages that no running judge serves: those that submissions wait for, and those that the app offers.
async fn languages(inspector: &Inspector, present: &[Heartbeat]) -> Vec<Finding> {
    let is_served = |language: LanguageId| present.iter().any(|each| each.serves(language));
    let name = |language: LanguageId| Event::language_with_id(language.0);
    let mut findings = Vec::new();
    match inspector.waiting_languages().await {
        Ok(waiting) => findings.extend(waiting.iter().filter(|each| !is_served(each.language)).map(|each| {
            let found = format!(
                "{} waiting for {}, which no running judge serves",
                each.submissions,
                name(each.language)
            );
            Finding::bad("waiting submissions", found, "Start a judge that serves it; see LANGUAGE_WAIT_S.")
        })),
        // Reported already.
        Err(InspectError::NoStream(_)) => {}
        Err(error) => findings.push(failed("waiting submissions", &error)),
    }
    let unserved: Vec<_> = catalogue::offered().filter(|&language| !is_served(language)).map(name).collect();
    if !unserved.is_empty() && present.iter().any(|each| !each.languages.is_empty()) {
        findings.push(Finding {
            state: State::Optional,
            ..Finding::bad(
                "languages of the app",
                format!("no running judge serves {}", unserved.join(", ")),
                "Install toolchains on a judge (scripts/languages), or route them to Judge0 with ENGINE_ROUTES.",
            )
        });
    }
    findings
}

fn versions(present: &[Heartbeat]) -> Option<Finding> {
    let mut versions: Vec<_> = present.iter().map(|each| each.version.as_str()).collect();
    versions.sort_unstable();
    versions.dedup();
    (versions.len() > 1).then(|| {
        Finding::warning(
            "versions",
            format!("services run with different versions: {}", versions.join(", ")),
            "Finish the rollout, so that all run the same version.",
        )
    })
}

/// A check that failed because of NATS.
#[must_use]
pub fn failed(name: &str, error: &InspectError) -> Finding {
    let Explanation { message, remedy } = error.into();
    Finding::bad(name, message, remedy)
}
