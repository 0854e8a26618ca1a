//! Heartbeats of running services.

use bytes::Bytes;
use gavel_domain::LanguageId;
use gavel_domain::heartbeat::{DependencyStatus, Heartbeat, ServedLanguage};
use prost::Message as _;

use crate::{DecodeError, v1};

/// Encodes a heartbeat.
#[must_use]
pub fn encode_heartbeat(heartbeat: &Heartbeat) -> Bytes {
    let languages = heartbeat.languages.iter().map(|language| v1::OfferedLanguage {
        id: language.id.0,
        name: language.name.clone(),
        version: language.version.clone(),
        engine: language.engine.clone(),
    });
    v1::Presence {
        service: heartbeat.service.clone(),
        instance: heartbeat.instance.clone(),
        version: heartbeat.version.clone(),
        started_at_unix_ms: heartbeat.started_at_ms,
        slots: heartbeat.slots,
        busy: heartbeat.busy,
        languages: languages.collect(),
        peers: heartbeat.dependencies.iter().map(dependency_to).collect(),
        problems: heartbeat.problems.clone(),
    }
    .encode_to_vec()
    .into()
}

/// Decodes a heartbeat.
///
/// # Errors
/// Returns an error if the payload is not a heartbeat, or names no service or instance.
pub fn decode_heartbeat(payload: &[u8]) -> Result<Heartbeat, DecodeError> {
    let wire = v1::Presence::decode(payload)?;
    if wire.service.is_empty() || wire.instance.is_empty() {
        return Err(DecodeError::Field("instance"));
    }
    let languages = wire.languages.into_iter().map(|language| ServedLanguage {
        id: LanguageId(language.id),
        name: language.name,
        version: language.version,
        engine: language.engine,
    });
    Ok(Heartbeat {
        service: wire.service,
        instance: wire.instance,
        version: wire.version,
        started_at_ms: wire.started_at_unix_ms,
        slots: wire.slots,
        busy: wire.busy,
        languages: languages.collect(),
        dependencies: wire.peers.into_iter().map(dependency_from).collect(),
        problems: wire.problems,
    })
}

fn dependency_to(dependency: &DependencyStatus) -> v1::Peer {
    v1::Peer {
        name: dependency.name.clone(),
        problem: dependency.problem.clone().unwrap_or_default(),
        since_unix_ms: dependency.since_ms.unwrap_or_default(),
    }
}

fn dependency_from(wire: v1::Peer) -> DependencyStatus {
    DependencyStatus {
        name: wire.name,
        problem: Some(wire.problem).filter(|problem| !problem.is_empty()),
        since_ms: Some(wire.since_unix_ms).filter(|&since| since > 0),
    }
}
