//! 401 and 429: who may submit, and how often.

use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use crate::rig::{Answer, Rig, submission};

const KEYS: &[(&str, &str)] = &[("INGRESS_KEYS", "first-key, second-key")];

#[tokio::test]
async fn without_a_key_of_ours_nothing_is_taken() {
    let rig = Rig::with(KEYS).await;
    let request = || rig.ingress.submit(&submission("s1"));
    let refused = [
        request(),
        request().header("authorization", "Bearer wrong"),
        request().header("authorization", "Bearer first-ke"),
        request().header("authorization", "Bearer first-key2"),
        request().header("authorization", "Bearer "),
        request().header("authorization", "Bearer first-key,second-key"),
        request().header("authorization", "first-key"),
        request().header("authorization", "Basic first-key"),
        request().header("authorization", HeaderValue::from_bytes(b"Bearer \xff").unwrap()),
        request().header("x-code-exec-key", ""),
        request().header("x-code-exec-key", "wrong"),
        // What is wrong besides is nobody's business.
        rig.ingress.submit(&json!({})),
    ];
    for request in refused {
        let answer = Answer::of(request).await;
        assert_eq!((answer.status, &answer.body["status"]), (401, &json!("error")));
        assert!(answer.body["message"].is_string() && answer.body["details"] == Value::Null, "{answer:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert!(answer.header("x-request-id").is_some());
    }
    assert_eq!(rig.queue.count().await, 0);
}

#[tokio::test]
async fn each_key_opens_in_either_header() {
    let rig = Rig::with(KEYS).await;
    let headers = [
        ("authorization", "Bearer first-key"),
        ("authorization", "bearer second-key"),
        ("authorization", "BEARER  second-key"),
        ("x-code-exec-key", "first-key"),
        ("X-Code-Exec-Key", "second-key"),
    ];
    for (n, (name, value)) in headers.into_iter().enumerate() {
        let request = rig.ingress.submit(&submission(&format!("s{n}"))).header(name, value);
        assert_eq!(Answer::of(request).await.status, 202, "{name}: {value}");
    }
    // A gateway in between may use the one header for itself.
    let both = rig.ingress.submit(&submission("both")).header("authorization", "Bearer a-gateway's");
    assert_eq!(Answer::of(both.header("x-code-exec-key", "first-key")).await.status, 202);
    assert_eq!(rig.queue.count().await, 6);
    assert_eq!(rig.ingress.get("/healthz").await.status, 200, "health needs no key");
}

#[tokio::test]
async fn a_rate_limit_is_each_keys_own() {
    let rig = Rig::with(&[KEYS[0], ("RATE_LIMIT_PER_S", "1"), ("RATE_LIMIT_BURST", "3")]).await;
    let send = async |id: &str, key: &str| {
        Answer::of(rig.ingress.submit(&submission(id)).header("x-code-exec-key", key)).await
    };
    // More than a slow machine can make good for at one a second.
    let mut refused = Vec::new();
    for n in 0..30 {
        let answer = send(&format!("s{n}"), "first-key").await;
        match answer.status {
            202 => {}
            429 => refused.push((n, answer)),
            other => panic!("{other}"),
        }
    }
    assert!(refused.len() >= 20, "{} of 30", refused.len());
    for (n, answer) in refused {
        assert_eq!((&answer.body["status"], answer.body["message"].is_string()), (&json!("error"), true));
        assert!((1..=2).contains(&answer.retry_after()), "{}", answer.retry_after());
        assert!(rig.queue.message(&format!("s{n}")).await.is_none());
    }
    assert_eq!(send("other", "second-key").await.status, 202);
    assert_eq!(send("nobody", "wrong").await.status, 401);
}

#[tokio::test]
async fn without_keys_all_share_one_rate() {
    let rig = Rig::with(&[("RATE_LIMIT_PER_S", "1"), ("RATE_LIMIT_BURST", "1")]).await;
    let mut statuses = Vec::new();
    for n in 0..10 {
        statuses.push(rig.ingress.post(&submission(&format!("s{n}"))).await.status);
    }
    assert_eq!(statuses[0], 202);
    assert!(statuses.contains(&429), "{statuses:?}");
    let taken = statuses.iter().filter(|status| **status == 202).count() as u64;
    assert_eq!(rig.queue.count().await, taken);
}

#[tokio::test]
async fn all_keys_together_have_a_rate_too() {
    let settings = [KEYS[0], ("RATE_LIMIT_ALL_PER_S", "1"), ("RATE_LIMIT_BURST", "2")];
    let rig = Rig::with(&settings).await;
    let mut statuses = Vec::new();
    for n in 0..20 {
        let key = ["first-key", "second-key"][n % 2];
        let request = rig.ingress.submit(&submission(&format!("s{n}"))).header("x-code-exec-key", key);
        statuses.push(Answer::of(request).await.status);
    }
    assert_eq!(statuses[..2], [202, 202]);
    let taken = statuses.iter().filter(|status| **status == 202).count() as u64;
    assert!(taken < 15 && statuses.iter().all(|status| [202, 429].contains(status)), "{statuses:?}");
    assert_eq!(rig.queue.count().await, taken);
}
