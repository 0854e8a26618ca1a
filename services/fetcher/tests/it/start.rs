//! The process: its configuration, its health, its port.

use std::net::TcpListener;

use gavel_mock_convex::MockConvex;
use gavel_testkit::{NatsServer, Process, process, wait_until};
use serde_json::Value;

use crate::support::{PATIENCE, address, binary};

async fn ran(builder: process::Builder) -> (Option<i32>, String) {
    let process = builder.start().unwrap();
    let status = process.wait_exit(PATIENCE).await.unwrap();
    // Its last words are read only after its end.
    let _ = process.wait_log("nothing", PATIENCE, |_| false).await;
    let lines: Vec<String> = process.log().into_iter().map(|line| line.text).collect();
    (status.code(), lines.join("\n"))
}

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
    let (code, said) = ran(bare().envs(wrong)).await;
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
        let (code, said) = ran(binary("nats://127.0.0.1:1", url)).await;
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
    let (code, said) = ran(binary("nats://127.0.0.1:1", "http://127.0.0.1:1").env("PORT", port)).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot listen on") && said.contains("in use"), "{said}");
}

#[tokio::test]
async fn readiness_follows_the_server() {
    let nats = NatsServer::start().await;
    nats.kill().await.unwrap();
    let convex = MockConvex::start_local(Vec::new()).await.unwrap();
    let fetcher = binary(&nats.url(), &convex.url()).start().unwrap();
    let base = format!("http://{}", address(&fetcher).await);
    let get = async |path: &str| {
        let response = reqwest::get(format!("{base}{path}")).await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    assert_eq!(get("/healthz").await, (200, serde_json::json!({ "ok": true })));
    let (status, body) = get("/readyz").await;
    assert_eq!((status, &body["ok"]), (503, &false.into()));
    assert!(body.to_string().contains("NATS"), "{body}");
    nats.restart().await.unwrap();
    let ready = async || get("/readyz").await.0 == 200;
    wait_until("readiness", PATIENCE, ready).await.unwrap();
    nats.kill().await.unwrap();
    wait_until("the loss of it", PATIENCE, async || !ready().await).await.unwrap();
    nats.restart().await.unwrap();
    wait_until("readiness again", PATIENCE, ready).await.unwrap();
    fetcher.terminate().unwrap();
    assert_eq!(fetcher.wait_exit(PATIENCE).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn its_address_may_end_in_white_space_and_a_slash() {
    let convex = MockConvex::start_local(vec![crate::support::question("q1")]).await.unwrap();
    let nats = NatsServer::start().await;
    let mut line = crate::support::Line::of(&nats, gavel_bus::topology::TopologySettings::default()).await;
    let fetcher = binary(&nats.url(), &format!(" {}// ", convex.url())).start().unwrap();
    line.queue("s1", "q1").await;
    line.ready("s1").await;
    assert!(convex.wrong_paths().is_empty());
    drop(fetcher);
}
