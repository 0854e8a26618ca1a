//! `GET /v1/languages`: the languages that judges announce in their heartbeats.

use std::time::{Duration, Instant};

use gavel_testkit::judge0::Settings;
use gavel_testkit::{MockJudge0, TEST_TIMEOUT};
use serde_json::Value;

use crate::pipeline::{Pipeline, service, service_with};

async fn languages(pipeline: &Pipeline) -> Value {
    let url = pipeline.url.replace("/v1/judge-question", "/v1/languages");
    pipeline.http.get(&url).send().await.unwrap().json().await.unwrap()
}

/// Waits until this many judges are listed and returns the listing.
async fn until_judges(pipeline: &Pipeline, judges: u64) -> Value {
    gavel_testkit::wait_until("the number of judges", TEST_TIMEOUT, async || {
        languages(pipeline).await["judges"] == judges
    })
    .await
    .unwrap();
    languages(pipeline).await
}

fn entry(listing: &Value, id: u64) -> Option<&Value> {
    listing["languages"].as_array().unwrap().iter().find(|language| language["id"] == id)
}

#[tokio::test(flavor = "multi_thread")]
async fn languages_count_live_judges_only() {
    let pipeline = Pipeline::start(Vec::new()).await;
    let listing = until_judges(&pipeline, 1).await;
    let python = entry(&listing, 71).unwrap();
    assert_eq!((&python["name"], &python["judges"]), (&"Python".into(), &1.into()));
    assert!(python["version"].as_str().unwrap().starts_with("3."), "{python}");
    assert_eq!(python["engines"], serde_json::json!(["sandbox"]));
    assert!(entry(&listing, 54).is_some() && entry(&listing, 81).is_none());

    let second = service("gavel-judge", &pipeline.nats, &pipeline.convex);
    let listing = until_judges(&pipeline, 2).await;
    assert_eq!(entry(&listing, 71).unwrap()["judges"], 2);

    second.kill().await.unwrap();
    let killed = Instant::now();
    let listing = until_judges(&pipeline, 1).await;
    assert_eq!(entry(&listing, 71).unwrap()["judges"], 1);
    assert!(killed.elapsed() > Duration::from_secs(5), "a breath missed is no death");
}

#[tokio::test(flavor = "multi_thread")]
async fn languages_list_both_engines_and_survive_nats_outage() {
    let judge0 = MockJudge0::start(Settings::default()).await;
    let url = judge0.url();
    let pipeline = Pipeline::start(Vec::new()).await;
    let variables = [("ENGINE", "auto"), ("JUDGE0_BASE_URL", url.as_str())];
    let _auto = service_with("gavel-judge", &pipeline.nats, &pipeline.convex, &variables);
    let has_scala = async || entry(&languages(&pipeline).await, 81).is_some();
    gavel_testkit::wait_until("Judge0's languages", TEST_TIMEOUT, has_scala).await.unwrap();
    let listing = languages(&pipeline).await;
    let scala = entry(&listing, 81).unwrap();
    assert_eq!((&scala["name"], &scala["judges"]), (&"Scala (2.13.2)".into(), &1.into()));
    assert_eq!(scala["engines"], serde_json::json!(["judge0"]));
    assert_eq!(entry(&listing, 71).unwrap()["engines"], serde_json::json!(["sandbox"]), "auto prefers it");

    pipeline.nats.kill().await.unwrap();
    until_judges(&pipeline, 0).await;
    pipeline.nats.restart().await.unwrap();
    until_judges(&pipeline, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn languages_require_the_submit_key() {
    let pipeline = Pipeline::start_with(Vec::new(), &[("INGRESS_KEYS", "secret")]).await;
    let url = pipeline.url.replace("/v1/judge-question", "/v1/languages");
    assert_eq!(pipeline.http.get(&url).send().await.unwrap().status(), 401);
    assert_eq!(pipeline.http.get(&url).bearer_auth("secret").send().await.unwrap().status(), 200);
    assert_eq!(pipeline.http.post(&url).bearer_auth("secret").send().await.unwrap().status(), 405);
}
