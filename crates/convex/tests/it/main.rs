//! The bytes of a call to Convex, and what each response to it means.
#![expect(clippy::unwrap_used, reason = "a test")]

mod breaker;
mod responses;

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gavel_convex::{CallPermits, Convex, ConvexConfig, callback_id};
use gavel_domain::{Secret, SubmissionId, SubmissionKind};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Keys of 24 bytes, in base64.
const OLD: &str = "b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQt";
const NEW: &str = "bmV3LW5ldy1uZXctbmV3LW5ldy1uZXct";

/// Answers one request with success, and returns its head and its body.
async fn answer_one(listener: &TcpListener) -> (String, Vec<u8>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let head = end.map(|at| String::from_utf8(bytes[..at].to_vec()).unwrap().to_ascii_lowercase());
        if let Some((head, at)) = head.zip(end) {
            let length: usize = header(&head, "content-length").unwrap().parse().unwrap();
            if bytes.len() == at + 4 + length {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"ok\":true}")
                    .await
                    .unwrap();
                let head = String::from_utf8(bytes[..at].to_vec()).unwrap();
                return (head, bytes[at + 4..].to_vec());
            }
        }
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the request is incomplete");
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

async fn call(config: ConvexConfig, listener: &TcpListener) -> (String, Vec<u8>) {
    let convex = Convex::new(&config).unwrap();
    let id = SubmissionId::new("k97").unwrap();
    let callback = callback_id("running", "k97");
    let permit = convex.acquire_permit().await.unwrap();
    let calling = convex.notify_running(
        &permit,
        &id,
        SubmissionKind::Standard,
        &callback,
        None,
        Duration::from_secs(30),
    );
    let (called, request) = tokio::join!(calling, answer_one(listener));
    called.unwrap();
    request
}

async fn config(token: Option<&str>, secrets: &[&str]) -> (ConvexConfig, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = ConvexConfig {
        site_url: format!("http://{}", listener.local_addr().unwrap()),
        timeout: Duration::from_secs(30),
        permits: CallPermits::new(1),
        token: token.map(Secret::new),
        signing_secrets: secrets.iter().map(|secret| Secret::new(format!("whsec_{secret}"))).collect(),
    };
    (config, listener)
}

#[tokio::test]
async fn call_carries_the_token_and_a_signature_of_each_secret() {
    let (config, listener) = config(Some("the-token"), &[NEW, OLD]).await;
    let shown = format!("{config:?}");
    assert!(![NEW, OLD, "the-token"].iter().any(|secret| shown.contains(secret)), "{shown}");
    let (head, body) = call(config, &listener).await;
    assert_eq!(body, br#"{"submissionId":"k97"}"#);
    assert_eq!(header(&head, "authorization"), Some("Bearer the-token"));
    let (id, at) = (header(&head, "webhook-id").unwrap(), header(&head, "webhook-timestamp").unwrap());
    assert_eq!(id, "running-k97");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(at.parse().unwrap()) < 60, "{at}");
    // Computed as a receiver does it: over the id, the time and the bytes of the body.
    let expected = [NEW, OLD].map(|secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(secret).unwrap()).unwrap();
        mac.update(&[id.as_bytes(), b".", at.as_bytes(), b".", &body].concat());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    });
    assert_eq!(header(&head, "webhook-signature"), Some(expected.join(" ").as_str()));
}

#[tokio::test]
async fn call_without_token_and_secrets_carries_its_id_only() {
    let (config, listener) = config(None, &[]).await;
    let (head, _) = call(config, &listener).await;
    assert_eq!(header(&head, "webhook-id"), Some("running-k97"));
    for name in ["authorization", "webhook-timestamp", "webhook-signature"] {
        assert_eq!(header(&head, name), None, "{name}");
    }
}

#[tokio::test]
async fn invalid_config_errors_name_the_variable_but_not_its_value() {
    let with = async |change: fn(&mut ConvexConfig)| {
        let (mut config, _) = config(None, &[]).await;
        change(&mut config);
        Convex::new(&config).err().unwrap().to_string()
    };
    let texts = [
        with(|config| config.token = Some(Secret::new("a-secret\n"))).await,
        with(|config| config.signing_secrets = vec![Secret::new("a-secret")]).await,
        with(|config| config.site_url = "https://u:a-secret@convex.site".to_owned()).await,
    ];
    for (text, name) in texts.iter().zip(["CONVEX_TOKEN", "CONVEX_SIGNING_SECRETS", "CONVEX_SITE_URL"]) {
        assert!(text.contains(name) && !text.contains("a-secret"), "{text}");
    }
}
