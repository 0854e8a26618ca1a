//! `gavel doctor`: its findings on a healthy pipeline and on broken ones.

use async_nats::jetstream::stream::Config;
use gavel_bus::topology::TopologySettings;
use gavel_mock_convex::{MockConvex, Question, SubmissionKind};
use gavel_testkit::process::built_binary;
use gavel_testkit::{NatsServer, Process, TEST_TIMEOUT, wait_until};
use serde_json::Value;

use crate::events::{Rig, exit_code};
use crate::pipeline::Pipeline;

/// Runs `gavel doctor --json` and returns its exit code and findings.
async fn doctor(nats: &NatsServer, variables: &[(&str, &str)]) -> (Option<i32>, Vec<Value>) {
    let login = nats.login("ops");
    let login = login.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    doctor_with(&login.chain(variables.iter().copied()).collect::<Vec<_>>()).await
}

async fn doctor_with(variables: &[(&str, &str)]) -> (Option<i32>, Vec<Value>) {
    let process = Process::builder(env!("CARGO_BIN_EXE_gavel"))
        .args(["doctor", "--no-judge", "--json"])
        .envs(variables.iter().copied())
        .start()
        .unwrap();
    let code = exit_code(&process).await;
    let report = process.log().iter().find_map(gavel_testkit::LogLine::json);
    let report = report.unwrap_or_else(|| panic!("{:?}", process.log()));
    assert_eq!(report["ok"], code == Some(0));
    (code, report["findings"].as_array().unwrap().clone())
}

fn state<'a>(findings: &'a [Value], name: &str) -> &'a str {
    let found = findings.iter().find(|finding| finding["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not among {findings:?}"))["state"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_passes_on_healthy_pipeline_and_changes_nothing() {
    let question = Question::build(SubmissionKind::Standard, "q").public("7", "7").done();
    let pipeline = Pipeline::start_with(vec![question], &[("INGRESS_KEYS", "a-key-of-16-bytes")]).await;
    let (nats, ingress) = (&pipeline.nats, pipeline.url.replace("/v1/judge-question", ""));
    let convex = pipeline.convex.url();
    let variables = [("INGRESS_URL", ingress.as_str()), ("CONVEX_SITE_URL", &convex)];
    let with_key = |key| [&variables[..], &[("INGRESS_KEY", key)]].concat();
    let mut findings = Vec::new();
    wait_until("all four", TEST_TIMEOUT, async || {
        let (code, found) = doctor(nats, &with_key("a-key-of-16-bytes")).await;
        findings = found;
        code == Some(0)
    })
    .await
    .unwrap_or_else(|_| panic!("{findings:?}"));
    let names =
        ["NATS", "version of NATS", "max_payload of NATS", "streams and consumers", "store of NATS", "clock"];
    for name in names.into_iter().chain(["judge", "Convex", "ingress keys"]) {
        assert_eq!(state(&findings, name), "good", "{findings:?}");
    }
    let (code, findings) = doctor(nats, &with_key("another-key")).await;
    assert_eq!((code, state(&findings, "ingress keys")), (Some(1), "bad"));
    // Mock Convex accepts every caller, so a token for it proves nothing.
    let with_token = [&variables[..], &[("CONVEX_TOKEN", "a-token-of-16-bytes")]].concat();
    let (code, findings) = doctor(nats, &with_token).await;
    assert_eq!((code, state(&findings, "Convex credentials")), (Some(0), "warning"), "{findings:?}");
    let calls = pipeline.convex.calls();
    let had_none = calls.iter().all(|call| call.status() == Some(400) && call.applied_at().is_none());
    assert!(!calls.is_empty() && had_none, "a probe had an effect: {calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_each_problem_with_its_remedy() {
    let nothing = [("NATS_URL", "nats://127.0.0.1:9"), ("INGRESS_URL", "http://127.0.0.1:9")];
    let (code, findings) = doctor_with(&nothing).await;
    assert_eq!(code, Some(1));
    assert_eq!((state(&findings, "NATS"), state(&findings, "ingress over HTTP")), ("bad", "bad"));
    assert_eq!(state(&findings, "Convex"), "skipped");

    let empty = NatsServer::start().await;
    let (_, findings) = doctor(&empty, &[nothing[1]]).await;
    assert_eq!((state(&findings, "stream SUB_QUEUED"), state(&findings, "judge")), ("bad", "bad"));

    let rig = Rig::start().await;
    let context = async_nats::jetstream::new(async_nats::connect(rig.nats.url()).await.unwrap());
    let mut stream = context.get_stream("SUB_DEAD").await.unwrap();
    let config = stream.info().await.unwrap().config.clone();
    let refusing = async_nats::jetstream::stream::DiscardPolicy::New;
    context.update_stream(Config { discard: refusing, ..config }).await.unwrap();
    context.get_stream("SUB_READY").await.unwrap().delete_consumer("judge").await.unwrap();
    // A server without Convex's paths.
    let convex = MockConvex::start_local(Vec::new()).await.unwrap();
    let elsewhere = format!("{}/elsewhere", convex.url());
    let (code, findings) = doctor(&rig.nats, &[nothing[1], ("CONVEX_SITE_URL", &elsewhere)]).await;
    assert_eq!(code, Some(1));
    for name in ["stream SUB_DEAD", "consumer judge", "Convex /coding/submission-result"] {
        assert_eq!(state(&findings, name), "bad");
    }
    assert!(findings.iter().all(|found| found["state"] != "bad" || found["remedy"].is_string()));
}

/// The streams of an earlier version may leave no space for the new ones.
#[tokio::test(flavor = "multi_thread")]
async fn missing_optional_streams_are_a_warning_for_doctor_and_no_problem_for_status() {
    // The required streams are 95 % of all.
    let bytes = TopologySettings::default().store_bytes / 100 * 96;
    let nats = NatsServer::builder().with_roles().max_file_store(bytes).start().await;
    let pipeline = Pipeline::start_each_on(nats, Vec::new(), |_| Vec::new()).await;
    let ingress = pipeline.url.replace("/v1/judge-question", "");
    let variables = [("INGRESS_URL", ingress.as_str()), ("CONVEX_SITE_URL", &pipeline.convex.url())];
    let (mut code, mut findings) = (None, Vec::new());
    wait_until("all four", TEST_TIMEOUT, async || {
        (code, findings) = doctor(&pipeline.nats, &variables).await;
        code == Some(0)
    })
    .await
    .unwrap_or_else(|_| panic!("{findings:?}"));
    for stream in ["stream DEAD_MESSAGES", "stream CALLBACKS"] {
        assert_eq!(state(&findings, stream), "warning", "{findings:?}");
    }
    for name in ["store of NATS", "permission to read history", "clock"] {
        assert_eq!(state(&findings, name), "good", "{findings:?}");
    }
    let counted = crate::status::status(&pipeline.nats).await;
    let streams = counted["streams"].as_array().unwrap().iter().map(|stream| &stream["stream"]);
    let streams: Vec<_> = streams.collect();
    assert_eq!(streams, ["SUB_QUEUED", "SUB_READY", "SUB_WAITING", "SUB_RESULT", "SUB_DEAD", "BUNDLES"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_reports_services_and_their_dependencies() {
    let rig = Rig::start().await;
    let judge = Process::builder(built_binary("gavel-judge").unwrap())
        .envs(rig.nats.login("judge"))
        .envs([("PORT", "0"), ("INSTANCE", "judge-x")])
        .envs([("ENGINE", "judge0"), ("JUDGE0_BASE_URL", "http://127.0.0.1:9")])
        .start()
        .unwrap();
    let mut findings = Vec::new();
    wait_until("the judge's word", TEST_TIMEOUT, async || {
        findings = doctor(&rig.nats, &[]).await.1;
        findings.iter().any(|finding| finding["name"] == "Judge0 as judge-x sees it")
    })
    .await
    .unwrap_or_else(|_| panic!("{findings:?} {:?}", judge.log()));
    for name in ["Judge0 as judge-x sees it", "judge-x is not ready"] {
        let is_it = |finding: &&Value| {
            finding["name"] == name && finding["found"].as_str().unwrap().starts_with("Judge0 is unreachable")
        };
        assert_eq!(findings.iter().find(is_it).unwrap()["state"], "bad", "{findings:?}");
    }
    assert_eq!(state(&findings, "judge"), "good");
    let counted = crate::status::status(&rig.nats).await;
    let peer = &counted["peers"][0];
    assert_eq!((&peer["name"], &peer["seenBy"]), (&"Judge0".into(), &"judge-x".into()));
    assert!(peer["problem"].is_string() && peer["forMs"].is_u64(), "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_checks_that_this_machine_can_judge() {
    let process = Process::builder(env!("CARGO_BIN_EXE_gavel"))
        .args(["doctor", "--json"])
        .env("NATS_URL", "nats://127.0.0.1:9")
        .start()
        .unwrap();
    assert_eq!(exit_code(&process).await, Some(1));
    let report = process.log().iter().find_map(gavel_testkit::LogLine::json).unwrap();
    let findings = report["findings"].as_array().unwrap();
    for name in ["kernel", "seccomp", "sandbox slot", "language Python"] {
        assert_eq!(state(findings, name), "good", "{findings:?}");
    }
    // Each prerequisite and each language is listed, with how to get what is missing.
    for name in ["user namespaces", "separate ids for programs", "cgroup v1", "cgroup v2"] {
        let found = findings.iter().find(|finding| finding["name"] == name).unwrap();
        assert!(found["state"] == "good" || found["remedy"].as_str().unwrap().contains("without it: "));
    }
    let languages =
        findings.iter().filter(|finding| finding["name"].as_str().unwrap().starts_with("language "));
    assert!(languages.count() >= 22, "{findings:?}");
}
