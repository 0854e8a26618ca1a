//! One submission is one trace through all services, and an unreachable collector costs nothing else.

use std::collections::{BTreeMap, BTreeSet};

use gavel_mock_convex::{Endpoint, Question, SubmissionKind};
use gavel_testkit::TEST_TIMEOUT;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::collector::{Collector, Span};
use crate::pipeline::{Pipeline, submission};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// The expected spans: name, service, kind.
const STEPS: [(&str, &str, SpanKind); 17] = [
    ("gavel-ingress", "POST /v1/judge-question", SpanKind::Server),
    ("gavel-ingress", "publish submission.queued", SpanKind::Producer),
    ("gavel-fetcher", "process submission.queued", SpanKind::Consumer),
    ("gavel-fetcher", "POST /coding/testcases", SpanKind::Client),
    ("gavel-fetcher", "publish bundle", SpanKind::Producer),
    ("gavel-fetcher", "publish submission.ready", SpanKind::Producer),
    ("gavel-judge", "process submission.ready", SpanKind::Consumer),
    ("gavel-judge", "publish submission.running", SpanKind::Producer),
    ("gavel-judge", "compile", SpanKind::Internal),
    ("gavel-judge", "run the tests", SpanKind::Internal),
    ("gavel-judge", "publish submission.judged", SpanKind::Producer),
    ("gavel-reporter", "process submission.running", SpanKind::Consumer),
    ("gavel-reporter", "process submission.judged", SpanKind::Consumer),
    ("gavel-reporter", "publish callback.claimed", SpanKind::Producer),
    ("gavel-reporter", "POST /coding/submission-running", SpanKind::Client),
    ("gavel-reporter", "POST /coding/submission-result", SpanKind::Client),
    ("gavel-reporter", "publish submission.reported", SpanKind::Producer),
];

fn echo() -> Question {
    Question::build(SubmissionKind::Standard, "echo").public("1", "1").hidden("secretin", "secretin").done()
}

/// Stops each service, so that it sends its remaining spans.
async fn stop_services(pipeline: &Pipeline) {
    for process in [&pipeline.ingress, &pipeline.fetcher, &pipeline.judge, &pipeline.reporter] {
        process.terminate().unwrap();
        assert!(process.wait_exit(TEST_TIMEOUT).await.unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn submission_is_one_trace_from_caller_to_convex() {
    let collector = Collector::start().await;
    let pipeline =
        Pipeline::start_with(vec![echo()], &[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())]).await;
    // Slow enough that the `running` callback is sent before the result.
    let source = "import time; time.sleep(0.3); print(input()) # sourcetext";
    let post = pipeline.http.post(&pipeline.url).json(&submission("idone", "echo", 71, source));
    let answer = post.header("traceparent", format!("00-{TRACE}-{CALLER}-01")).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(pipeline.result("idone").await["status"], "passed");
    stop_services(&pipeline).await;

    let spans = collector.spans();
    assert!(spans.iter().all(|span| span.trace == TRACE), "nothing but the one trace: {spans:#?}");
    let by_id: BTreeMap<&str, &Span> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    for span in &spans {
        let is_root = span.parent == CALLER && span.kind == SpanKind::Server;
        assert!(is_root || by_id.contains_key(span.parent.as_str()), "{span:#?} hangs in the air");
    }
    let seen: BTreeSet<(&str, &str, i32)> =
        spans.iter().map(|it| (it.service.as_str(), it.name.as_str(), it.kind as i32)).collect();
    for (service, name, kind) in STEPS {
        assert!(seen.contains(&(service, name, kind as i32)), "no {name} of {service} in {seen:#?}");
    }
    for span in &spans {
        assert!(!span.name.contains("idone"), "{span:#?}");
        let all = format!("{span:?}");
        assert!(!all.contains("secret") && !all.contains("sourcetext"), "{all}");
        if matches!(span.kind, SpanKind::Producer | SpanKind::Consumer) {
            assert_eq!(span.attributes["messaging.system"], "nats");
            let template = &span.attributes["messaging.destination.template"];
            assert!(span.name.ends_with(template.as_str()) && !template.contains("idone"));
        }
    }
    // A consumer's span is a child of the span that published its event.
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    for event in ["queued", "ready", "running", "judged"] {
        let producer = &named(&format!("publish submission.{event}")).id;
        assert_eq!(&named(&format!("process submission.{event}")).parent, producer, "{event}");
    }
    // Convex can continue the trace.
    for (endpoint, name) in [
        (Endpoint::TEST_CASES, "POST /coding/testcases"),
        (Endpoint::RESULT, "POST /coding/submission-result"),
    ] {
        let calls = pipeline.convex.calls();
        let call = calls.iter().find(|call| call.endpoint == endpoint).unwrap();
        let expected = format!("00-{TRACE}-{}-01", named(name).id);
        assert_eq!(call.header("traceparent"), Some(expected.as_str()));
    }
}

/// A collector that refuses connections, and one that accepts them and never answers.
#[tokio::test(flavor = "multi_thread")]
async fn unreachable_collector_costs_only_the_traces() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let [silent_url, gone_url] = [&silent, &gone].map(|it| format!("http://{}", it.local_addr().unwrap()));
    drop(gone);
    for url in [silent_url, gone_url] {
        let pipeline = Pipeline::start_with(vec![echo()], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]).await;
        pipeline.submit("one", "echo", 71, "print(input())").await;
        assert_eq!(pipeline.result("one").await["status"], "passed");
        stop_services(&pipeline).await;
        let said = pipeline.judge.log().iter().any(|entry| entry.contains("traces"));
        assert!(said, "that traces are lost is said");
    }
}

#[tokio::test]
async fn invalid_otlp_endpoint_exits_with_64() {
    let gavel = gavel_testkit::Process::builder(env!("CARGO_BIN_EXE_gavel"))
        .arg("up")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")
        .start()
        .unwrap();
    assert_eq!(gavel.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(64));
    assert!(gavel.log().iter().any(|line| line.contains("OTEL_EXPORTER_OTLP_ENDPOINT must be a URL")));
}
