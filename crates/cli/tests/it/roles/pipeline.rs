//! The four binaries on the deployed server, each with its own key, and what they report if something is missing.

use gavel_mock_convex::{Question, SubmissionKind};
use gavel_testkit::process::built_binary;
use gavel_testkit::{LogLine, Process, TEST_TIMEOUT, wait_until};
use serde_json::Value;

use super::Deployed;
use crate::pipeline::{Pipeline, submission};

const REFUSAL: &str = "permission denied by NATS";

fn sum() -> Question {
    Question::build(SubmissionKind::Standard, "sum").public("1 2\n", "3\n").hidden("20 22\n", "42\n").done()
}

/// Starts a single service and returns it with its base URL.
async fn service(deployed: &Deployed, role: &str, variables: Vec<(String, String)>) -> (Process, String) {
    let process = Process::builder(built_binary(&format!("gavel-{role}")).unwrap())
        .env("PORT", "0")
        .env("CONVEX_SITE_URL", "http://127.0.0.1:9")
        .envs(deployed.variables(role))
        .envs(variables)
        .start()
        .unwrap();
    let line =
        process.wait_log("its address", TEST_TIMEOUT, |line| line.contains("\"listening\"")).await.unwrap();
    let address = line.field("/address").unwrap();
    let url = format!("http://{}", address.as_str().unwrap());
    (process, url)
}

async fn readiness(url: &str) -> (u16, Value) {
    let answer = gavel_http::client().build().unwrap().get(format!("{url}/readyz")).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn pipeline_runs_with_least_privilege() {
    let Deployed { server, keys } = Deployed::start().await;
    let variables = {
        let port = server.port();
        let path = keys.path().to_owned();
        move |role: &str| {
            [
                ("NATS_URL", format!("tls://127.0.0.1:{port}")),
                ("NATS_CA", path.join("ca.pem").display().to_string()),
                ("NATS_NKEY", path.join(format!("{role}.nk")).display().to_string()),
                ("NATS_MAKE_STREAMS", "false".to_owned()),
                ("LANGUAGE_WAIT_S", "1".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec()
        }
    };
    let pipeline = Pipeline::start_on(server, vec![sum()], &variables).await;
    let program = "print(sum(map(int, input().split())))";
    pipeline.submit("right", "sum", 71, program).await;
    pipeline.submit("right", "sum", 71, program).await;
    pipeline.submit("wrong", "sum", 71, "print(3)").await;
    pipeline.submit("missing", "no-such-question", 71, program).await;
    pipeline.submit("waiting", "sum", 81, program).await;
    assert_eq!(pipeline.result("right").await["status"], "passed");
    assert_eq!(pipeline.result("wrong").await["status"], "failed");
    assert_eq!(pipeline.result("missing").await["status"], "error");
    assert_eq!(pipeline.result("waiting").await["status"], "error", "after LANGUAGE_WAIT_S");

    // A person who watches, with the key `tap`.
    let file = keys.path().join("program.py");
    std::fs::write(&file, program).unwrap();
    let watching = Process::builder(env!("CARGO_BIN_EXE_gavel"))
        .args(["submit", file.to_str().unwrap(), "--question", "sum", "--json"])
        .env("INGRESS_URL", pipeline.url.replace("/v1/judge-question", ""))
        .envs(variables("tap"))
        .start()
        .unwrap();
    assert_eq!(watching.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));

    // An operator, with the key `ops`.
    let look = async |arguments: &[&str]| {
        let process = Process::builder(env!("CARGO_BIN_EXE_gavel"))
            .args(arguments)
            .env("INGRESS_URL", pipeline.url.replace("/v1/judge-question", ""))
            .envs(variables("ops"))
            .start()
            .unwrap();
        (process.wait_exit(TEST_TIMEOUT).await.unwrap().code(), process.log())
    };
    let looks: [&[&str]; 4] = [
        &["trace", "right"],
        &["status"],
        &["tap", "--all", "--no-follow"],
        &["doctor", "--no-judge", "--json"],
    ];
    for arguments in looks {
        let (code, said) = look(arguments).await;
        assert_eq!(code, Some(0), "{arguments:?}: {said:?}");
    }

    for process in [&pipeline.ingress, &pipeline.fetcher, &pipeline.judge, &pipeline.reporter, &watching] {
        let refused: Vec<LogLine> = process
            .log()
            .into_iter()
            .filter(|line| line.contains(REFUSAL) || line.contains("iolation"))
            .collect();
        assert!(refused.is_empty(), "{refused:?}");
    }
    for process in [&pipeline.ingress, &pipeline.fetcher, &pipeline.judge, &pipeline.reporter] {
        let line = process.log().into_iter().find(|line| line.contains("\"listening\"")).unwrap();
        let address = line.field("/address").unwrap();
        let (status, body) = readiness(&format!("http://{}", address.as_str().unwrap())).await;
        assert_eq!((status, &body["ok"]), (200, &true.into()), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_queue_is_503_and_duplicate_is_still_202() {
    let deployed = Deployed::without_streams().await;
    let made = deployed.streams(&[("NATS_STORE_BYTES", "1048576")]);
    assert_eq!(made.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
    let (_ingress, url) = service(&deployed, "ingress", Vec::new()).await;
    wait_until("readiness", TEST_TIMEOUT, async || readiness(&url).await.0 == 200).await.unwrap();
    let http = gavel_http::client().build().unwrap();
    let post = async |id: &str| {
        let body = submission(id, "q1", 71, &"#".repeat(10_000));
        let url = format!("{url}/v1/judge-question");
        http.post(url).json(&body).send().await.unwrap().status().as_u16()
    };
    let mut taken = 0;
    loop {
        match post(&format!("s{taken}")).await {
            202 => taken += 1,
            503 => break,
            other => panic!("{other} after {taken}"),
        }
    }
    assert!((10..30).contains(&taken), "{taken} of 10 kB in a fifth of 1 MiB");
    assert_eq!(post("s0").await, 202, "a repeat of a stored submission");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_name_missing_streams_and_find_them_once_made() {
    let deployed = Deployed::without_streams().await;
    let (fetcher, fetcher_url) = service(&deployed, "fetcher", Vec::new()).await;
    let (_ingress, ingress_url) = service(&deployed, "ingress", Vec::new()).await;
    let names_the_remedy = |line: &LogLine| line.contains("the consumer does not exist: create it with");
    fetcher.wait_log("the remedy", TEST_TIMEOUT, names_the_remedy).await.unwrap();
    // The ingress reports it once it is connected to NATS.
    let names_the_stream = async || {
        let (status, body) = readiness(&ingress_url).await;
        status == 503 && body.to_string().contains("SUB_QUEUED")
    };
    wait_until("the ingress naming the stream", TEST_TIMEOUT, names_the_stream).await.unwrap();
    assert_eq!(readiness(&fetcher_url).await.0, 503);

    let made = deployed.streams(&[]);
    assert_eq!(made.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
    for url in [ingress_url, fetcher_url] {
        wait_until("readiness", TEST_TIMEOUT, async || readiness(&url).await.0 == 200).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn permission_violation_is_logged_as_error() {
    let deployed = Deployed::start().await;
    let seed = deployed.keys.path().join("tap.nk").display().to_string();
    // A reporter with the key `tap`.
    let (judge, url) = service(&deployed, "reporter", vec![("NATS_NKEY".to_owned(), seed.clone())]).await;
    let line = judge.wait_log("the refusal", TEST_TIMEOUT, |line| line.contains(REFUSAL)).await.unwrap();
    assert_eq!(line.field("/level"), Some("ERROR".into()), "{}", line.text);
    let (status, body) = readiness(&url).await;
    assert!(status == 503 && body.to_string().contains("ermissions "), "{body}");

    // Making streams with a key that is not permitted to.
    let refused = deployed.streams(&[("NATS_NKEY", &seed)]);
    refused
        .wait_log("the refusal", TEST_TIMEOUT, |line| line.contains("permission denied by NATS"))
        .await
        .unwrap();
}
