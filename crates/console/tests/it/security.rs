//! What strangers and other sites can do: nothing.

use gavel_domain::Status;
use gavel_testkit::fixtures;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::rig::{Console, KEY, Rig, verdict};

/// All changes, with a body that is valid.
fn changes() -> [(&'static str, Value); 3] {
    [
        ("/api/dead-letters/retry", json!({ "sequences": [1] })),
        ("/api/dead-letters/drop", json!({ "stage": "reporter", "cause": "any" })),
        ("/api/rejudge", json!({ "ids": ["a"] })),
    ]
}

async fn status(request: RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_and_sources_need_the_key() {
    let rig = Rig::start().await;
    rig.whole("a", verdict(Status::Passed)).await;
    rig.dead("b", "Convex answered 401").await;
    let console = rig.console().await;
    for (path, body) in changes() {
        assert_eq!(status(console.post(path, &body)).await, 401, "{path}");
        assert_eq!(status(console.post(path, &body).bearer_auth("a wrong key of it")).await, 401, "{path}");
        // A key in a URL or a cookie is no key.
        let in_url = format!("{path}?key={KEY}");
        assert_eq!(status(console.post(&in_url, &body).header("cookie", format!("key={KEY}"))).await, 401);
    }
    for path in ["/api/submissions/a/source", "/api/dead-letters/1/source"] {
        assert_eq!(status(console.request(path)).await, 401, "{path}");
    }
    assert_eq!(console.get("/api/submissions/a").await["generations"].as_array().unwrap().len(), 1);
    assert_eq!(console.get("/api/dead-letters").await["total"], 1);
    let session = console.request("/api/session").bearer_auth(KEY).send().await.unwrap();
    assert_eq!(session.json::<Value>().await.unwrap()["keyValid"], true);
    assert_eq!(console.get("/api/session").await["keyValid"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn console_without_key_is_read_only() {
    let rig = Rig::start().await;
    rig.whole("a", verdict(Status::Passed)).await;
    let console = Console::start(&rig.nats.url(), None).await;
    for (path, body) in changes() {
        let answer = console.post(path, &body).bearer_auth(KEY).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{path}");
        assert!(answer.text().await.unwrap().contains("CONSOLE_KEY"));
    }
    // An empty key must not become a valid one.
    assert_eq!(status(console.request("/api/submissions/a/source").bearer_auth("")).await, 403);
    assert_eq!(console.get("/api/session").await["writable"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_can_read_and_change_nothing() {
    let rig = Rig::start().await;
    let console = rig.console().await;
    let reads =
        ["/api/session", "/api/overview", "/api/history", "/api/submissions", "/api/live?overview=true"];
    for path in reads {
        for (name, value) in [
            ("origin", "http://attacker.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let answer = console.request(path).header(name, value).send().await.unwrap();
            assert_eq!(answer.status(), 403, "{path} {name}: {value}");
            assert!(!answer.headers().contains_key("access-control-allow-origin"));
        }
        for host in ["attacker.example", "attacker.example:4006", "localhost.attacker.example", "192.0.2.1"] {
            assert_eq!(status(console.request(path).header("host", host)).await, 421, "{path} {host}");
        }
    }
    for (path, body) in changes() {
        let post = || console.post(path, &body).bearer_auth(KEY);
        assert_eq!(status(post().header("origin", "http://attacker.example")).await, 403, "{path}");
        assert_eq!(status(post().header("host", "attacker.example")).await, 421, "{path}");
        let form = console.request(path).build().unwrap();
        let http = gavel_http::client().build().unwrap();
        let plain =
            http.post(form.url().clone()).bearer_auth(KEY).header("content-type", "text/plain").body("{}");
        assert_eq!(status(plain).await, 415, "{path}");
        // A preflight gets no permission.
        let preflight = http
            .request(reqwest::Method::OPTIONS, form.url().clone())
            .header("origin", "http://attacker.example")
            .header("access-control-request-method", "POST")
            .send()
            .await
            .unwrap();
        assert!(!preflight.status().is_success());
        assert!(!preflight.headers().keys().any(|name| name.as_str().starts_with("access-control")));
    }
    // The configured name, and links from elsewhere to a page.
    assert_eq!(status(console.request("/api/session").header("host", "console.example")).await, 200);
    assert_eq!(status(console.request("/submissions").header("sec-fetch-site", "cross-site")).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_a_strict_policy() {
    let rig = Rig::start().await;
    let console = rig.console().await;
    for path in ["/", "/submissions/a", "/api/overview", "/api/nothing", "/assets/none.js"] {
        let answer = console.request(path).send().await.unwrap();
        let header = |name: &str| {
            answer.headers().get(name).unwrap_or_else(|| panic!("{path}: {name}")).to_str().unwrap()
        };
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"));
        assert_eq!((header("x-content-type-options"), header("referrer-policy")), ("nosniff", "no-referrer"));
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
        let is_file = !path.starts_with("/api") && answer.status() == 200;
        assert_eq!(header("cache-control"), if is_file { "no-cache" } else { "no-store" }, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_cached_for_good_and_the_start_page_never() {
    let rig = Rig::start().await;
    let console = rig.console().await;
    let page = console.request("/").send().await.unwrap().text().await.unwrap();
    let script = page.split('"').find(|part| part.starts_with("/assets/") && part.contains(".js")).unwrap();
    let answer = console.request(script).send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(answer.headers()["content-type"], "text/javascript; charset=utf-8");
    assert_eq!(status(console.request("/assets/../../Cargo.toml")).await, 200, "the start page");
    assert_eq!(status(console.request("/assets/none.js")).await, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_limited() {
    let rig = Rig::start().await;
    let console = rig.console().await;
    let body = json!({ "ids": vec!["a"; 1_001] });
    assert_eq!(status(console.post("/api/rejudge", &body).bearer_auth(KEY)).await, 400);
    let body = json!({ "ids": ["x".repeat(300_000)] });
    assert_eq!(status(console.post("/api/rejudge", &body).bearer_auth(KEY)).await, 413);
    for body in [json!({}), json!({ "question": "q" }), json!({ "ids": ["a"], "other": 1 }), json!([])] {
        assert_eq!(status(console.post("/api/rejudge", &body).bearer_auth(KEY)).await, 400, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn source_is_shown_with_the_key() {
    let rig = Rig::start().await;
    rig.whole("a", verdict(Status::Failed)).await;
    let console = rig.console().await;
    let answer = console.request("/api/submissions/a/source").bearer_auth(KEY).send().await.unwrap();
    let shown: Value = answer.json().await.unwrap();
    assert_eq!(shown["generations"][0]["source"], fixtures::SOURCE);
    // The verdict on a hidden test has neither its input nor its expected output.
    let failure = &shown["generations"][0]["firstFailure"];
    assert_eq!((&failure["stdin"], &failure["expectedOutput"]), (&Value::Null, &Value::Null));
}
