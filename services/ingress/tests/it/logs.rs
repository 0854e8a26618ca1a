//! Logs: JSON lines with submission and request ids, and never source code or keys.

use gavel_testkit::{LogLine, TEST_TIMEOUT};
use serde_json::{Value, json};

use crate::rig::{Answer, Rig, binary, submission, with};

const SOURCE: &str = "a-source-that-must-not-be-logged";
const KEY: &str = "a-key-that-must-not-be-logged";

fn has_message<'a>(message: &'a str, request_id: &'a str) -> impl Fn(&LogLine) -> bool + 'a {
    move |line| {
        line.field("/message") == Some(message.into()) && line.field("/request_id") == Some(request_id.into())
    }
}

#[tokio::test]
async fn every_log_line_is_json_and_names_submission_and_request() {
    let rig = Rig::start().await;
    let send = async |body: Value, id: &str| {
        Answer::of(rig.ingress.submit(&body).header("x-request-id", id)).await.status
    };
    assert_eq!(send(submission("s1"), "r1").await, 202);
    assert_eq!(send(submission("s1"), "r2").await, 202);
    assert_eq!(send(with("s3", "languageId", json!("x")), "r3").await, 400);
    rig.nats.kill().await.unwrap();
    assert_eq!(send(submission("s4"), "r4").await, 503);

    let process = &rig.ingress.process;
    let lines = [
        ("submission queued", "r1", "s1"),
        ("submission queued", "r2", "s1"),
        ("request rejected", "r3", "s3"),
        ("submission not queued", "r4", "s4"),
    ];
    for (message, request_id, id) in lines {
        let line = process.wait_log(message, TEST_TIMEOUT, has_message(message, request_id)).await.unwrap();
        assert_eq!(line.field("/submission_id"), Some(id.into()), "{}", line.text);
    }
    for line in process.log() {
        let json = line.json().unwrap_or_else(|| panic!("not JSON: {}", line.text));
        assert!(json["level"].is_string() && json["timestamp"].is_string(), "{json}");
    }
}

#[tokio::test]
async fn source_code_and_keys_are_never_logged() {
    let secrets = [SOURCE, KEY, "a-password", "a-wrong-key"];
    let rig = Rig::with(&[("INGRESS_KEYS", KEY), ("LOG_LEVEL", "trace"), ("MAX_SOURCE_BYTES", "1000")]).await;
    let send = async |body: String, key: &str| {
        let request = rig.ingress.request("POST", "/v1/judge-question").body(body);
        let request = request.header("content-type", "application/json");
        Answer::of(request.header("authorization", format!("Bearer {key}"))).await.status
    };
    let valid = with("s1", "sourceCode", json!(SOURCE));
    assert_eq!(send(valid.to_string(), KEY).await, 202);
    assert_eq!(send(valid.to_string(), KEY).await, 202);
    assert_eq!(send(valid.to_string(), "a-wrong-key").await, 401);
    assert_eq!(send(with("s1", "sourceCode", json!([SOURCE])).to_string(), KEY).await, 400);
    assert_eq!(send(with("s1", SOURCE, json!(SOURCE)).to_string(), KEY).await, 400);
    assert_eq!(send(with(&format!("{SOURCE} s1"), "sourceCode", json!(1)).to_string(), KEY).await, 400);
    assert_eq!(send(format!("{{\"sourceCode\":\"{SOURCE}"), KEY).await, 400);
    assert_eq!(send(with("s1", "sourceCode", json!(SOURCE.repeat(100))).to_string(), KEY).await, 400);
    rig.nats.kill().await.unwrap();
    assert_eq!(send(with("s2", "sourceCode", json!(SOURCE)).to_string(), KEY).await, 503);
    let not_queued = |line: &LogLine| line.contains("submission not queued");
    rig.ingress.process.wait_log("the failure", TEST_TIMEOUT, not_queued).await.unwrap();
    for line in rig.ingress.process.log() {
        assert!(!secrets.iter().any(|secret| line.contains(secret)), "{}", line.text);
    }
}

#[tokio::test]
async fn nats_password_is_not_logged() {
    let process = binary("nats://gavel:a-password@127.0.0.1:1").env("LOG_LEVEL", "trace").start().unwrap();
    process.wait_log("the address", TEST_TIMEOUT, |line| line.contains("listening")).await.unwrap();
    process
        .wait_log("the warning", TEST_TIMEOUT, |line| line.contains("cannot create streams"))
        .await
        .unwrap();
    process.terminate().unwrap();
    process.wait_exit(TEST_TIMEOUT).await.unwrap();
    assert!(process.log().iter().all(|line| !line.contains("a-password")));
}

#[tokio::test]
async fn human_log_format_is_not_json() {
    let process = binary("nats://127.0.0.1:1").env("LOG_FORMAT", "human").start().unwrap();
    let line =
        process.wait_log("the address", TEST_TIMEOUT, |line| line.contains("listening")).await.unwrap();
    assert!(line.json().is_none() && line.contains("INFO"), "{}", line.text);
}
