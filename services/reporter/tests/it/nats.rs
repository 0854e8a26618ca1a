//! Just enough of the NATS protocol for what no service of ours does: sending garbage, asking the server how far
//! a consumer is, deleting one.

use std::io;

use gavel_testkit::NatsServer;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// Sends a request on a connection of its own and returns the answer.
pub(crate) async fn request(server: &NatsServer, subject: &str, body: &[u8]) -> io::Result<Value> {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", server.port())).await?);
    let inbox = format!("answers.{}", stream.get_ref().local_addr()?.port());
    let mut text = format!("CONNECT {{\"verbose\":false}}\r\nSUB {inbox} 1\r\n").into_bytes();
    text.extend(format!("PUB {subject} {inbox} {}\r\n", body.len()).bytes());
    text.extend(body);
    text.extend(b"\r\n");
    stream.write_all(&text).await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 || line.starts_with("-ERR") {
            return Err(io::Error::other(format!("no answer from NATS: {line:?}")));
        }
        if line.starts_with("MSG") {
            line.clear();
            stream.read_line(&mut line).await?;
            return serde_json::from_str(&line).map_err(io::Error::other);
        }
    }
}

/// Stores any bytes on a subject.
pub(crate) async fn store(server: &NatsServer, subject: &str, payload: &[u8]) {
    let answer = request(server, subject, payload).await.unwrap();
    assert!(answer["seq"].is_u64(), "{answer}");
}

/// How many messages fit the pattern, which names subjects of the stream of results.
pub(crate) async fn count(server: &NatsServer, pattern: &str) -> usize {
    let body = format!(r#"{{"subjects_filter":"{pattern}"}}"#);
    let answer = request(server, "$JS.API.STREAM.INFO.SUB_RESULT", body.as_bytes()).await;
    // The server may be away, or not ready yet.
    answer.ok().and_then(|info| Some(info["state"]["subjects"].as_object()?.len())).unwrap_or(0)
}

/// Whether the consumer has delivered everything, and everything is acknowledged.
pub(crate) async fn is_idle(server: &NatsServer, durable: &str) -> bool {
    let subject = format!("$JS.API.CONSUMER.INFO.SUB_RESULT.{durable}");
    let Ok(info) = request(server, &subject, b"").await else { return false };
    info["num_pending"] == 0 && info["num_ack_pending"] == 0
}

/// Deletes a consumer, and with it the memory of what was acknowledged.
pub(crate) async fn forget(server: &NatsServer, durable: &str) {
    let subject = format!("$JS.API.CONSUMER.DELETE.SUB_RESULT.{durable}");
    assert_eq!(request(server, &subject, b"").await.unwrap()["success"], true);
}
