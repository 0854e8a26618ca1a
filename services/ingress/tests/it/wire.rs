//! A client that does what HTTP libraries would not: it stops in the middle, and writes before it reads.

use std::net::SocketAddr;

use gavel_testkit::TEST_TIMEOUT;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::rig::PATH;

/// One connection.
pub(crate) struct Wire(BufReader<TcpStream>);

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    /// The head of a request, `headers` with their line ends.
    pub(crate) async fn head(&mut self, method: &str, path: &str, headers: &str) {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: gavel\r\n{headers}\r\n");
        self.write(head.as_bytes()).await;
    }

    /// The head of a submission whose body the server has asked for: it waits in the handler now.
    pub(crate) async fn open_submission(&mut self, body_bytes: usize) {
        let headers = format!("content-length: {body_bytes}\r\nexpect: 100-continue\r\n");
        self.head("POST", PATH, &headers).await;
        assert_eq!(self.line().await, "HTTP/1.1 100 Continue");
        assert_eq!(self.line().await, "");
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }

    /// Writes, though the other side may have stopped to listen; whether all was taken.
    pub(crate) async fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.0.get_mut().write_all(bytes).await.is_ok()
    }

    /// The next answer: status, and body as JSON.
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

    /// Waits until the server ends the connection; what it said before.
    pub(crate) async fn end(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ =
            timeout(TEST_TIMEOUT, self.0.read_to_end(&mut rest)).await.expect("the connection stays open");
        String::from_utf8(rest).unwrap()
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(TEST_TIMEOUT, self.0.read_line(&mut line)).await.expect("no line in time").unwrap();
        line.trim_end().to_owned()
    }
}
