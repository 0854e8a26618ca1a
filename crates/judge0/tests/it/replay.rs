//! A server that answers each call with a recorded response, byte for byte.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use gavel_judge0::{Judge0Client, Judge0Config};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// All recordings by name.
pub(crate) fn all() -> BTreeMap<String, Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|it| it == "json"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap())
    };
    files.map(read).collect()
}

/// The recorded response as it went over the wire, with `body` instead of the recorded body if it is given.
pub(crate) fn response(exchange: &Value, body: Option<&Value>) -> Vec<u8> {
    let response = &exchange["response"];
    let body = match body.unwrap_or(&response["body"]) {
        Value::Null => response["body_text"].as_str().unwrap_or_default().to_owned(),
        body => body.to_string(),
    };
    let mut head = format!("{}\r\n", response["status_line"].as_str().unwrap());
    for (name, value) in response["headers"].as_object().unwrap() {
        if name != "Content-Length" {
            write!(head, "{name}: {}\r\n", value.as_str().unwrap()).unwrap();
        }
    }
    format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

/// A client whose calls are all answered with `response`.
pub(crate) async fn client(response: Vec<u8>) -> Judge0Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, response.clone()));
        }
    });
    let timeout = Duration::from_secs(10);
    Judge0Client::new(&Judge0Config { base_url, api_key: None, headers: Vec::new(), timeout, window: 4 })
        .unwrap()
}

async fn answer(mut stream: TcpStream, response: Vec<u8>) {
    let mut request = Vec::new();
    loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.unwrap_or(0);
        request.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if read == 0 {
                return;
            }
            continue;
        };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        if read == 0 || body.len() >= length.unwrap_or(0) {
            break;
        }
    }
    let _ = stream.write_all(&response).await;
    let _ = stream.shutdown().await;
}
