//! 202: the stored event, the response, and repeated submissions.

use std::time::SystemTime;

use futures::future::join_all;
use gavel_domain::SubmissionKind;
use serde_json::{Value, json};

use crate::rig::{Answer, Rig, submission, with};

fn accepted(id: &str, request_id: &str) -> Value {
    json!({
        "status": "accepted",
        "submissionId": id,
        "message": "Submission queued for execution",
        "details": { "requestId": request_id },
    })
}

#[tokio::test]
async fn submission_is_stored_with_request_id_and_trace_context() {
    let rig = Rig::start().await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let body = with("s1", "submissionKind", json!("personalized"));
    let before = SystemTime::now();
    let request = rig.ingress.submit(&body).header("x-request-id", "req-7").header("traceparent", parent);
    let answer = Answer::of(request).await;
    assert_eq!((answer.status, &answer.body), (202, &accepted("s1", "req-7")));
    assert_eq!(answer.header("x-request-id"), Some("req-7"));

    let message = rig.queue.message("s1").await.unwrap();
    let header = |name: &str| message.headers.get(name).map(async_nats::HeaderValue::as_str);
    assert_eq!(header("Gavel-Request-Id"), Some("req-7"));
    assert_eq!(header("traceparent"), Some(parent));
    assert_eq!(header("Gavel-Schema"), Some("gavel.v1.Queued"));
    let event = rig.queue.event("s1").await.unwrap();
    let stored = &event.submission;
    assert_eq!((stored.id.as_str(), stored.question_id.as_str()), ("s1", "q1"));
    assert_eq!(
        (stored.language.0, stored.kind, event.source.as_str()),
        (71, SubmissionKind::Personalized, "print(1)")
    );
    let ms = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    assert!((ms(before)..=ms(SystemTime::now())).contains(&stored.accepted_at_ms.into()));
}

#[tokio::test]
async fn request_id_is_generated_if_none_valid_is_sent() {
    let rig = Rig::start().await;
    let plain = rig.ingress.post(&submission("s0")).await;
    let mut answers = vec![plain];
    for (n, bad) in ["", "two words", "ä", &"x".repeat(129)].into_iter().enumerate() {
        let body = submission(&format!("s{}", n + 1));
        let bad = reqwest::header::HeaderValue::from_bytes(bad.as_bytes()).unwrap();
        let request = rig.ingress.submit(&body).header("x-request-id", bad).header("traceparent", "00-zz-1");
        answers.push(Answer::of(request).await);
    }
    let mut ids = Vec::new();
    for (n, answer) in answers.iter().enumerate() {
        let id = answer.header("x-request-id").unwrap();
        assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        assert_eq!((answer.status, &answer.body), (202, &accepted(&format!("s{n}"), id)));
        let message = rig.queue.message(&format!("s{n}")).await.unwrap();
        assert_eq!(message.headers.get("Gavel-Request-Id").unwrap().as_str(), id);
        assert!(message.headers.get("traceparent").is_none());
        ids.push(id.to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

#[tokio::test]
async fn rejection_carries_the_request_id() {
    let rig = Rig::start().await;
    let request = rig.ingress.submit(&json!({})).header("x-request-id", "req-8");
    let answer = Answer::of(request).await;
    assert_eq!((answer.status, answer.header("x-request-id")), (400, Some("req-8")));
}

#[tokio::test]
async fn repeated_submission_is_accepted_and_changes_nothing() {
    let rig = Rig::start().await;
    let first = rig.ingress.submit(&submission("s1")).header("x-request-id", "first");
    assert_eq!(Answer::of(first).await.status, 202);
    let other = with("s1", "sourceCode", json!("print(2)"));
    let again = Answer::of(rig.ingress.submit(&other).header("x-request-id", "again")).await;
    assert_eq!((again.status, &again.body), (202, &accepted("s1", "again")));
    assert_eq!(rig.queue.count().await, 1);
    assert_eq!(rig.queue.event("s1").await.unwrap().source, "print(1)");
}

#[tokio::test]
async fn hundred_concurrent_repeats_store_one_submission() {
    let rig = Rig::start().await;
    let body = submission("s1");
    let answers = join_all((0..100).map(|_| rig.ingress.post(&body))).await;
    for answer in answers {
        let id = answer.header("x-request-id").unwrap();
        assert_eq!((answer.status, &answer.body), (202, &accepted("s1", id)));
    }
    assert_eq!(rig.queue.count().await, 1);
}

#[tokio::test]
async fn source_code_is_stored_unchanged() {
    let rig = Rig::start().await;
    let sources =
        ["", "a\r\nb\0c\u{7f}", "🦀 ünï\u{feff}\u{2028}", "\\u0041 \"quoted\"", &"é".repeat(100_000)];
    for (n, source) in sources.into_iter().enumerate() {
        let id = format!("s{n}");
        assert_eq!(rig.ingress.post(&with(&id, "sourceCode", json!(source))).await.status, 202, "{n}");
        assert!(rig.queue.event(&id).await.unwrap().source == source, "{n}");
    }
    // JSON escapes with a surrogate pair, and JavaScript's single number type.
    let text =
        r#" {"questionId":"q1","submissionId":"\u0073x","languageId":71.0,"sourceCode":"\ud83e\udd80"} "#;
    assert_eq!(rig.ingress.post_text(text).await.status, 202);
    assert_eq!(rig.queue.event("sx").await.unwrap().source, "🦀");
}

#[tokio::test]
async fn any_single_token_is_a_valid_id() {
    let rig = Rig::start().await;
    for id in ["k97abc123", "a/b:c-d_e$%{}", "ünï", &"i".repeat(128)] {
        let body = with(id, "questionId", json!(id));
        let answer = rig.ingress.post(&body).await;
        assert_eq!((answer.status, &answer.body["submissionId"]), (202, &json!(id)));
        assert_eq!(rig.queue.event(id).await.unwrap().submission.question_id.as_str(), id);
    }
}
