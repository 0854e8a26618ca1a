//! How a stream or consumer on the server differs from the topology.

use std::time::Duration;

use async_nats::jetstream::consumer::IntoConsumerConfig as _;
use gavel_bus::topology::{Durable, Stream, TopologySettings};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::rules::{CONSUMER, Change, Fits, Rule, STREAM, StreamState};
use crate::inspector::{InspectError, Inspector};

/// A configuration in the server's JSON: complete, with the fields that this version does not know.
pub(super) type Config = Map<String, Value>;

/// A difference between a stream or consumer and the topology.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The stream, or that of the consumer.
    pub stream: Stream,
    /// The consumer, if it is one that differs.
    pub consumer: Option<Durable>,
    /// The name of the field in the server's configuration; `None` if the stream or consumer is missing.
    pub field: Option<&'static str>,
    /// The value on the server; null if the field is not set.
    pub found: Value,
    /// The value that it should have; null if the field should not be set.
    pub wanted: Value,
    /// Why it cannot be corrected without losing messages, and what to do, as full sentences; `None` if it can.
    pub obstacle: Option<String>,
    /// Whether operators choose the value in the environment.
    pub(super) is_chosen: bool,
}

/// The answer to `STREAM.INFO`, as far as it matters here.
#[derive(Deserialize)]
pub(super) struct StreamAnswer {
    pub(super) config: Config,
    state: StreamState,
}

/// The answer to `CONSUMER.INFO`.
#[derive(Deserialize)]
pub(super) struct ConsumerAnswer {
    pub(super) config: Config,
}

impl Inspector {
    /// Returns how the streams and consumers differ from the topology with these settings; without settings, what operators
    /// choose (sizes, replicas, the time to acknowledge) is not compared.
    ///
    /// # Errors
    /// Returns an error if the server does not say; a missing stream or consumer is a difference, not an error.
    pub async fn topology_differences(
        &self,
        settings: Option<&TopologySettings>,
    ) -> Result<Vec<Difference>, InspectError> {
        let wanted = settings.copied().unwrap_or_default();
        let mut found = Vec::new();
        for stream in Stream::ALL {
            found.extend(self.stream_differences(stream, &wanted).await?);
        }
        for durable in Durable::ALL {
            found.extend(self.consumer_differences(durable, &wanted).await?);
        }
        found.retain(|difference| settings.is_some() || !difference.is_chosen);
        Ok(found)
    }

    async fn stream_differences(
        &self,
        stream: Stream,
        settings: &TopologySettings,
    ) -> Result<Vec<Difference>, InspectError> {
        let (config, state) = match self.raw_stream(stream).await {
            Ok(StreamAnswer { config, state }) => (config, state),
            Err(InspectError::NoStream(_)) => return Ok(vec![Difference::missing(stream, None)]),
            Err(error) => return Err(error),
        };
        Ok(compare(STREAM, &config, &json(&stream.config(settings)), &state)
            .map(|found| found.of(stream, None))
            .collect())
    }

    async fn consumer_differences(
        &self,
        durable: Durable,
        settings: &TopologySettings,
    ) -> Result<Vec<Difference>, InspectError> {
        let (stream, consumer) = (durable.stream(), Some(durable));
        let config = match self.raw_consumer(durable).await {
            Ok(ConsumerAnswer { config }) => config,
            Err(InspectError::NoConsumer(_) | InspectError::NoStream(_)) => {
                return Ok(vec![Difference::missing(stream, consumer)]);
            }
            Err(error) => return Err(error),
        };
        let wanted = json(&durable.config(settings).into_consumer_config());
        Ok(compare(CONSUMER, &config, &wanted, &StreamState::default())
            .map(|found| found.of(stream, consumer))
            .collect())
    }

    pub(super) async fn raw_stream(&self, stream: Stream) -> Result<StreamAnswer, InspectError> {
        self.request_info(&format!("STREAM.INFO.{}", stream.name()), stream, None).await
    }

    pub(super) async fn raw_consumer(&self, durable: Durable) -> Result<ConsumerAnswer, InspectError> {
        let stream = durable.stream();
        let subject = format!("CONSUMER.INFO.{}.{}", stream.name(), durable.name());
        self.request_info(&subject, stream, Some(durable)).await
    }
}

impl Difference {
    fn missing(stream: Stream, consumer: Option<Durable>) -> Self {
        let (found, wanted) = (Value::Null, Value::Null);
        Self { stream, consumer, field: None, found, wanted, obstacle: None, is_chosen: false }
    }

    /// Whether the stream or consumer does not exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.field.is_none()
    }

    /// Whether the pipeline works without it.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.is_missing() && self.consumer.is_none() && self.stream.effect_if_missing().is_some()
    }

    /// Whether a limit is too low.
    pub(super) fn is_raise(&self) -> bool {
        limit(&self.wanted) > limit(&self.found)
    }

    /// The name of the stream or consumer.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.consumer.map_or_else(|| self.stream.name(), Durable::name)
    }

    /// The problem, to be read after the name.
    #[must_use]
    pub fn problem(&self) -> String {
        let Some(field) = self.field else {
            let effect = self.stream.effect_if_missing().filter(|_| self.consumer.is_none());
            return effect.map_or_else(|| "is missing".to_owned(), |effect| format!("is missing: {effect}"));
        };
        match self.added() {
            Some(added) => format!("{field} lacks {added}"),
            None => format!("{field} is {} instead of {}", self.found_text(), self.wanted_text()),
        }
    }

    /// The correction: `max_age from 1h to 3days`.
    #[must_use]
    pub fn correction(&self) -> String {
        match (self.field, self.added()) {
            (None, _) => "is created".to_owned(),
            (Some(field), Some(added)) => format!("{field} with {added}"),
            (Some(field), None) => {
                format!("{field} from {} to {}", self.found_text(), self.wanted_text())
            }
        }
    }

    /// The items that a list lacks; `None` if it is no list, or lacks nothing.
    fn added(&self) -> Option<String> {
        let found = self.found.as_array()?;
        let lacks = self.wanted.as_array()?.iter().filter(|item| !found.contains(item));
        let lacks: Vec<_> = lacks.map(|item| text("", item, item)).collect();
        (!lacks.is_empty()).then(|| lacks.join(", "))
    }

    fn found_text(&self) -> String {
        text(self.field.unwrap_or_default(), &self.found, &self.wanted)
    }

    fn wanted_text(&self) -> String {
        text(self.field.unwrap_or_default(), &self.wanted, &self.found)
    }
}

/// A field that differs, before it is known whose it is.
struct FieldDifference {
    rule: Rule,
    found: Value,
    wanted: Value,
    obstacle: Option<Obstacle>,
}

/// Why a field cannot be corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    Refused,
    FewerCopies,
    Exceeded(u64),
}

impl FieldDifference {
    fn of(self, stream: Stream, consumer: Option<Durable>) -> Difference {
        let Self { rule, found, wanted, obstacle } = self;
        let field = Some(rule.field);
        let difference =
            Difference { stream, consumer, field, found, wanted, obstacle: None, is_chosen: rule.is_chosen };
        let obstacle = obstacle.map(|obstacle| obstacle.text(&difference));
        Difference { obstacle, ..difference }
    }
}

impl Obstacle {
    fn text(self, difference: &Difference) -> String {
        let stream = difference.stream.name();
        match (self, difference.consumer) {
            (Self::Refused, None) => format!(
                "nats-server cannot change it. When \"gavel status\" shows no waiting work, stop the services, delete the \
                 stream (\"nats stream rm {stream}\"), and run \"gavel streams\"."
            ),
            (Self::Refused, Some(durable)) => format!(
                "nats-server cannot change it. Stop the services, delete the consumer (\"nats consumer rm {stream} {}\"), and \
                 run \"gavel streams\": stored messages are delivered again, and verdicts stay.",
                durable.name()
            ),
            (Self::FewerCopies, _) => format!(
                "Fewer servers would keep the messages. Set NATS_REPLICAS={}, or lower it with \"nats stream edit {stream}\".",
                difference.found_text()
            ),
            (Self::Exceeded(used), _) if difference.is_chosen => format!(
                "The stream holds {used} bytes. Set NATS_STORE_BYTES to more, or wait until it holds less."
            ),
            (Self::Exceeded(used), _) => format!(
                "The stream may hold {used}, and nats-server deletes those beyond the limit. To accept that, use \"nats stream \
                 edit {stream}\"."
            ),
        }
    }
}

/// Compares a configuration on the server with the wanted one.
fn compare(
    rules: &'static [Rule],
    found: &Config,
    wanted: &Config,
    state: &StreamState,
) -> impl Iterator<Item = FieldDifference> {
    rules.iter().filter_map(move |&rule| {
        let get = |config: &Config| config.get(rule.field).cloned().unwrap_or_default();
        let (found, wanted) = (get(found), get(wanted));
        if fits(rule.fits, &found, &wanted) {
            return None;
        }
        let wanted = if rule.fits == Fits::Contains { union(&found, &wanted) } else { wanted };
        let obstacle = obstacle(rule.change, &found, &wanted, state);
        Some(FieldDifference { rule, found, wanted, obstacle })
    })
}

fn fits(fits: Fits, found: &Value, wanted: &Value) -> bool {
    match fits {
        Fits::Any => true,
        Fits::Equal => found == wanted || (is_unset(found) && is_unset(wanted)),
        Fits::Contains => union(found, wanted) == *found,
        Fits::AtLeast => limit(found) >= limit(wanted),
        Fits::NotLess => found.as_u64().unwrap_or(0) >= wanted.as_u64().unwrap_or(0),
    }
}

fn obstacle(change: Change, found: &Value, wanted: &Value, state: &StreamState) -> Option<Obstacle> {
    match change {
        Change::Free => None,
        Change::OnlyOn if !is_unset(wanted) => None,
        Change::Refused | Change::OnlyOn => Some(Obstacle::Refused),
        Change::OnlyUp => (limit(wanted) < limit(found)).then_some(Obstacle::FewerCopies),
        Change::Limit(used) => {
            let used = used(state);
            (limit(wanted) < used).then_some(Obstacle::Exceeded(used))
        }
    }
}

/// Whether the server treats the value as one that is not set.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_i64() == Some(0) || value.as_i64() == Some(-1),
        Value::String(value) => ["", "none", "default"].contains(&value.as_str()),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.values().all(is_unset),
    }
}

/// A limit as a number. Without a limit, the largest number.
fn limit(value: &Value) -> u64 {
    value.as_u64().filter(|&limit| limit > 0).unwrap_or(u64::MAX)
}

/// Everything that is in one of two lists, in the order of the first.
fn union(first: &Value, second: &Value) -> Value {
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut all = items(first);
    all.extend(items(second).into_iter().filter(|item| !items(first).contains(item)));
    Value::Array(all)
}

/// A value as people read it. `other` is the value that it is compared with.
fn text(field: &str, value: &Value, other: &Value) -> String {
    let is_time = ["max_age", "duplicate_window", "ack_wait", "max_expires", "inactive_threshold"];
    match value {
        Value::Number(_) | Value::Null if other.is_number() && limit(value) == u64::MAX => {
            "unlimited".to_owned()
        }
        Value::Number(nanos) if is_time.contains(&field) => {
            humantime::format_duration(Duration::from_nanos(nanos.as_u64().unwrap_or(0))).to_string()
        }
        Value::Null if other.is_boolean() => "false".to_owned(),
        Value::Null => "not set".to_owned(),
        Value::String(text) => text.clone(),
        _ => value.to_string(),
    }
}

fn json(config: &impl Serialize) -> Config {
    match serde_json::to_value(config) {
        Ok(Value::Object(fields)) => fields,
        // The client's configurations are structures without maps that have other keys than strings.
        _ => unreachable!("a configuration is a JSON object"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    /// The differences if a field of a stream on the server has another value.
    fn changed(stream: Stream, field: &str, found: Value) -> Vec<Difference> {
        let wanted = json(&stream.config(&TopologySettings::default()));
        let mut config = wanted.clone();
        config.insert(field.to_owned(), found);
        compare(STREAM, &config, &wanted, &StreamState::default()).map(|it| it.of(stream, None)).collect()
    }

    #[test]
    fn age_limit_must_not_be_shorter() {
        let hours = |hours: u64| value!(hours * 3_600_000_000_000);
        for (stream, max_age, count) in [
            (Stream::Queued, hours(71), 1),
            (Stream::Queued, hours(72), 0),
            (Stream::Queued, hours(73), 0),
            (Stream::Queued, hours(0), 0),
            (Stream::Ready, hours(0), 0),
            (Stream::Ready, hours(73), 1),
        ] {
            assert_eq!(changed(stream, "max_age", max_age).len(), count, "{stream:?}");
        }
        let found = changed(Stream::Queued, "max_age", hours(1));
        assert_eq!(found[0].problem(), "max_age is 1h instead of 3days");
        assert_eq!(found[0].correction(), "max_age from 1h to 3days");
        assert_eq!(
            changed(Stream::Ready, "max_age", hours(1))[0].problem(),
            "max_age is 1h instead of unlimited"
        );
    }

    #[test]
    fn subjects_of_a_later_version_stay() {
        let mut subjects = value!(["submission.later.*", "submission.queued.*"]);
        let found = changed(Stream::Queued, "subjects", subjects.clone());
        let wanted =
            ["submission.later.*", "submission.queued.*", "submission.queued.*.*", "probe.SUB_QUEUED"];
        assert_eq!(found[0].wanted, value!(wanted));
        assert_eq!(found[0].problem(), "subjects lacks submission.queued.*.*, probe.SUB_QUEUED");
        subjects = found[0].wanted.clone();
        assert_eq!(changed(Stream::Queued, "subjects", subjects), []);
    }

    #[test]
    fn limits_are_lowered_only_if_no_message_exceeds_them() {
        let state: StreamState =
            serde_json::from_value(value!({ "messages": 10, "bytes": 1_000, "num_subjects": 8 })).unwrap();
        let obstacle = |field: &str, wanted: i64| {
            let rule = STREAM.iter().find(|rule| rule.field == field).unwrap();
            obstacle(rule.change, &value!(1_000_000), &value!(wanted), &state)
        };
        assert_eq!(obstacle("max_bytes", 1_000), None);
        assert_eq!(obstacle("max_bytes", 999), Some(Obstacle::Exceeded(1_000)));
        assert_eq!(obstacle("max_msgs", -1), None);
        assert_eq!(obstacle("max_msgs", 9), Some(Obstacle::Exceeded(10)));
        // Two messages more than subjects: one subject may have three.
        assert_eq!(obstacle("max_msgs_per_subject", 3), None);
        assert_eq!(obstacle("max_msgs_per_subject", 2), Some(Obstacle::Exceeded(3)));
        assert_eq!(obstacle("num_replicas", 1), Some(Obstacle::FewerCopies));
    }

    #[test]
    fn unset_values_are_equal() {
        for (found, wanted) in [
            (value!(null), value!(false)),
            (value!("default"), value!(null)),
            (value!({ "inactive_threshold": 0 }), value!(null)),
            (value!([]), value!(null)),
            (value!(-1), value!(0)),
        ] {
            assert!(fits(Fits::Equal, &found, &wanted), "{found} {wanted}");
        }
        assert!(!fits(Fits::Equal, &value!(null), &value!(true)));
    }

    #[test]
    fn each_rule_has_another_field() {
        for rules in [STREAM, CONSUMER] {
            let mut names: Vec<_> = rules.iter().map(|rule| rule.field).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), rules.len());
        }
    }

    /// A field of the topology without a rule would never be corrected.
    #[test]
    fn each_field_of_the_topology_has_a_rule() {
        let settings = TopologySettings::default();
        let streams = Stream::ALL.map(|stream| (STREAM, json(&stream.config(&settings))));
        let consumers =
            Durable::ALL.map(|durable| (CONSUMER, json(&durable.config(&settings).into_consumer_config())));
        for (rules, config) in streams.into_iter().chain(consumers) {
            for field in config.keys() {
                assert!(rules.iter().any(|rule| rule.field == field), "{field} has no rule");
            }
        }
    }

    /// A field that a new nats-server reports is not compared without a rule: then decide on one.
    #[tokio::test]
    async fn each_field_of_the_server_has_a_rule() {
        let server = gavel_testkit::NatsServer::start().await;
        let context = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
        let settings = TopologySettings { store_bytes: 1 << 30, ..TopologySettings::default() };
        let mut configs = Vec::new();
        for stream in Stream::ALL {
            let subject = format!("STREAM.CREATE.{}", stream.name());
            let info: Value = context.request(subject, &stream.config(&settings)).await.unwrap();
            configs.push((STREAM, info["config"].clone()));
        }
        for durable in Durable::ALL {
            let (stream, config) =
                (durable.stream().name(), durable.config(&settings).into_consumer_config());
            let request = value!({ "stream_name": stream, "config": config });
            let subject = format!("CONSUMER.CREATE.{stream}.{}", durable.name());
            let info: Value = context.request(subject, &request).await.unwrap();
            configs.push((CONSUMER, info["config"].clone()));
        }
        for (rules, config) in configs {
            for field in config.as_object().unwrap().keys() {
                assert!(rules.iter().any(|rule| rule.field == field), "{field} has no rule");
            }
        }
    }
}
