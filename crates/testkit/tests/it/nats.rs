//! The server: ready once started, the same after a restart, gone after the test.

use std::time::Duration;

use gavel_testkit::{NatsServer, TEST_TIMEOUT, nats};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// A minimal client: just enough of the protocol for requests.
struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects and returns the client and the server's INFO.
    async fn connect(server: &NatsServer) -> (Self, Value) {
        let stream = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
        let mut client = Self(BufReader::new(stream));
        let info = client.line().await;
        client.0.write_all(b"CONNECT {\"verbose\":false}\r\nSUB answers 1\r\n").await.unwrap();
        (client, serde_json::from_str(info.strip_prefix("INFO ").unwrap()).unwrap())
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line
    }

    async fn request(&mut self, subject: &str, body: &str) -> Value {
        let text = format!("PUB {subject} answers {}\r\n{body}\r\n", body.len());
        self.0.write_all(text.as_bytes()).await.unwrap();
        loop {
            let line = self.line().await;
            assert!(!line.is_empty() && !line.starts_with("-ERR"), "{line}");
            if line.starts_with("MSG") {
                return serde_json::from_str(&self.line().await).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn server_keeps_port_and_store_across_kill_and_stop() {
    let server = NatsServer::start().await;
    let (mut client, info) = Client::connect(&server).await;
    assert_eq!((&info["jetstream"], &info["max_payload"]), (&true.into(), &8_000_000.into()));
    let made = client.request("$JS.API.STREAM.CREATE.S", r#"{"name":"S","subjects":["s"]}"#).await;
    assert_eq!(made["config"]["name"], "S", "{made}");
    assert_eq!(client.request("s", "kept").await["seq"], 1);
    let url = server.url();

    server.kill().await.unwrap();
    assert!(TcpStream::connect(("127.0.0.1", server.port())).await.is_err());
    server.restart().await.unwrap();
    let (mut client, _) = Client::connect(&server).await;
    assert_eq!(client.request("s", "after the kill").await["seq"], 2);

    server.stop().await.unwrap();
    server.restart().await.unwrap();
    let (mut client, _) = Client::connect(&server).await;
    assert_eq!(client.request("$JS.API.STREAM.INFO.S", "").await["state"]["messages"], 2);
    assert_eq!(server.url(), url);
}

#[tokio::test]
async fn frozen_server_answers_only_after_thaw() {
    let server = NatsServer::start().await;
    let (mut client, _) = Client::connect(&server).await;
    server.freeze().unwrap();
    let asked = client.request("$JS.API.INFO", "");
    tokio::pin!(asked);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut asked).await.is_err());
    server.thaw().unwrap();
    let info = tokio::time::timeout(TEST_TIMEOUT, asked).await.unwrap();
    assert_eq!(info["streams"], 0);
}

#[tokio::test]
async fn builder_adds_configuration() {
    let builder = NatsServer::builder().sync_always().max_payload(1_000_000);
    let server = builder.config("http: \"127.0.0.1:-1\"\nwrite_deadline: \"3s\"").start().await;
    let (_, info) = Client::connect(&server).await;
    assert_eq!(info["max_payload"], 1_000_000);
    let log = server.process().log();
    assert!(log.iter().any(|line| line.contains("Starting http monitor")), "{log:?}");
}

#[tokio::test]
async fn servers_are_separate_and_leave_nothing_behind() {
    let (one, two) = tokio::join!(NatsServer::start(), NatsServer::start());
    assert_ne!((one.port(), one.store()), (two.port(), two.store()));
    let store = one.store();
    assert!(store.is_dir());
    let port = one.port();
    drop(one);
    assert!(!store.exists() && !store.parent().unwrap().exists());
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn bad_configuration_error_contains_server_log() {
    let error = NatsServer::builder().config("no_such_setting: 1").try_start().await.unwrap_err();
    assert!(matches!(error, nats::NatsError::NotReady(_)));
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}
