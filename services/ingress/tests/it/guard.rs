//! 401 and 429: keys and rate limits.

use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use crate::rig::{Answer, Ingress, Rig, binary, submission};

const KEYS: &[(&str, &str)] = &[("INGRESS_KEYS", "first-key, second-key")];

#[tokio::test]
async fn request_without_valid_key_is_denied() {
    let rig = Rig::with(KEYS).await;
    let request = || rig.ingress.submit(&submission("s1"));
    let requests = [
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
        // The caller learns nothing about other problems.
        rig.ingress.submit(&json!({})),
    ];
    for request in requests {
        let answer = Answer::of(request).await;
        assert_eq!((answer.status, &answer.body["status"]), (401, &json!("error")));
        assert!(answer.body["message"].is_string() && answer.body["details"] == Value::Null, "{answer:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert!(answer.header("x-request-id").is_some());
    }
    assert_eq!(rig.queue.count().await, 0);
}

#[tokio::test]
async fn each_key_is_accepted_in_either_header() {
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
    // A gateway in between may use one of the headers for itself.
    let both = rig.ingress.submit(&submission("both")).header("authorization", "Bearer a-gateway's");
    assert_eq!(Answer::of(both.header("x-code-exec-key", "first-key")).await.status, 202);
    assert_eq!(rig.queue.count().await, 6);
    assert_eq!(rig.ingress.get("/healthz").await.status, 200, "health needs no key");
}

/// The steps of an operator who replaces a key: each is a restart with other `INGRESS_KEYS`.
#[tokio::test]
async fn rotated_key_is_refused_only_after_the_last_step() {
    let rig = Rig::start().await;
    let steps = [("old-key", 202, 401), ("old-key,new-key", 202, 202), ("new-key", 401, 202)];
    for (step, (keys, with_old, with_new)) in steps.into_iter().enumerate() {
        let ingress = Ingress::start(binary(&rig.nats.url()).env("INGRESS_KEYS", keys)).await;
        ingress.process.wait_ready().await;
        for (key, expected) in [("old-key", with_old), ("new-key", with_new)] {
            let request = ingress.submit(&submission(&format!("{key}-{step}"))).bearer_auth(key);
            assert_eq!(Answer::of(request).await.status, expected, "{key} with INGRESS_KEYS={keys}");
        }
    }
    assert_eq!(rig.queue.count().await, 4);
}

#[tokio::test]
async fn rate_limit_applies_per_key() {
    let rig = Rig::with(&[KEYS[0], ("RATE_LIMIT_PER_S", "1"), ("RATE_LIMIT_BURST", "3")]).await;
    let send = async |id: &str, key: &str| {
        Answer::of(rig.ingress.submit(&submission(id)).header("x-code-exec-key", key)).await
    };
    // More than the limit of one per second allows, even on a slow machine.
    let mut rejected = Vec::new();
    for n in 0..30 {
        let answer = send(&format!("s{n}"), "first-key").await;
        match answer.status {
            202 => {}
            429 => rejected.push((n, answer)),
            other => panic!("{other}"),
        }
    }
    assert!(rejected.len() >= 20, "{} of 30", rejected.len());
    for (n, answer) in rejected {
        assert_eq!((&answer.body["status"], answer.body["message"].is_string()), (&json!("error"), true));
        assert!((1..=2).contains(&answer.retry_after()), "{}", answer.retry_after());
        assert!(rig.queue.message(&format!("s{n}")).await.is_none());
    }
    assert_eq!(send("other", "second-key").await.status, 202);
    assert_eq!(send("unknown", "wrong").await.status, 401);
}

#[tokio::test]
async fn callers_without_keys_share_one_rate_limit() {
    let rig = Rig::with(&[("RATE_LIMIT_PER_S", "1"), ("RATE_LIMIT_BURST", "1")]).await;
    let mut statuses = Vec::new();
    for n in 0..10 {
        statuses.push(rig.ingress.post(&submission(&format!("s{n}"))).await.status);
    }
    assert_eq!(statuses[0], 202);
    assert!(statuses.contains(&429), "{statuses:?}");
    let accepted = statuses.iter().filter(|status| **status == 202).count() as u64;
    assert_eq!(rig.queue.count().await, accepted);
}

#[tokio::test]
async fn total_rate_limit_applies_to_all_keys() {
    let settings = [KEYS[0], ("RATE_LIMIT_ALL_PER_S", "1"), ("RATE_LIMIT_BURST", "2")];
    let rig = Rig::with(&settings).await;
    let mut statuses = Vec::new();
    for n in 0..20 {
        let key = ["first-key", "second-key"][n % 2];
        let request = rig.ingress.submit(&submission(&format!("s{n}"))).header("x-code-exec-key", key);
        statuses.push(Answer::of(request).await.status);
    }
    assert_eq!(statuses[..2], [202, 202]);
    let accepted = statuses.iter().filter(|status| **status == 202).count() as u64;
    assert!(accepted < 15 && statuses.iter().all(|status| [202, 429].contains(status)), "{statuses:?}");
    assert_eq!(rig.queue.count().await, accepted);
}
