//! Comparing the streams and consumers on the server with the topology.

use async_nats::jetstream::consumer::{self, pull};
use async_nats::jetstream::stream::{Config as StreamConfig, DiscardPolicy};
use gavel_bus::topology::{Durable, Stream, TopologySettings};

use crate::inspector::{InspectError, Inspector};

/// A difference between a stream or consumer and the topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyMismatch {
    /// The stream or consumer.
    pub name: &'static str,
    /// Whether it is a stream.
    pub is_stream: bool,
    /// Whether it does not exist.
    pub is_missing: bool,
    /// Whether the pipeline works without it.
    pub is_optional: bool,
    /// The problem, to be read after the name.
    pub problem: String,
}

impl TopologyMismatch {
    fn missing_stream(stream: Stream) -> Self {
        let effect = stream.effect_if_missing();
        let problem =
            effect.map_or_else(|| "is missing".to_owned(), |effect| format!("is missing: {effect}"));
        let is_optional = effect.is_some();
        Self { name: stream.name(), is_stream: true, is_missing: true, is_optional, problem }
    }

    fn missing_consumer(durable: Durable) -> Self {
        let problem = "is missing".to_owned();
        Self { name: durable.name(), is_stream: false, is_missing: true, is_optional: false, problem }
    }

    fn different(name: &'static str, is_stream: bool, problem: &str) -> Self {
        Self { name, is_stream, is_missing: false, is_optional: false, problem: problem.to_owned() }
    }
}

impl Inspector {
    /// Returns how the streams and consumers differ from the topology. Differences in what an operator chooses, such as
    /// sizes and replicas, do not count.
    ///
    /// # Errors
    /// Returns an error if the server does not say; a missing stream or consumer is a mismatch, not an error.
    pub async fn topology_mismatches(&self) -> Result<Vec<TopologyMismatch>, InspectError> {
        let settings = TopologySettings::default();
        let mut mismatches = Vec::new();
        for stream in Stream::ALL {
            match self.stream_info(stream).await {
                Ok((found, _)) => {
                    let problems = stream_problems(&stream.config(&settings), &found.config);
                    let different = |problem| TopologyMismatch::different(stream.name(), true, problem);
                    mismatches.extend(problems.map(different));
                }
                Err(InspectError::NoStream(_)) => mismatches.push(TopologyMismatch::missing_stream(stream)),
                Err(error) => return Err(error),
            }
        }
        for durable in Durable::ALL {
            match self.consumer_info(durable).await {
                Ok(found) => {
                    let problems = consumer_problems(&durable.config(&settings), &found.config);
                    let different = |problem| TopologyMismatch::different(durable.name(), false, problem);
                    mismatches.extend(problems.map(different));
                }
                // Reported already.
                Err(InspectError::NoStream(_)) => {}
                Err(InspectError::NoConsumer(_)) => {
                    mismatches.push(TopologyMismatch::missing_consumer(durable));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(mismatches)
    }
}

fn stream_problems(
    wanted: &StreamConfig,
    found: &StreamConfig,
) -> impl Iterator<Item = &'static str> + use<> {
    let is_write_once_as_wanted = wanted.max_messages_per_subject == found.max_messages_per_subject
        && wanted.discard_new_per_subject == found.discard_new_per_subject;
    // Zero means for ever.
    let keeps_long_enough =
        found.max_age.is_zero() || (!wanted.max_age.is_zero() && found.max_age >= wanted.max_age);
    let discard_problem = match wanted.discard {
        DiscardPolicy::New => "discards old messages when it is full (discard)",
        DiscardPolicy::Old => "refuses new messages when it is full (discard)",
    };
    let checks = [
        (
            wanted.subjects.iter().all(|subject| found.subjects.contains(subject)),
            "lacks some of its subjects (subjects)",
        ),
        (wanted.retention == found.retention, "has another retention policy (retention)"),
        (wanted.discard == found.discard, discard_problem),
        (
            is_write_once_as_wanted,
            "has other limits per subject (max_msgs_per_subject, discard_new_per_subject)",
        ),
        (found.allow_direct, "does not allow direct gets (allow_direct)"),
        (keeps_long_enough, "discards messages too early (max_age)"),
    ];
    failed(checks)
}

fn consumer_problems(
    wanted: &pull::Config,
    found: &consumer::Config,
) -> impl Iterator<Item = &'static str> + use<> {
    failed([
        (wanted.ack_policy == found.ack_policy, "does not acknowledge each message by itself (ack_policy)"),
        (wanted.filter_subject == found.filter_subject, "has another filter (filter_subject)"),
        (found.max_deliver <= 0, "limits the deliveries of a message (max_deliver)"),
        (found.deliver_subject.is_none(), "is a push consumer (deliver_subject)"),
    ])
}

fn failed<const N: usize>(checks: [(bool, &'static str); N]) -> impl Iterator<Item = &'static str> {
    checks.into_iter().filter_map(|(fits, problem)| (!fits).then_some(problem))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn age_limit_must_not_be_shorter() {
        let problems = |stream: Stream, max_age| {
            let wanted = stream.config(&TopologySettings::default());
            stream_problems(&wanted, &StreamConfig { max_age, ..wanted.clone() }).count()
        };
        let hours = Duration::from_hours;
        for (stream, max_age, count) in [
            (Stream::Queued, hours(71), 1),
            (Stream::Queued, hours(72), 0),
            (Stream::Queued, hours(73), 0),
            (Stream::Queued, Duration::ZERO, 0),
            (Stream::Ready, Duration::ZERO, 0),
            (Stream::Ready, hours(73), 1),
        ] {
            assert_eq!(problems(stream, max_age), count, "{stream:?} {max_age:?}");
        }
    }
}
