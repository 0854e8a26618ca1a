//! 400: all issues are reported together, and nothing is stored.

use serde_json::{Value, json};

use crate::rig::{Answer, Rig, issues, submission, with};

const STRING: &str = "expected a string";
const REQUIRED: &str = "required";
const TOKEN: &str = "must not contain white space, control characters, invisible characters, '.', '*' or '>'";
const INTEGER: &str = "expected an integer greater than 0";

fn assert_rejected(answer: &Answer, id: &str, expected: &[(&str, &str)]) {
    assert_eq!(answer.status, 400, "{answer:?}");
    let list = expected.iter().map(|(path, message)| json!({ "path": [path], "message": message }));
    let body = json!({
        "status": "error",
        "submissionId": id,
        "message": "Invalid request body",
        "details": { "issues": list.collect::<Vec<_>>() },
    });
    assert_eq!(answer.body, body);
}

#[tokio::test]
async fn every_field_is_validated() {
    let rig = Rig::start().await;
    let fields = ["questionId", "submissionId", "languageId", "sourceCode"];
    for field in fields {
        let mut body = submission("s1");
        body.as_object_mut().unwrap().remove(field);
        let id = if field == "submissionId" { "" } else { "s1" };
        assert_rejected(&rig.ingress.post(&body).await, id, &[(field, REQUIRED)]);
        for wrong in [Value::Null, json!(true), json!([]), json!({ "a": 1 })] {
            let message = if field == "languageId" { INTEGER } else { STRING };
            assert_rejected(&rig.ingress.post(&with("s1", field, wrong)).await, id, &[(field, message)]);
        }
    }
    for wrong in [json!("71"), json!(0), json!(-71), json!(71.5), json!(4_294_967_296_u64), json!(1e300)] {
        assert_rejected(
            &rig.ingress.post(&with("s1", "languageId", wrong)).await,
            "s1",
            &[("languageId", INTEGER)],
        );
    }
    for wrong in [Value::Null, json!(""), json!("Standard"), json!(1)] {
        let message = "expected \"standard\" or \"personalized\"";
        let answer = rig.ingress.post(&with("s1", "submissionKind", wrong)).await;
        assert_rejected(&answer, "s1", &[("submissionKind", message)]);
    }
    assert_rejected(
        &rig.ingress.post(&with("s1", "userId", Value::Null)).await,
        "s1",
        &[("userId", "unrecognized key")],
    );
    assert_eq!(rig.queue.count().await, 0);
}

#[tokio::test]
async fn id_must_be_a_single_token() {
    let rig = Rig::start().await;
    let long = "x".repeat(129);
    let bad = [
        ("", "must not be empty"),
        (long.as_str(), "must be at most 128 bytes"),
        ("a b", TOKEN),
        ("a.b", TOKEN),
        ("*", TOKEN),
        (">", TOKEN),
        ("a\n", TOKEN),
        ("a\0", TOKEN),
        ("a\u{7f}", TOKEN),
        ("a\u{a0}b", TOKEN),
        ("a\u{200b}b", TOKEN),
        ("\u{202e}a", TOKEN),
        ("a\u{e0041}", TOKEN),
    ];
    for (id, message) in bad {
        assert_rejected(&rig.ingress.post(&submission(id)).await, id, &[("submissionId", message)]);
        let answer = rig.ingress.post(&with("s1", "questionId", json!(id))).await;
        assert_rejected(&answer, "s1", &[("questionId", message)]);
    }
    assert_eq!(rig.queue.count().await, 0);
}

#[tokio::test]
async fn all_issues_are_reported_together() {
    let rig = Rig::start().await;
    let body = json!({ "submissionId": "a.b", "languageId": "71", "submissionKind": 1, "x": 1, "y": 2 });
    assert_rejected(
        &rig.ingress.post(&body).await,
        "a.b",
        &[
            ("questionId", REQUIRED),
            ("submissionId", TOKEN),
            ("languageId", INTEGER),
            ("sourceCode", REQUIRED),
            ("submissionKind", "expected \"standard\" or \"personalized\""),
            ("x", "unrecognized key"),
            ("y", "unrecognized key"),
        ],
    );
    let body = with("s1", "sourceCode", json!("x".repeat(200_001)));
    let mut body = body.as_object().unwrap().clone();
    body.remove("questionId");
    let answer = rig.ingress.post(&Value::Object(body)).await;
    assert_rejected(&answer, "s1", &[("questionId", REQUIRED), ("sourceCode", "exceeds MAX_SOURCE_BYTES")]);
    assert_eq!(rig.queue.count().await, 0);
}

#[tokio::test]
async fn duplicate_key_is_rejected() {
    let rig = Rig::start().await;
    let text =
        r#"{"questionId":"q1","submissionId":"s1","languageId":71,"sourceCode":"a","source\u0043ode":"b"}"#;
    assert_rejected(&rig.ingress.post_text(text).await, "s1", &[("sourceCode", "duplicate key")]);
    let quoted = with("s2", "sourceCode", json!(r#"","sourceCode":"x","languageId":1"#));
    assert_eq!(rig.ingress.post(&quoted).await.status, 202);
    assert_eq!(rig.queue.count().await, 1);
}

/// What a caller sent is repeated with its value, but no terminal that shows the answer is deceived.
#[tokio::test]
async fn invisible_characters_are_escaped_in_answers() {
    let rig = Rig::start().await;
    let request = rig.ingress.submit(&with("a\u{202e}b", "x\u{200b}", json!(1)));
    let text = request.send().await.unwrap().text().await.unwrap();
    assert!(text.is_ascii() && text.contains(r"a\u202eb") && text.contains(r"x\u200b"), "{text}");
}

#[tokio::test]
async fn body_that_is_not_a_json_object_is_rejected() {
    let rig = Rig::start().await;
    let surrogate = r#"{"questionId":"q1","submissionId":"s1","languageId":71,"sourceCode":"\ud800"}"#;
    let answer = rig.ingress.post_text(surrogate).await;
    assert_eq!((answer.status, &answer.body["submissionId"]), (400, &json!("s1")));
    assert_eq!(issues(&answer).keys().collect::<Vec<_>>(), ["[]"]);
    let deep = "[".repeat(100_000);
    let texts = ["", " ", "null", "1", "\"s\"", "[]", "[{}]", "{", "{\"a\":}", "{} {}", "<html>", &deep];
    let bytes = [&b"\xff\xfe{}"[..], b"{\"submissionId\":\"\xc3\x28\"}", b"\0"];
    for body in texts.into_iter().map(str::as_bytes).chain(bytes) {
        let answer = rig.ingress.post_text(body.to_vec()).await;
        let text = String::from_utf8_lossy(&body[..body.len().min(80)]);
        assert_eq!((answer.status, &answer.body["message"]), (400, &json!("Invalid request body")), "{text}");
        assert_eq!((&answer.body["status"], &answer.body["submissionId"]), (&json!("error"), &json!("")));
        assert_eq!(issues(&answer).keys().collect::<Vec<_>>(), ["[]"], "{text}");
    }
    assert_eq!(rig.queue.count().await, 0);
}

#[tokio::test]
async fn source_size_is_measured_in_bytes() {
    let rig = Rig::with(&[("MAX_SOURCE_BYTES", "1000")]).await;
    for at_limit in ["x".repeat(1000), "🦀".repeat(250)] {
        let id = format!("s{}", at_limit.len() - at_limit.chars().count());
        assert_eq!(rig.ingress.post(&with(&id, "sourceCode", json!(at_limit))).await.status, 202);
    }
    for over in ["x".repeat(1001), "🦀".repeat(251), "é".repeat(501)] {
        let answer = rig.ingress.post(&with("big", "sourceCode", json!(over))).await;
        let body = json!({
            "status": "error",
            "submissionId": "big",
            "message": "sourceCode exceeds MAX_SOURCE_BYTES",
            "details": { "maxBytes": 1000 },
        });
        assert_eq!((answer.status, &answer.body), (400, &body));
    }
    assert_eq!(rig.queue.count().await, 2);
}

#[tokio::test]
async fn source_whose_escapes_exceed_the_body_limit_gets_the_reason() {
    let rig = Rig::start().await;
    // As JSON.stringify writes them: line feeds with two bytes, other control characters with six.
    let lines = json!("\n".repeat(200_000));
    assert_eq!(rig.ingress.post(&with("s1", "sourceCode", lines)).await.status, 202);
    let answer = rig.ingress.post(&with("s2", "sourceCode", json!("\u{1}".repeat(200_000)))).await;
    let message = answer.body["message"].as_str().unwrap();
    assert_eq!(answer.status, 413);
    assert!(
        message.starts_with("The request body exceeds 1 MiB") && message.contains("six bytes"),
        "{message}"
    );
    assert_eq!(rig.queue.count().await, 1);
}

#[tokio::test]
async fn default_source_limit_matches_the_contract() {
    let rig = Rig::start().await;
    let answer = rig.ingress.post(&with("s1", "sourceCode", json!("x".repeat(200_001)))).await;
    assert_eq!((answer.status, &answer.body["details"]), (400, &json!({ "maxBytes": 200_000 })));
    assert_eq!(rig.ingress.post(&with("s1", "sourceCode", json!("x".repeat(200_000)))).await.status, 202);
}
