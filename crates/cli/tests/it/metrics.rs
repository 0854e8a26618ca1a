//! The services' metrics, compared with what happened.

#![expect(clippy::float_cmp, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]

use std::collections::BTreeSet;
use std::time::Duration;

use gavel_bus::topology::Stream;
use gavel_mock_convex::{Endpoint, HttpFault, Question, SubmissionKind};
use gavel_telemetry::{SERVICES, table};
use gavel_testkit::judge0::Settings;
use gavel_testkit::{JetStream, MockJudge0, TEST_TIMEOUT};

use crate::pipeline::{Pipeline, submission};
use crate::scrape::{Metrics, address};

/// The metrics of the four services, in the order of the pipeline.
async fn scrape(pipeline: &Pipeline) -> [Metrics; 4] {
    let mut all = Vec::new();
    for process in [&pipeline.ingress, &pipeline.fetcher, &pipeline.judge, &pipeline.reporter] {
        all.push(Metrics::of(&address(process).await).await);
    }
    all.try_into().ok().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_match_what_happened() {
    let mock = MockJudge0::start(Settings::default()).await;
    let url = mock.url();
    let question = Question::build(SubmissionKind::Standard, "echo")
        .public("1", "1")
        .hidden("secretin", "secretin")
        .done();
    let variables = [("ENGINE", "auto"), ("JUDGE0_BASE_URL", url.as_str())];
    let pipeline = Pipeline::start_with(vec![question], &variables).await;
    let ids = ["idpass1", "idpass2", "idfail", "idgone", "idother"];
    pipeline.submit(ids[0], "echo", 71, "print(input())").await;
    pipeline.submit(ids[1], "echo", 71, "print(input())").await;
    pipeline.submit(ids[2], "echo", 71, "print(1)").await;
    pipeline.submit(ids[3], "idmissing", 71, "print(1)").await;
    pipeline.submit(ids[4], "echo", 45, "echo").await;
    pipeline.submit(ids[0], "echo", 71, "print(input())").await;
    assert_eq!(pipeline.post(&serde_json::json!({ "questionId": 1 })).await, 400);
    for id in ids {
        pipeline.result(id).await;
    }
    // Counted after Convex has the result, so nothing else signals it.
    gavel_testkit::wait_until("the last settlement", TEST_TIMEOUT, async || {
        let reporter = Metrics::of(&address(&pipeline.reporter).await).await;
        let judged = [("consumer", "reporter-judged"), ("outcome", "done")];
        let running = [("consumer", "reporter-running"), ("outcome", "done")];
        reporter.sum("gavel_handled_total", &judged) == Some(5.0)
            && reporter.sum("gavel_handled_total", &running) == Some(4.0)
            && reporter.sum("gavel_queue_in_hand", &[]) == Some(0.0)
    })
    .await
    .unwrap();
    // A consumer whose stream did not exist yet when its service started is opened later.
    for (service, consumers) in [(&pipeline.fetcher, 2.0), (&pipeline.judge, 1.0), (&pipeline.reporter, 2.0)]
    {
        gavel_testkit::wait_until("all consumers", TEST_TIMEOUT, async || {
            let metrics = Metrics::of(&address(service).await).await;
            metrics.sum("gavel_consumer_attached", &[]) == Some(consumers)
        })
        .await
        .unwrap();
    }
    let all = scrape(&pipeline).await;
    let [ingress, fetcher, judge, reporter] = &all;

    let posts = |status| [("route", "/v1/judge-question"), ("method", "POST"), ("status", status)];
    assert_eq!(ingress.sum("gavel_http_requests_total", &posts("202")), Some(6.0));
    assert_eq!(ingress.sum("gavel_http_requests_total", &posts("400")), Some(1.0));
    let queued = |result| [("event", "gavel.v1.Queued"), ("result", result)];
    assert_eq!(ingress.sum("gavel_published_total", &queued("stored")), Some(5.0));
    assert_eq!(ingress.sum("gavel_published_total", &queued("already")), Some(1.0));

    assert_eq!(fetcher.sum("gavel_handled_total", &[("outcome", "done")]), Some(5.0));
    assert_eq!(fetcher.sum("gavel_waiting_seconds_count", &[]), Some(5.0));
    let asked = |outcome| [("endpoint", "/coding/testcases"), ("outcome", outcome)];
    assert_eq!(fetcher.sum("gavel_client_requests_total", &asked("not_found")), Some(1.0));
    let flights =
        |result| fetcher.sum("gavel_cache_lookups_total", &[("cache", "flight"), ("result", result)]);
    assert_eq!(flights("hit").unwrap_or_default() + flights("miss").unwrap(), 5.0);
    assert_eq!(flights("miss"), fetcher.sum("gavel_client_requests_total", &[("peer", "convex")]));
    let error = [("language", "71 Python 3"), ("status", "error")];
    assert_eq!(fetcher.sum("gavel_verdicts_total", &error), Some(1.0));

    let verdicts =
        |language, status| judge.sum("gavel_verdicts_total", &[("language", language), ("status", status)]);
    assert_eq!(verdicts("71 Python 3", "passed"), Some(2.0));
    assert_eq!(verdicts("71 Python 3", "failed"), Some(1.0));
    assert_eq!(verdicts("other", "passed"), Some(1.0));
    assert_eq!(judge.sum("gavel_handling_seconds_count", &[]), Some(4.0));
    assert_eq!(judge.sum("gavel_slots", &[]), Some(2.0));
    assert_eq!(judge.sum("gavel_slots_in_use", &[]), Some(0.0));
    assert_eq!(judge.sum("gavel_engine_faults_total", &[]), Some(0.0));
    assert_eq!(judge.sum("gavel_engine_breaker", &[("state", "closed")]), Some(1.0));
    assert_eq!(judge.sum("gavel_engine_breaker", &[]), Some(1.0));
    let bundles = judge.sum("gavel_cache_lookups_total", &[("cache", "bundle")]);
    assert_eq!(bundles, Some(4.0));

    let sent_to = |endpoint| [("endpoint", endpoint), ("outcome", "ok")];
    assert_eq!(reporter.sum("gavel_client_requests_total", &sent_to("/coding/submission-result")), Some(5.0));
    assert_eq!(reporter.sum("gavel_submission_seconds_count", &[]), Some(5.0));
    assert_eq!(reporter.sum("gavel_submission_seconds_count", &[("status", "error")]), Some(1.0));
    assert_eq!(reporter.sum("gavel_queue_pending", &[]), Some(0.0));
    assert_eq!(reporter.sum("gavel_queue_oldest_seconds", &[]), Some(0.0));
    for metrics in [fetcher, judge, reporter] {
        assert_eq!(metrics.sum("gavel_redeliveries_total", &[]), Some(0.0));
        assert_eq!(metrics.sum("gavel_handled_total", &[("outcome", "dead")]), Some(0.0));
    }

    for (metrics, service) in all.iter().zip(SERVICES) {
        assert_eq!(metrics.sum("gavel_build_info", &[("service", service)]), Some(1.0));
        for (label, value) in metrics.values() {
            assert!(label != "service" || value == service, "{service} shows metrics of {value}");
            assert!(!value.starts_with("id") && !value.contains("secret"), "{label}={value}");
        }
    }
    let shown: BTreeSet<&str> = all.iter().flat_map(Metrics::names).collect();
    let promised: BTreeSet<&str> = table::ALL.iter().map(|row| row.name).collect();
    assert_eq!(shown, promised, "each metric of the table is there, and no other");
}

/// Four services in one process: each port serves its own service's metrics, and only those.
#[tokio::test(flavor = "multi_thread")]
async fn each_port_serves_only_its_own_service_metrics() {
    let data = tempfile::tempdir().unwrap();
    let up = crate::up::Up::start(data.path()).await;
    let url = format!("http://127.0.0.1:{}/v1/judge-question", up.port);
    let body = submission("one", "sum", 71, "print(1)");
    let answer = gavel_http::client().build().unwrap().post(url).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    for (port, service) in (up.port..).zip(SERVICES) {
        let metrics = Metrics::of(&format!("127.0.0.1:{port}")).await;
        assert!(metrics.values().all(|(label, value)| label != "service" || value == service));
        let accepted = metrics.sum("gavel_http_requests_total", &[("route", "/v1/judge-question")]);
        assert_eq!(accepted, (service == "ingress").then_some(1.0), "{service}");
        assert_eq!(metrics.sum("gavel_nats_connected", &[]), Some(1.0), "{service}");
    }
}

/// Queue metrics must not depend on the consumers of the queue, which may be down.
#[tokio::test(flavor = "multi_thread")]
async fn queue_metrics_are_served_without_a_judge() {
    let question = Question::build(SubmissionKind::Standard, "echo").public("1", "1").done();
    let pipeline = Pipeline::start(vec![question]).await;
    pipeline.judge.kill().await.unwrap();
    pipeline.submit("a", "echo", 71, "print(input())").await;
    pipeline.submit("b", "echo", 71, "print(input())").await;
    let judges = [("consumer", "judge")];
    gavel_testkit::wait_until("two that wait", TEST_TIMEOUT, async || {
        let metrics = Metrics::of(&address(&pipeline.reporter).await).await;
        metrics.sum("gavel_queue_pending", &judges) == Some(2.0)
            && metrics.sum("gavel_queue_oldest_seconds", &judges).unwrap() > 0.0
    })
    .await
    .unwrap();
    pipeline.judge.restart().await.unwrap();
    pipeline.result("a").await;
    pipeline.result("b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discarded_dead_letters_are_counted() {
    let pipeline = Pipeline::start(Vec::new()).await;
    let raw = async_nats::jetstream::new(async_nats::connect(pipeline.nats.url()).await.unwrap());
    let discarded = async || {
        let metrics = Metrics::of(&address(&pipeline.reporter).await).await;
        metrics.sum("gavel_dead_letters_discarded_total", &[("stream", "SUB_DEAD")])
    };
    gavel_testkit::wait_until("the stream", TEST_TIMEOUT, async || raw.get_stream("SUB_DEAD").await.is_ok())
        .await
        .unwrap();
    let mut config = raw.get_stream("SUB_DEAD").await.unwrap().cached_info().config.clone();
    config.max_messages = 20;
    raw.update_stream(&config).await.unwrap();
    // Each scrape is a look at the stream.
    gavel_testkit::wait_until("a first look", TEST_TIMEOUT, async || discarded().await == Some(0.0))
        .await
        .unwrap();
    let jetstream = JetStream::connect(&pipeline.nats).await;
    for stored in [10_u64, 20, 30, 40] {
        for n in stored - 10..stored {
            raw.publish(format!("submission.dead.x{n}"), "x".into()).await.unwrap().await.unwrap();
        }
        let mut counts = (0, 0);
        gavel_testkit::wait_until("the exact count", TEST_TIMEOUT, async || {
            let counted = discarded().await.unwrap();
            counts = (counted as u64, stored - jetstream.message_count(Stream::DeadLetter).await);
            counts.0 == counts.1
        })
        .await
        .unwrap_or_else(|_| panic!("{counts:?} of {stored}"));
        // Meanwhile probes take up room, too, and expire.
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
    assert!(discarded().await >= Some(20.0));
}

/// A problem that a person must fix has its own label value.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_rejected_callbacks_and_dead_letters() {
    let question = Question::build(SubmissionKind::Standard, "echo").public("1", "1").done();
    let pipeline = Pipeline::start(vec![question]).await;
    pipeline.convex.fault(Endpoint::RESULT, HttpFault::status(401));
    pipeline.submit("a", "echo", 71, "print(input())").await;
    gavel_testkit::wait_until("the dead letter", TEST_TIMEOUT, async || {
        let metrics = Metrics::of(&address(&pipeline.reporter).await).await;
        metrics.sum("gavel_handled_total", &[("consumer", "reporter-judged"), ("outcome", "dead")])
            == Some(1.0)
    })
    .await
    .unwrap();
    let metrics = Metrics::of(&address(&pipeline.reporter).await).await;
    let denied = [("endpoint", "/coding/submission-result"), ("outcome", "denied")];
    assert_eq!(metrics.sum("gavel_client_requests_total", &denied), Some(1.0));
    let dead_letters = [("event", "gavel.v1.DeadLetter"), ("result", "stored")];
    assert_eq!(metrics.sum("gavel_published_total", &dead_letters), Some(1.0));
}
