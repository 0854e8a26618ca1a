//! Dead letters and rejudging.

use gavel_domain::Status;
use gavel_domain::event::Rejudged;
use gavel_testkit::fixtures;
use serde_json::{Value, json};

use crate::rig::{Rig, verdict};

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_grouped_by_cause_and_shown() {
    let rig = Rig::start().await;
    for id in ["a", "b", "c"] {
        rig.dead(id, "Convex answered 401").await;
    }
    rig.dead("d", "Convex answered 500\nwith more text").await;
    let console = rig.console().await;
    let groups = console.get("/api/dead-letters").await;
    assert_eq!(groups["total"], 4);
    let first = &groups["groups"][0];
    assert_eq!(
        (&first["cause"], &first["count"], &first["retryable"]),
        (&"Convex answered 401".into(), &3.into(), &3.into())
    );
    assert_eq!(groups["groups"][1]["cause"], "Convex answered 500");
    let path = "/api/dead-letters/items?stage=reporter&cause=Convex%20answered%20401&limit=2";
    let page = console.get(path).await;
    let next = page["next"].as_u64().unwrap();
    let rest = console.get(&format!("{path}&after={next}")).await;
    assert_eq!((page["items"].as_array().unwrap().len(), &rest["items"][0]["id"]), (2, &"c".into()));
    assert_eq!(rest["next"], Value::Null);
    let sequence = page["items"][0]["sequence"].as_u64().unwrap();
    let shown = console.get(&format!("/api/dead-letters/{sequence}")).await;
    assert_eq!((&shown["id"], &shown["message"]["questionId"]), (&"a".into(), &"q1".into()));
    assert!(shown["commands"].to_string().contains("gavel dead retry a"));
    assert!(!shown.to_string().contains(fixtures::SOURCE));
    assert_eq!(console.request("/api/dead-letters/9999").send().await.unwrap().status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_retried_and_dropped() {
    let rig = Rig::start().await;
    let mut events = rig.events().await;
    for id in ["a", "b", "c"] {
        rig.dead(id, "Convex answered 401").await;
    }
    let console = rig.console().await;
    let items = console.get("/api/dead-letters/items").await;
    let sequence = |n: usize| items["items"][n]["sequence"].as_u64().unwrap();
    let retried =
        console.change("/api/dead-letters/retry", &json!({ "sequences": [sequence(0), 9_999] })).await;
    let outcome = |n: usize| retried["results"][n]["outcome"].as_str().unwrap().to_owned();
    assert_eq!((outcome(0), outcome(1)), ("refused".to_owned(), "started".to_owned()), "{retried}");
    assert_eq!(retried["results"][1]["detail"], "generation 2 started at the reporter");
    let record: Rejudged = events.wait("a.2").await;
    assert_eq!(record.by, "tester@host via console");
    let dropped = console.change("/api/dead-letters/drop", &json!({ "sequences": [sequence(1)] })).await;
    assert_eq!(dropped["results"][0]["outcome"], "dropped");
    assert_eq!(console.get("/api/dead-letters").await["total"], 1);
    let group = json!({ "stage": "reporter", "cause": "Convex answered 401" });
    let all = console.change("/api/dead-letters/retry", &group).await;
    assert_eq!(
        (&all["results"][0]["id"], &all["results"][0]["outcome"]),
        (&"c".into(), &"started".into()),
        "{all}"
    );
    assert_eq!(console.get("/api/dead-letters").await["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejudging_by_id_can_be_tried_first() {
    let rig = Rig::start().await;
    rig.whole("a", verdict(Status::Failed)).await;
    rig.publish(&fixtures::queued("b")).await;
    let console = rig.console().await;
    let ids = json!({ "ids": ["a", "b", "nobody"], "reason": "a new test", "dryRun": true });
    let dry = console.change("/api/rejudge", &ids).await;
    let outcomes = |answer: &Value| -> Vec<String> {
        let results = answer["results"].as_array().unwrap().iter();
        results.map(|result| result["outcome"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(outcomes(&dry), ["would start", "refused", "refused"]);
    assert!(dry["results"][1]["detail"].as_str().unwrap().contains("has not ended"), "{dry}");
    let mut events = rig.events().await;
    let done = console.change("/api/rejudge", &json!({ "ids": ["a"], "reason": "a new test" })).await;
    assert_eq!(outcomes(&done), ["started"]);
    let record: Rejudged = events.wait("a.2").await;
    assert_eq!(record.reason, "a new test");
    let shown = console.get("/api/submissions/a").await;
    assert_eq!(shown["generations"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejudging_a_question_is_a_run_that_can_be_continued() {
    let rig = Rig::start().await;
    for id in ["a", "b"] {
        rig.whole(id, verdict(Status::Failed)).await;
    }
    let console = rig.console().await;
    let dry =
        console.change("/api/rejudge", &json!({ "question": "q1", "since": "1h", "dryRun": true })).await;
    assert_eq!((&dry["run"]["total"], &dry["left"]), (&2.into(), &0.into()), "{dry}");
    let since = dry["since"].as_str().unwrap();
    let request = json!({ "question": "q1", "since": since });
    let done = console.change("/api/rejudge", &request).await;
    assert_eq!(done["results"].as_array().unwrap().len(), 2, "{done}");
    assert!(done["results"].as_array().unwrap().iter().all(|result| result["outcome"] == "started"));
    let other = console.change("/api/rejudge", &json!({ "question": "q2", "since": since })).await;
    assert_eq!(other["results"], json!([]));
}
