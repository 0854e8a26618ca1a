//! The process: its configuration, its health, its port.

use std::net::TcpListener;

use gavel_mock_convex::MockConvex;
use gavel_testkit::{NatsServer, Process, ServiceProcess, TEST_TIMEOUT, wait_until};

use crate::rig::{Rig, binary, question};

#[tokio::test]
async fn all_that_is_wrong_with_the_configuration_is_said_at_once() {
    let bare = || Process::builder(env!("CARGO_BIN_EXE_gavel-fetcher"));
    let wrong = [
        ("MAX_TESTCASES", "0"),
        ("MAX_BUNDLE_BYTES", "1"),
        ("FETCHER_SLOTS", "0"),
        ("FETCH_GIVE_UP_AFTER_S", "0"),
        ("REQUEST_TIMEOUT_MS", "soon"),
        ("PORT", "-1"),
    ];
    let (code, said) = bare().envs(wrong).output().await;
    assert_eq!(code, Some(64), "{said}");
    for name in wrong.map(|(name, _)| name).into_iter().chain(["CONVEX_SITE_URL must be set"]) {
        assert!(said.contains(name), "{name} is missing in {said}");
    }
}

#[tokio::test]
async fn an_address_of_convex_that_can_never_work_ends_it() {
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
        let (code, said) = binary("nats://127.0.0.1:1", url).output().await;
        assert_eq!(code, Some(64), "{url}: {said}");
        assert!(
            said.contains("CONVEX_SITE_URL must be a URL") && !said.contains("a-password"),
            "{url}: {said}"
        );
    }
}

#[tokio::test]
async fn a_port_that_is_taken_ends_it_with_a_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, said) = binary("nats://127.0.0.1:1", "http://127.0.0.1:1").env("PORT", port).output().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot listen on") && said.contains("in use"), "{said}");
}

#[tokio::test]
async fn readiness_follows_the_server() {
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
    wait_until("the loss of it", TEST_TIMEOUT, async || !fetcher.is_ready().await).await.unwrap();
    nats.restart().await.unwrap();
    fetcher.wait_ready().await;
    fetcher.terminate().unwrap();
    assert_eq!(fetcher.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn its_address_may_end_in_white_space_and_a_slash() {
    let convex = MockConvex::start_local(vec![question("q1")]).await.unwrap();
    let url = format!(" {}// ", convex.url());
    let mut rig = Rig::with(Vec::new(), &[("CONVEX_SITE_URL", &url)]).await;
    rig.queue("s1", "q1").await;
    rig.ready("s1").await;
    assert!(convex.wrong_paths().is_empty());
}
