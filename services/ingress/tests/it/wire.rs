//! A client that does what HTTP libraries would not do: it stops halfway, and writes before it reads.

use std::net::SocketAddr;

use gavel_testkit::TEST_TIMEOUT;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::rig::PATH;

/// A connection to the ingress.
pub(crate) struct Wire(BufReader<TcpStream>);

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    /// Writes the head of a request; each of `headers` ends with CRLF.
    pub(crate) async fn head(&mut self, method: &str, path: &str, headers: &str) {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: gavel\r\n{headers}\r\n");
        self.write(head.as_bytes()).await;
    }

    /// Writes the head of a submission and waits until the server asks for the body: now the request waits in the handler.
    pub(crate) async fn open_submission(&mut self, body_bytes: usize) {
        let headers = format!(
            "content-type: application/json\r\ncontent-length: {body_bytes}\r\nexpect: 100-continue\r\n"
        );
        self.head("POST", PATH, &headers).await;
        assert_eq!(self.line().await, "HTTP/1.1 100 Continue");
        assert_eq!(self.line().await, "");
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }

    /// Writes to a peer that may have closed the connection. Returns whether everything was written.
    pub(crate) async fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.0.get_mut().write_all(bytes).await.is_ok()
    }

    /// Reads the next response. Returns its status and its body as JSON.
    pub(crate) async fn answer(&mut self) -> (u16, Value) {
        let status = self.line().await;
        let status = status.split(' ').nth(1).unwrap_or_else(|| panic!("{status:?}")).parse().unwrap();
        let mut length = 0;
        loop {
            let line = self.line().await.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        timeout(TEST_TIMEOUT, self.0.read_exact(&mut body)).await.unwrap().unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// Waits until the server closes the connection. Returns what it sent before.
    pub(crate) async fn end(&mut self) -> String {
        let mut output = Vec::new();
        // A reset closes it, too.
        let _ =
            timeout(TEST_TIMEOUT, self.0.read_to_end(&mut output)).await.expect("the connection stays open");
        String::from_utf8(output).unwrap()
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(TEST_TIMEOUT, self.0.read_line(&mut line)).await.expect("no line in time").unwrap();
        line.trim_end().to_owned()
    }
}
