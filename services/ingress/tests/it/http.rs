//! HTTP: other paths and methods, bodies that are too large or too slow, clients that write before they read.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use futures::future::join_all;
use gavel_testkit::TEST_TIMEOUT;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::rig::{Answer, PATH, Rig, submission, with};
use crate::wire::Wire;

const MIB: usize = 1 << 20;

/// A valid submission of exactly `bytes` bytes, most of them white space.
fn padded(id: &str, bytes: usize) -> Vec<u8> {
    let mut body = submission(id).to_string().into_bytes();
    body.resize(bytes, b' ');
    body
}

#[tokio::test]
async fn body_larger_than_one_mebibyte_is_rejected() {
    let rig = Rig::start().await;
    assert_eq!(rig.ingress.post_text(padded("s1", MIB)).await.status, 202);
    for bytes in [MIB + 1, 3 * MIB] {
        let answer = rig.ingress.post_text(padded("s2", bytes)).await;
        assert_eq!((answer.status, &answer.body["status"]), (413, &json!("error")));
        assert!(answer.body["message"].is_string());
    }
    assert_eq!(rig.queue.count().await, 1);
}

#[tokio::test]
async fn chunked_body_is_limited_to_one_mebibyte() {
    let rig = Rig::start().await;
    for (id, bytes, status) in [("s1", MIB, 202), ("s2", MIB + 1, 413)] {
        let mut wire = Wire::connect(rig.ingress.process.address()).await;
        wire.head("POST", PATH, "content-type: application/json\r\ntransfer-encoding: chunked\r\n").await;
        for chunk in padded(id, bytes).chunks(100_000) {
            wire.write(format!("{:x}\r\n", chunk.len()).as_bytes()).await;
            wire.write(chunk).await;
            wire.write(b"\r\n").await;
        }
        wire.write(b"0\r\n\r\n").await;
        assert_eq!(wire.answer().await.0, status);
    }
    assert_eq!(rig.queue.count().await, 1);
}

/// A client that writes its whole body before it reads must not lose the response to a reset.
#[tokio::test]
async fn rejection_reaches_client_that_writes_its_whole_body_first() {
    let settings = [("INGRESS_KEYS", "the-key"), ("RATE_LIMIT_PER_S", "1"), ("RATE_LIMIT_BURST", "1")];
    let rig = Rig::with(&settings).await;
    let key = "x-code-exec-key: the-key\r\ncontent-type: application/json\r\n";
    let bodies = [
        ("POST", PATH, "", MIB - 1, 401),
        ("POST", "/v1/other", key, MIB - 1, 404),
        ("PUT", PATH, key, MIB - 1, 405),
        ("POST", "/healthz", key, MIB - 1, 405),
        ("POST", PATH, key, 8 * MIB, 413),
        ("POST", PATH, key, MIB - 1, 429),
    ];
    for (method, path, headers, bytes, status) in bodies {
        let mut wire = Wire::connect(rig.ingress.process.address()).await;
        wire.head(method, path, &format!("{headers}content-length: {bytes}\r\n")).await;
        assert!(wire.try_write(&vec![b' '; bytes]).await, "{method} {path} {status}: the body was not read");
        let (answer_status, body) = wire.answer().await;
        assert_eq!((answer_status, &body["status"]), (status, &json!("error")), "{method} {path}");
        assert!(body["message"].is_string());
    }
    assert_eq!(rig.queue.count().await, 0);
}

#[tokio::test]
async fn endless_body_is_not_read_to_the_end() {
    let rig = Rig::start().await;
    let mut wire = Wire::connect(rig.ingress.process.address()).await;
    wire.head("POST", PATH, "content-type: application/json\r\ncontent-length: 1000000000000\r\n").await;
    let piece = vec![b' '; MIB];
    let mut read = 0;
    while wire.try_write(&piece).await {
        read += 1;
        assert!(read < 100, "{read} MiB were read");
    }
    assert_eq!(rig.ingress.post(&submission("s1")).await.status, 202);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_rejected_with_json() {
    let rig = Rig::start().await;
    for path in ["/", "/v1", "/v1/judge-question/", "/v1/judge-question/x", "/metric", "/readyz/"] {
        let answer = rig.ingress.get(path).await;
        assert_eq!((answer.status, &answer.body["status"]), (404, &json!("error")), "{path}");
        assert!(answer.body["message"].is_string());
    }
    for (method, path) in [("GET", PATH), ("PUT", PATH), ("DELETE", PATH), ("POST", "/healthz")] {
        let answer = Answer::of(rig.ingress.request(method, path)).await;
        assert_eq!((answer.status, &answer.body["status"]), (405, &json!("error")), "{method} {path}");
        assert!(answer.header("allow").is_some(), "{method} {path}");
    }
    // The query is not part of the path.
    let query = rig.ingress.request("POST", "/v1/judge-question?x=1").json(&submission("s1"));
    assert_eq!(Answer::of(query).await.status, 202);
}

/// A web page can post other types to another site without asking it.
#[tokio::test]
async fn body_must_be_declared_as_json() {
    let rig = Rig::start().await;
    let text = submission("s1").to_string();
    let post = || rig.ingress.request("POST", PATH).body(text.clone());
    let types = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
    ];
    for request in types.map(|media| post().header("content-type", media)).into_iter().chain([post()]) {
        let answer = Answer::of(request).await;
        assert_eq!((answer.status, &answer.body["status"]), (415, &json!("error")));
    }
    assert_eq!(rig.queue.count().await, 0);
    for media in ["application/json", "Application/JSON; charset=utf-8"] {
        assert_eq!(Answer::of(post().header("content-type", media)).await.status, 202, "{media}");
    }
}

/// A client without a key cannot keep a connection: its answer comes although its body is not complete, and ends it.
#[tokio::test]
async fn client_without_a_key_is_disconnected_early() {
    let rig = Rig::with(&[("INGRESS_KEYS", "the-key")]).await;
    let mut wire = Wire::connect(rig.ingress.process.address()).await;
    wire.head("POST", PATH, "content-type: application/json\r\ncontent-length: 1000000\r\n").await;
    wire.write(b"{").await;
    let output = wire.end().await;
    assert!(output.starts_with("HTTP/1.1 401") && output.contains("connection: close"), "{output}");

    let piece = vec![b' '; MIB];
    let mut wire = Wire::connect(rig.ingress.process.address()).await;
    wire.head("POST", PATH, "content-length: 1000000000\r\n").await;
    let mut read = 0;
    while wire.try_write(&piece).await {
        read += 1;
        assert!(read < 20, "{read} MiB were read");
    }
}

#[tokio::test]
async fn slow_clients_time_out_and_do_not_delay_others() {
    let rig = Rig::start().await;
    let start = Instant::now();
    let address = rig.ingress.process.address();
    let silent = async {
        let mut wire = Wire::connect(address).await;
        wire.end().await
    };
    let slow_head = async || {
        let mut wire = Wire::connect(address).await;
        wire.write(b"POST /v1/judge-question HTTP/1.1\r\nhost: ga").await;
        wire.end().await
    };
    let slow_body = async {
        let mut wire = Wire::connect(address).await;
        wire.open_submission(1000).await;
        wire.write(b"{\"questionId\":").await;
        wire.answer().await
    };
    let many = join_all((0..300).map(|_| slow_head()));
    let quick = async {
        let began = Instant::now();
        assert_eq!(rig.ingress.post(&submission("s1")).await.status, 202);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    };
    let ((status, body), silent, many, ()) = tokio::join!(slow_body, silent, many, quick);
    assert_eq!((status, &body["status"]), (408, &json!("error")));
    assert_eq!(silent, "");
    assert!(
        many.iter().all(|output| output.is_empty() || output.starts_with("HTTP/1.1 408")),
        "{:?}",
        many[0]
    );
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(rig.queue.count().await, 1);
}

#[tokio::test]
async fn client_that_never_reads_is_disconnected() {
    let rig = Rig::start().await;
    let stream = TcpStream::connect(rig.ingress.process.address()).await.unwrap();
    let requests = "GET /nowhere HTTP/1.1\r\nhost: gavel\r\n\r\n".repeat(1000);
    let writing = async {
        loop {
            stream.writable().await.unwrap();
            match stream.try_write(requests.as_bytes()) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return error,
            }
        }
    };
    let error = tokio::time::timeout(TEST_TIMEOUT, writing).await.expect("the connection stays open");
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
}

#[tokio::test]
async fn oversized_request_head_is_rejected() {
    let rig = Rig::start().await;
    let of_bytes = |bytes: usize| {
        let (before, after) = ("GET /nowhere HTTP/1.1\r\nhost: gavel\r\nx-long: ", "\r\n\r\n");
        format!("{before}{}{after}", "a".repeat(bytes - before.len() - after.len()))
    };
    for (bytes, status) in [(16 << 10, 404), ((16 << 10) + 1, 431), (30_000, 431), (200_000, 431)] {
        let mut wire = Wire::connect(rig.ingress.process.address()).await;
        wire.try_write(of_bytes(bytes).as_bytes()).await;
        let output = wire.end().await;
        assert!(output.starts_with(&format!("HTTP/1.1 {status}")), "{output}");
    }
    assert_eq!(rig.ingress.post(&submission("s1")).await.status, 202);
}

#[tokio::test]
async fn incomplete_body_stores_nothing() {
    let rig = Rig::start().await;
    let body = with("s1", "extra", Value::Null).to_string();
    let mut wire = Wire::connect(rig.ingress.process.address()).await;
    wire.open_submission(body.len()).await;
    wire.write(&body.as_bytes()[..20]).await;
    drop(wire);
    assert_eq!(rig.ingress.post(&submission("s2")).await.status, 202);
    assert_eq!(rig.queue.count().await, 1);
}
