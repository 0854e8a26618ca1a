//! `gavel status`, and the generated completions and man pages.

use gavel_domain::Status;
use gavel_domain::event::{DeadLetter, Stage};
use gavel_mock_convex::{Question, SubmissionKind};
use gavel_testkit::{NatsServer, TEST_TIMEOUT, wait_until};
use serde_json::Value;

use crate::events::{Rig, exit_code, gavel, gavel_at, lines, queued, ready};
use crate::pipeline::Pipeline;

/// The output of `gavel status --json`, once all streams and consumers exist: services create them one by one.
pub(crate) async fn status(nats: &NatsServer) -> Value {
    let mut said = Vec::new();
    wait_until("all streams and consumers", TEST_TIMEOUT, async || {
        let process = gavel(nats, &["status", "--json"]);
        let code = exit_code(&process).await;
        said = process.log();
        code == Some(0)
    })
    .await
    .unwrap_or_else(|_| panic!("{said:?}"));
    said.iter().find_map(gavel_testkit::LogLine::json).unwrap()
}

fn stage<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["stages"].as_array().unwrap().iter().find(|stage| stage["stage"] == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_counts_queued_and_dead() {
    let rig = Rig::start().await;
    for id in ["a", "b"] {
        rig.publish(&queued(id)).await;
        rig.publish(&ready(id)).await;
    }
    rig.whole("c", Status::Passed).await;
    for (key, cause) in
        [("d", "Convex answered 401"), ("e", "Convex answered 401"), ("f", "no \u{1b}[2Jidea")]
    {
        let dead = DeadLetter {
            key: key.to_owned(),
            stage: Stage::Reporter,
            cause: cause.to_owned(),
            attempts: 3,
            stored_at_ms: 1,
            subject: format!("submission.judged.{key}"),
            payload: Vec::new(),
            kept_on: None,
        };
        rig.publish(&dead).await;
    }
    let counted = status(&rig.nats).await;
    let judge = stage(&counted, "judge");
    assert_eq!((&judge["waiting"], &judge["inHand"], &judge["slots"]), (&3.into(), &0.into(), &0.into()));
    assert!(judge["oldestMs"].is_u64());
    assert_eq!(stage(&counted, "reporter-judged")["waiting"], 1);
    assert_eq!(stage(&counted, "fetcher-expired")["oldestMs"], Value::Null);
    assert_eq!(
        (&counted["dead"][0]["count"], &counted["dead"][0]["cause"]),
        (&2.into(), &"Convex answered 401".into())
    );
    assert_eq!(counted["instances"], Value::Array(Vec::new()));
    let drawn = rig.gavel(&["status"]);
    assert_eq!(exit_code(&drawn).await, Some(0));
    let text = lines(&drawn).join("\n");
    for part in
        ["no judge is running", "3 dead letters in the last 24 hours", "no \\u{1b}[2Jidea", "SUB_READY"]
    {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_lists_live_instances() {
    let question = Question::build(SubmissionKind::Standard, "q").public("7", "7").done();
    let pipeline = Pipeline::start(vec![question]).await;
    let nats = &pipeline.nats;
    let mut counted = Value::Null;
    wait_until("all four", TEST_TIMEOUT, async || {
        counted = status(nats).await;
        counted["instances"].as_array().unwrap().len() == 4
    })
    .await
    .unwrap();
    assert_eq!(stage(&counted, "judge")["slots"], 2);
    let judge =
        counted["instances"].as_array().unwrap().iter().find(|each| each["service"] == "judge").unwrap();
    assert!(judge["languages"].as_u64() > Some(0) && judge["engines"][0] == "sandbox", "{judge}");
    let watching = gavel(nats, &["status", "--watch"]);
    wait_until("a second look", TEST_TIMEOUT, async || {
        lines(&watching).iter().filter(|line| line.starts_with("stage ")).count() >= 2
    })
    .await
    .unwrap();
    pipeline.nats.kill().await.unwrap();
    assert_eq!(exit_code(&watching).await, Some(69));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_reports_nats_without_streams() {
    let nats = NatsServer::start().await;
    let process = gavel(&nats, &["status"]);
    assert_eq!(exit_code(&process).await, Some(69));
    assert!(process.log().iter().any(|line| line.contains("no stream SUB_QUEUED")));
    assert_eq!(exit_code(&gavel_at("nats://127.0.0.1:9", &["status"])).await, Some(69));
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_and_man_pages_cover_all_commands() {
    let run = async |arguments: &[&str]| {
        let process = gavel_at("nats://127.0.0.1:9", arguments);
        let code = exit_code(&process).await;
        (code, process.log().into_iter().map(|line| line.text + "\n").collect::<String>())
    };
    for shell in ["bash", "zsh", "fish"] {
        let (code, text) = run(&["completions", shell]).await;
        assert!(code == Some(0) && text.contains("no-follow") && text.contains("doctor"), "{shell}");
    }
    let (code, text) = run(&["man"]).await;
    assert!(code == Some(0) && text.contains("gavel\\-doctor"), "{text}");
    let (code, text) = run(&["man", "tap"]).await;
    assert!(code == Some(0) && text.contains("no\\-follow"), "{text}");
    let (code, text) = run(&["man", "dead", "list"]).await;
    assert!(code == Some(0) && text.contains("gavel dead list"), "{text}");
    assert_eq!(run(&["man", "nothing"]).await.0, Some(64));
    assert_eq!(run(&["man", "dead", "nothing"]).await.0, Some(64));
}

#[tokio::test(flavor = "multi_thread")]
async fn man_writes_pages_of_all_commands_to_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a path in UTF-8");
    let exits = async |path: &str| exit_code(&gavel_at("nats://127.0.0.1:9", &["man", "--out", path])).await;
    assert_eq!(exits(path).await, Some(0));
    for page in ["gavel.1", "gavel-tap.1", "gavel-dead.1", "gavel-dead-list.1"] {
        let text = std::fs::read_to_string(folder.path().join(page)).expect(page);
        assert!(text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
    assert!(!folder.path().join("gavel-help.1").exists());
    assert_eq!(exits(&format!("{path}/missing")).await, Some(73));
}
