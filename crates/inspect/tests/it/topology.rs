//! Correcting the streams and consumers of a real server.

use std::time::Duration;

use futures::future::join_all;
use gavel_bus::NatsConfig;
use gavel_bus::topology::{Durable, Stream, TopologySettings};
use gavel_inspect::{Corrections, Difference, Inspector};
use gavel_testkit::fixtures::{queued, ready};
use gavel_testkit::{JetStream, NatsServer, Rig};
use serde_json::{Map, Value, json};

const HOUR_NS: u64 = 3_600_000_000_000;

/// As the streams and consumers of a [`Rig`] are made.
fn settings() -> TopologySettings {
    TopologySettings { store_bytes: 1 << 30, ..TopologySettings::default() }
}

async fn inspector(nats: &NatsServer) -> Inspector {
    let config = NatsConfig { url: nats.url(), name: "test".to_owned(), ..NatsConfig::default() };
    Inspector::connect(&config).await.unwrap()
}

/// Sends a request to the server's API. Panics if it answers with an error.
async fn api(jetstream: &JetStream, subject: &str, request: &Value) -> Value {
    let answer: Value = jetstream.context.request(subject.to_owned(), request).await.unwrap();
    assert!(answer.get("error").is_none(), "{subject}: {answer} to {request}");
    answer
}

fn json_config(config: impl serde::Serialize) -> Value {
    serde_json::to_value(config).unwrap()
}

fn with(mut config: Value, fields: &Value) -> Value {
    config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    config
}

async fn stream_config(jetstream: &JetStream, stream: Stream) -> Map<String, Value> {
    let answer = api(jetstream, &format!("STREAM.INFO.{}", stream.name()), &json!({})).await;
    answer["config"].as_object().unwrap().clone()
}

async fn update_stream(jetstream: &JetStream, stream: Stream, fields: Value) {
    let config = with(stream_config(jetstream, stream).await.into(), &fields);
    api(jetstream, &format!("STREAM.UPDATE.{}", stream.name()), &config).await;
}

fn consumer_request(durable: Durable, fields: &Value) -> (String, Value) {
    use async_nats::jetstream::consumer::IntoConsumerConfig as _;
    let config = with(json_config(durable.config(&settings()).into_consumer_config()), fields);
    let stream = durable.stream().name();
    (
        format!("CONSUMER.CREATE.{stream}.{}", durable.name()),
        json!({ "stream_name": stream, "config": config }),
    )
}

fn problems(differences: &[Difference]) -> Vec<String> {
    differences.iter().map(|found| format!("{} {}", found.name(), found.problem())).collect()
}

async fn differences(inspector: &Inspector) -> Vec<Difference> {
    inspector.topology_differences(Some(&settings())).await.unwrap()
}

async fn correct(inspector: &Inspector) -> Corrections {
    inspector.correct_topology(&settings()).await.unwrap()
}

/// Waits for the next message of a consumer and acknowledges it. Returns `None` if no message comes within a second.
async fn take(jetstream: &JetStream, durable: Durable) -> Option<String> {
    use futures::StreamExt as _;
    let stream = jetstream.context.get_stream_no_info(durable.stream().name()).await.unwrap();
    let consumer =
        stream.get_consumer::<async_nats::jetstream::consumer::pull::Config>(durable.name()).await.unwrap();
    let mut batch =
        consumer.batch().max_messages(1).expires(Duration::from_secs(1)).messages().await.unwrap();
    let message = batch.next().await?.unwrap();
    message.double_ack().await.unwrap();
    Some(message.subject.to_string())
}

#[tokio::test]
async fn new_streams_differ_in_nothing() {
    let rig = Rig::start().await;
    assert_eq!(problems(&differences(&inspector(&rig.nats).await).await), [""; 0]);
}

#[tokio::test]
async fn missing_streams_and_consumers_are_differences() {
    let nats = NatsServer::start().await;
    let found = differences(&inspector(&nats).await).await;
    assert_eq!(found.len(), Stream::ALL.len() + Durable::ALL.len());
    assert!(found.iter().all(|difference| difference.is_missing() && difference.obstacle.is_none()));
    let optional: Vec<_> = found.iter().filter(|found| found.is_optional()).map(Difference::name).collect();
    assert_eq!(optional, ["DEAD_MESSAGES", "CALLBACKS"]);
}

#[tokio::test]
async fn streams_of_an_earlier_version_are_corrected_and_keep_their_messages() {
    let rig = Rig::start().await;
    let (jetstream, inspector) = (&rig.jetstream, inspector(&rig.nats).await);
    update_stream(
        jetstream,
        Stream::Queued,
        json!({ "max_age": HOUR_NS, "subjects": ["submission.queued.*"] }),
    )
    .await;
    update_stream(jetstream, Stream::DeadLetter, json!({ "discard": "new", "max_msgs": -1 })).await;
    let earlier =
        json!({ "filter_subject": "submission.queued.*", "max_ack_pending": 10, "ack_wait": 1_000_000_000 });
    let (subject, request) = consumer_request(Durable::Fetcher, &earlier);
    api(jetstream, &subject, &request).await;
    for id in ["a", "b", "c"] {
        rig.publish(&queued(id)).await;
    }
    assert_eq!(take(jetstream, Durable::Fetcher).await.as_deref(), Some("submission.queued.a"));

    let found = problems(&differences(&inspector).await);
    let expected = [
        "SUB_QUEUED subjects lacks submission.queued.*.*, probe.SUB_QUEUED",
        "SUB_QUEUED max_age is 1h instead of 3days",
        "SUB_DEAD max_msgs is unlimited instead of 100000",
        "SUB_DEAD discard is new instead of old",
        "fetcher filter_subject is submission.queued.* instead of submission.queued.>",
        "fetcher ack_wait is 1s instead of 15s",
        "fetcher max_ack_pending is 10 instead of 2000",
    ];
    assert_eq!(found, expected);

    let corrections = correct(&inspector).await;
    assert_eq!((corrections.done.len(), corrections.refused.len()), (expected.len(), 0));
    assert_eq!(problems(&differences(&inspector).await), [""; 0]);
    assert_eq!(correct(&inspector).await.done, [], "the second run changes nothing");

    // The messages are there, the consumer continues where it was, and it reads the new subject.
    assert_eq!(rig.jetstream.message_count(Stream::Queued).await, 3);
    rig.jetstream.store("submission.queued.a.2", "x").await;
    for subject in ["submission.queued.b", "submission.queued.c", "submission.queued.a.2"] {
        assert_eq!(take(jetstream, Durable::Fetcher).await.as_deref(), Some(subject));
    }
    assert_eq!(take(jetstream, Durable::Fetcher).await, None);
}

#[tokio::test]
async fn several_corrections_at_once_agree() {
    let rig = Rig::start().await;
    update_stream(
        &rig.jetstream,
        Stream::Queued,
        json!({ "max_age": HOUR_NS, "subjects": ["submission.queued.*"] }),
    )
    .await;
    update_stream(&rig.jetstream, Stream::Result, json!({ "max_age": HOUR_NS })).await;
    rig.publish(&queued("a")).await;
    let inspectors = join_all((0..4).map(|_| inspector(&rig.nats))).await;
    let all = join_all(inspectors.iter().map(correct)).await;
    assert!(all.iter().all(|corrections| corrections.refused.is_empty()), "{all:?}");
    assert_eq!(problems(&differences(&inspectors[0]).await), [""; 0]);
    assert_eq!(rig.jetstream.message_count(Stream::Queued).await, 1);
}

#[tokio::test]
async fn fields_that_the_topology_does_not_know_stay() {
    let rig = Rig::start().await;
    let own = json!({
        "description": "custom", "compression": "s2", "metadata": { "team": "judging" },
        "subjects": ["probe.CALLBACKS", "callback.attempted.*", "callback.later.*"], "max_age": HOUR_NS,
    });
    update_stream(&rig.jetstream, Stream::Callbacks, own).await;
    let inspector = inspector(&rig.nats).await;
    assert_eq!(correct(&inspector).await.done.len(), 2);
    let now = stream_config(&rig.jetstream, Stream::Callbacks).await;
    assert_eq!((&now["description"], &now["compression"]), (&json!("custom"), &json!("s2")));
    assert_eq!(now["metadata"]["team"], "judging");
    let subjects = ["probe.CALLBACKS", "callback.attempted.*", "callback.later.*", "callback.attempted.*.*"];
    assert_eq!(now["subjects"], json!(subjects));
    assert_eq!(now["max_age"], 72 * HOUR_NS);
}

/// Each of these values of one field is corrected by the server, in a stream that has messages.
#[tokio::test]
async fn server_accepts_each_correction_of_a_stream() {
    let nats = NatsServer::start().await;
    let (jetstream, inspector) = (JetStream::connect(&nats).await, inspector(&nats).await);
    let wanted = json_config(Stream::Callbacks.config(&settings()));
    for (field, value) in [
        ("max_age", json!(HOUR_NS)),
        ("max_bytes", json!(1 << 20)),
        ("max_bytes", json!(1_u64 << 32)),
        ("max_msgs", json!(5_000)),
        ("max_msgs_per_subject", json!(5)),
        ("max_msgs_per_subject", json!(-1)),
        ("max_msg_size", json!(1_000)),
        ("max_consumers", json!(7)),
        ("discard", json!("new")),
        ("no_ack", json!(true)),
        ("allow_direct", json!(false)),
        ("allow_msg_ttl", json!(false)),
        ("allow_rollup_hdrs", json!(true)),
        (
            "subject_transform",
            json!({ "src": "callback.attempted.*", "dest": "callback.attempted.{{wildcard(1)}}" }),
        ),
        ("subject_delete_marker_ttl", json!(HOUR_NS)),
        ("consumer_limits", json!({ "max_ack_pending": 100, "inactive_threshold": HOUR_NS })),
    ] {
        let case = format!("{field} {value}");
        let config = with(wanted.clone(), &json!({ field: value }));
        api(&jetstream, "STREAM.CREATE.CALLBACKS", &config).await;
        for n in 0..3 {
            let subject = format!("callback.attempted.{n}");
            jetstream.client.publish(subject, "x".into()).await.unwrap();
        }
        jetstream.client.flush().await.unwrap();
        let count = jetstream.message_count(Stream::Callbacks).await;
        let own = |found: Vec<Difference>| {
            let mut fields: Vec<_> = found.into_iter().filter(|it| it.name() == "CALLBACKS").collect();
            fields.retain(|it| !it.is_missing());
            fields
        };
        let found = own(differences(&inspector).await);
        let fields: Vec<_> = found.iter().filter_map(|it| it.field).collect();
        // The server turns this on together with a marker.
        let expected: &[&str] =
            if field == "subject_delete_marker_ttl" { &["allow_rollup_hdrs", field] } else { &[field] };
        assert_eq!(fields, expected, "{case}");
        let corrections = correct(&inspector).await;
        assert!(corrections.refused.is_empty(), "{case}: {corrections:?}");
        assert_eq!(own(differences(&inspector).await), [], "{case}");
        assert!(jetstream.message_count(Stream::Callbacks).await >= count.max(3), "{case}");
        jetstream.context.delete_stream("CALLBACKS").await.unwrap();
    }
}

#[tokio::test]
async fn server_accepts_each_correction_of_a_consumer() {
    let rig = Rig::start().await;
    let inspector = inspector(&rig.nats).await;
    rig.publish(&ready("a")).await;
    for (field, value) in [
        ("filter_subject", json!("submission.ready.*")),
        ("ack_wait", json!(1_000_000_000)),
        ("backoff", json!([1_000_000_000])),
        ("max_deliver", json!(3)),
        ("max_ack_pending", json!(10)),
        ("max_batch", json!(1)),
        ("max_bytes", json!(1_000)),
        ("max_expires", json!(1_000_000_000)),
        ("inactive_threshold", json!(HOUR_NS)),
        ("headers_only", json!(true)),
    ] {
        rig.jetstream.delete_consumer(Durable::Judge).await;
        let (subject, request) = consumer_request(Durable::Judge, &json!({ field: value }));
        api(&rig.jetstream, &subject, &request).await;
        let found = differences(&inspector).await;
        assert!(found.iter().any(|it| it.field == Some(field)), "{field}: {found:?}");
        let corrections = correct(&inspector).await;
        assert!(corrections.refused.is_empty(), "{field}: {corrections:?}");
        assert_eq!(problems(&differences(&inspector).await), [""; 0], "{field}");
    }
    assert_eq!(take(&rig.jetstream, Durable::Judge).await.as_deref(), Some("submission.ready.a"));
}

/// They are reported with what to do, and the rest of the stream is corrected.
#[tokio::test]
async fn unchangeable_fields_are_left_with_a_remedy() {
    let nats = NatsServer::start().await;
    let (jetstream, inspector) = (JetStream::connect(&nats).await, inspector(&nats).await);
    let other = json!({
        "retention": "limits", "storage": "memory", "deny_delete": true, "max_age": HOUR_NS,
    });
    let config = with(json_config(Stream::Ready.config(&settings())), &other);
    api(&jetstream, "STREAM.CREATE.SUB_READY", &config).await;
    let push = json!({ "ack_policy": "all", "deliver_policy": "new", "replay_policy": "original", "max_waiting": 7, "mem_storage": true });
    let (subject, request) = consumer_request(Durable::Judge, &push);
    api(&jetstream, &subject, &request).await;
    jetstream.store("submission.ready.a", "x").await;

    let found = differences(&inspector).await;
    let manual: Vec<_> = found.iter().filter(|it| it.obstacle.is_some()).collect();
    let fields: Vec<_> = manual.iter().filter_map(|it| it.field).collect();
    let refused = [
        "retention",
        "storage",
        "deny_delete",
        "ack_policy",
        "deliver_policy",
        "replay_policy",
        "max_waiting",
        "mem_storage",
    ];
    assert_eq!(fields, refused);
    assert!(manual[0].obstacle.as_ref().unwrap().contains("nats stream rm SUB_READY"));
    assert!(manual[3].obstacle.as_ref().unwrap().contains("nats consumer rm SUB_READY judge"));
    // The server refuses each of them indeed.
    let now: Value = stream_config(&jetstream, Stream::Ready).await.into();
    for difference in &manual {
        let change = json!({ difference.field.unwrap(): difference.wanted });
        let (subject, request) = match difference.consumer {
            None => ("STREAM.UPDATE.SUB_READY".to_owned(), with(now.clone(), &change)),
            Some(durable) => consumer_request(durable, &with(push.clone(), &change)),
        };
        let answer: Value = jetstream.context.request(subject, &request).await.unwrap();
        assert!(answer.get("error").is_some(), "{}", difference.problem());
    }

    let corrections = correct(&inspector).await;
    let done: Vec<_> = corrections.done.iter().filter_map(|it| it.field).collect();
    assert_eq!((done, corrections.refused.len()), (vec!["max_age"], 0));
    assert_eq!(jetstream.message_count(Stream::Ready).await, 1);
}

#[tokio::test]
async fn limits_below_the_contents_and_fewer_replicas_are_not_applied() {
    let rig = Rig::start().await;
    let source = "x".repeat(200_000);
    for n in 0..12 {
        let event = gavel_domain::event::Queued { source: source.clone(), ..queued(&format!("k{n}")) };
        rig.publish(&event).await;
    }
    let inspector = inspector(&rig.nats).await;
    // A fifth of it is for queued submissions: less than they have.
    let small = TopologySettings { store_bytes: 10_000_000, ..settings() };
    let corrections = inspector.correct_topology(&small).await.unwrap();
    let done = |stream: &str| corrections.done.iter().any(|it| it.name() == stream);
    assert!(done("SUB_READY") && !done("SUB_QUEUED"), "{corrections:?}");
    let left = inspector.topology_differences(Some(&small)).await.unwrap();
    assert_eq!(problems(&left).len(), 1, "{left:?}");
    assert!(left[0].obstacle.as_ref().unwrap().contains("NATS_STORE_BYTES"), "{left:?}");
    assert_eq!(rig.jetstream.message_count(Stream::Queued).await, 12);
    assert_eq!(inspector.topology_differences(None).await.unwrap(), [], "operators choose sizes");
}

/// A change that the server has no resources for does not prevent the others.
#[tokio::test]
async fn refused_change_does_not_prevent_the_others() {
    let rig = Rig::start().await;
    update_stream(&rig.jetstream, Stream::Queued, json!({ "max_age": HOUR_NS })).await;
    let inspector = inspector(&rig.nats).await;
    let three = TopologySettings { replicas: 3, ..settings() };
    let corrections = inspector.correct_topology(&three).await.unwrap();
    let done: Vec<_> = corrections.done.iter().filter_map(|it| it.field).collect();
    assert_eq!(done, ["max_age"]);
    assert_eq!(corrections.refused.len(), Stream::ALL.len());
    let (refused, error) = &corrections.refused[0];
    assert_eq!(
        (refused.field, refused.problem().as_str()),
        (Some("num_replicas"), "num_replicas is 1 instead of 3")
    );
    assert!(error.to_string().contains("replicas"), "{error}");
}
