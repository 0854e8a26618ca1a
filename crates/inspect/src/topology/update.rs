//! Correcting what differs, in place: no message and no position of a consumer is lost.

use async_nats::jetstream::response::Response;
use gavel_bus::topology::{Durable, Stream, TopologySettings};
use serde_json::{Value, json};

use super::difference::{Config, Difference};
use crate::inspector::{InspectError, Inspector};

/// How often the result is compared again. Another program may write an older configuration at the same time.
const MAX_ROUNDS: usize = 3;

/// What [`Inspector::correct_topology`] has done.
#[derive(Debug, Default)]
pub struct Corrections {
    /// What was corrected.
    pub done: Vec<Difference>,
    /// What nats-server refused, with its reason.
    pub refused: Vec<(Difference, CorrectionError)>,
}

/// The server's reason for not making a change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nats-server refuses the change: {0}")]
pub struct CorrectionError(String);

impl Inspector {
    /// Corrects the existing streams and consumers, except for changes that would delete messages. Creates no missing ones.
    /// May run at the same time as services and as another call.
    ///
    /// # Errors
    /// Returns an error if the server does not answer. What it refuses is part of the result.
    pub async fn correct_topology(&self, settings: &TopologySettings) -> Result<Corrections, InspectError> {
        let mut corrections = Corrections::default();
        for _ in 0..MAX_ROUNDS {
            let found = self.topology_differences(Some(settings)).await?;
            let is_refused = |difference: &Difference| {
                corrections.refused.iter().any(|(refused, _)| refused == difference)
            };
            let is_possible =
                |difference: &Difference| !difference.is_missing() && difference.obstacle.is_none();
            let open: Vec<_> = found.into_iter().filter(is_possible).filter(|it| !is_refused(it)).collect();
            if open.is_empty() {
                break;
            }
            for group in groups(open) {
                self.correct(group, &mut corrections).await?;
            }
        }
        Ok(corrections)
    }

    /// Makes one change, of one stream or consumer.
    async fn correct(
        &self,
        group: Vec<Difference>,
        corrections: &mut Corrections,
    ) -> Result<(), InspectError> {
        let Difference { stream, consumer, .. } = group[0];
        let result = match consumer {
            None => self.update_stream(stream, &group).await?,
            Some(durable) => self.update_consumer(durable, &group).await?,
        };
        match result {
            Ok(()) => {
                // Another program may have undone it, so that it is done once more.
                let new = group.into_iter().filter(|difference| !corrections.done.contains(difference));
                corrections.done.extend(new.collect::<Vec<_>>());
            }
            Err(error) => {
                corrections.refused.extend(group.into_iter().map(|difference| (difference, error.clone())));
            }
        }
        Ok(())
    }

    async fn update_stream(
        &self,
        stream: Stream,
        group: &[Difference],
    ) -> Result<Result<(), CorrectionError>, InspectError> {
        let config = corrected(self.raw_stream(stream).await?.config, group);
        self.request_change(&format!("STREAM.UPDATE.{}", stream.name()), &config.into()).await
    }

    async fn update_consumer(
        &self,
        durable: Durable,
        group: &[Difference],
    ) -> Result<Result<(), CorrectionError>, InspectError> {
        let config = corrected(self.raw_consumer(durable).await?.config, group);
        let stream = durable.stream().name();
        let filter = config.get("filter_subject").and_then(Value::as_str).unwrap_or_default().to_owned();
        let subject = format!("CONSUMER.CREATE.{stream}.{}.{filter}", durable.name());
        let request = json!({ "stream_name": stream, "config": config, "action": "update" });
        self.request_change(subject.trim_end_matches('.'), &request).await
    }

    async fn request_change(
        &self,
        subject: &str,
        request: &Value,
    ) -> Result<Result<(), CorrectionError>, InspectError> {
        match self.jetstream().request(subject.to_owned(), request).await {
            Ok(Response::<Value>::Ok(_)) => Ok(Ok(())),
            Ok(Response::Err { error }) => Ok(Err(CorrectionError(error.to_string()))),
            Err(_) => Err(self.unanswered(&format!("$JS.API.{subject}"))),
        }
    }
}

/// The changes in their order. Those of consumers come first: no message is stored on a new subject before its consumer reads
/// that subject. What needs resources that the server may not have (`max_bytes`, `num_replicas`) is a separate change, so
/// that the others do not depend on it; what needs less comes first, since it may make room.
fn groups(differences: Vec<Difference>) -> Vec<Vec<Difference>> {
    let (consumers, mut streams): (Vec<_>, Vec<_>) =
        differences.into_iter().partition(|difference| difference.consumer.is_some());
    streams.sort_by_key(|difference| difference.is_chosen && difference.is_raise());
    let mut groups: Vec<Vec<Difference>> = Vec::new();
    for difference in consumers.into_iter().chain(streams) {
        let is_with = |group: &Vec<Difference>| {
            let first = &group[0];
            (first.name(), first.is_chosen) == (difference.name(), false) && !difference.is_chosen
        };
        match groups.iter_mut().find(|group| is_with(group)) {
            Some(group) => group.push(difference),
            None => groups.push(vec![difference]),
        }
    }
    groups
}

/// The configuration with the wanted values.
fn corrected(mut config: Config, group: &[Difference]) -> Config {
    for difference in group {
        let Some(field) = difference.field else { continue };
        if difference.wanted.is_null() {
            config.remove(field);
        } else {
            config.insert(field.to_owned(), difference.wanted.clone());
        }
    }
    config
}
