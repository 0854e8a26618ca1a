//! The process: its configuration, health endpoints and port.

use std::net::TcpListener;

use gavel_mock_convex::MockConvex;
use gavel_testkit::{NatsServer, Process, ServiceProcess, TEST_TIMEOUT, wait_until};

use crate::rig::{Rig, binary, question};

#[tokio::test]
async fn configuration_problems_are_reported_together() {
    let bare = || Process::builder(env!("CARGO_BIN_EXE_gavel-fetcher"));
    let invalid = [
        ("MAX_TESTCASES", "0"),
        ("MAX_BUNDLE_BYTES", "1"),
        ("FETCHER_SLOTS", "0"),
        ("FETCH_GIVE_UP_AFTER_S", "0"),
        ("REQUEST_TIMEOUT_MS", "soon"),
        ("PORT", "-1"),
    ];
    let (code, output) = bare().envs(invalid).output().await;
    assert_eq!(code, Some(64), "{output}");
    for name in invalid.map(|(name, _)| name).into_iter().chain(["CONVEX_SITE_URL must be set"]) {
        assert!(output.contains(name), "{name} is missing in {output}");
    }
}

#[tokio::test]
async fn invalid_convex_url_is_a_configuration_error() {
    let bad = [
        "convex.site",
        "//convex.site",
        "ftp://convex.site",
        "http://",
        "https://user:a-password@convex.site/?x=1",
        "https://convex.site/#top",
        "data:text",
    ];
    for url in bad {
        let (code, output) = binary("nats://127.0.0.1:1", url).output().await;
        assert_eq!(code, Some(64), "{url}: {output}");
        assert!(
            output.contains("CONVEX_SITE_URL must be a URL") && !output.contains("a-password"),
            "{url}: {output}"
        );
    }
}

#[tokio::test]
async fn port_in_use_is_reported() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, output) = binary("nats://127.0.0.1:1", "http://127.0.0.1:1").env("PORT", port).output().await;
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("cannot listen on") && output.contains("in use"), "{output}");
}

#[tokio::test]
async fn readiness_follows_nats() {
    let nats = NatsServer::start().await;
    nats.kill().await.unwrap();
    let convex = MockConvex::start_local(Vec::new()).await.unwrap();
    let fetcher = ServiceProcess::start(binary(&nats.url(), &convex.url())).await;
    assert_eq!(fetcher.get("/healthz").await, (200, serde_json::json!({ "ok": true })));
    let (status, body) = fetcher.get("/readyz").await;
    assert_eq!((status, &body["ok"]), (503, &false.into()));
    assert!(body.to_string().contains("NATS"), "{body}");
    nats.restart().await.unwrap();
    fetcher.wait_ready().await;
    nats.kill().await.unwrap();
    wait_until("readiness to end", TEST_TIMEOUT, async || !fetcher.is_ready().await).await.unwrap();
    nats.restart().await.unwrap();
    fetcher.wait_ready().await;
    fetcher.terminate().unwrap();
    assert_eq!(fetcher.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn convex_url_may_have_spaces_and_trailing_slashes() {
    let convex = MockConvex::start_local(vec![question("q1")]).await.unwrap();
    let url = format!(" {}// ", convex.url());
    let mut rig = Rig::with(Vec::new(), &[("CONVEX_SITE_URL", &url)]).await;
    rig.queue("s1", "q1").await;
    rig.ready("s1").await;
    assert!(convex.wrong_paths().is_empty());
}
