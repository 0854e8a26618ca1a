//! NATS as it is deployed: `deploy/nats/nats-server.conf` itself, with the keys that `gavel keys` makes and the
//! streams that `gavel streams` makes: what each role may do and may not do, and the whole pipeline on it.

mod injection;
mod permissions;
mod pipeline;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::{Client, ConnectOptions, Event, HeaderMap, ServerError};
use gavel_bus::topology::Stream;
use gavel_testkit::{NatsServer, Process, TEST_TIMEOUT};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The server as deployed, and its keys.
struct Deployed {
    server: NatsServer,
    keys: TempDir,
}

impl Deployed {
    /// A server with its streams.
    async fn start() -> Self {
        let deployed = Self::without_streams().await;
        let made = deployed.streams(&[]);
        assert_eq!(made.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
        deployed
    }

    async fn without_streams() -> Self {
        let keys = tempfile::tempdir().unwrap();
        let made =
            Process::builder(env!("CARGO_BIN_EXE_gavel")).arg("keys").arg(keys.path()).start().unwrap();
        assert_eq!(made.wait_exit(TEST_TIMEOUT).await.unwrap().code(), Some(0));
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/nats/nats-server.conf");
        let env = std::fs::read_to_string(keys.path().join("nats.env")).unwrap();
        let variables = env.lines().filter_map(|line| line.split_once('='));
        // The test server has its own address and store.
        let own = variables.filter(|(name, _)| !matches!(*name, "NATS_LISTEN" | "NATS_STORE_DIR"));
        let builder = NatsServer::builder().file(file);
        let server = own.fold(builder, |builder, (name, value)| builder.env(name, value)).start().await;
        Self { server, keys }
    }

    /// Runs `gavel streams` as the role that may make them.
    fn streams(&self, variables: &[(&str, &str)]) -> Process {
        Process::builder(env!("CARGO_BIN_EXE_gavel"))
            .arg("streams")
            .envs(self.variables("deploy"))
            .envs(variables.iter().copied())
            .start()
            .unwrap()
    }

    /// The environment of a service.
    fn variables(&self, role: &str) -> Vec<(String, String)> {
        let file = |name: &str| self.keys.path().join(name).to_str().unwrap().to_owned();
        [
            ("NATS_URL", self.url()),
            ("NATS_CA", file("ca.pem")),
            ("NATS_NKEY", file(&format!("{role}.nk"))),
            ("NATS_MAKE_STREAMS", "false".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    fn url(&self) -> String {
        format!("tls://127.0.0.1:{}", self.server.port())
    }

    /// Connects as a role, without `gavel_bus`.
    async fn as_role(&self, role: &str) -> Role {
        let seed = std::fs::read_to_string(self.keys.path().join(format!("{role}.nk"))).unwrap();
        let (refused, refusals) = unbounded_channel();
        let client = ConnectOptions::with_nkey(seed.trim().to_owned())
            .add_root_certificates(self.keys.path().join("ca.pem"))
            .custom_inbox_prefix(format!("_INBOX_{role}"))
            .event_callback(move |event| {
                let refused = refused.clone();
                async move {
                    if let Event::ServerError(ServerError::Other(text)) = event {
                        refused.send(text).unwrap();
                    }
                }
            })
            .connect(self.url())
            .await
            .unwrap();
        Role { client, refusals: Mutex::new(refusals), fences: AtomicU64::new(0) }
    }

    /// Whether a stream holds a message on this subject, read with the `ops` role.
    async fn holds(&self, stream: Stream, subject: &str) -> bool {
        let ops = self.as_role("ops").await.client;
        let asked = format!("$JS.API.DIRECT.GET.{}.{subject}", stream.name());
        let answer = ops.request(asked, "".into()).await.unwrap();
        answer.status.is_none()
    }
}

/// A connection that records permission violations.
struct Role {
    client: Client,
    refusals: Mutex<UnboundedReceiver<String>>,
    fences: AtomicU64,
}

impl Role {
    /// The permission violations since the last call. The server reports them in order, and the last publish here is
    /// always a violation, so the list is complete.
    async fn refused(&self) -> Vec<String> {
        let fence = format!("\"fence.{}\"", self.fences.fetch_add(1, Ordering::Relaxed));
        self.client.publish(fence.trim_matches('"').to_owned(), "".into()).await.unwrap();
        let mut refusals = self.refusals.lock().await;
        let mut seen = Vec::new();
        loop {
            let refusal = tokio::time::timeout(TEST_TIMEOUT, refusals.recv()).await.unwrap().unwrap();
            if refusal.contains(&fence) {
                return seen;
            }
            seen.push(refusal);
        }
    }

    async fn may_publish(&self, subject: &str) -> bool {
        self.client.publish(subject.to_owned(), "".into()).await.unwrap();
        self.is_granted(subject).await
    }

    async fn may_subscribe(&self, subject: &str) -> bool {
        let subscriber = self.client.subscribe(subject.to_owned()).await.unwrap();
        let is_granted = self.is_granted(subject).await;
        drop(subscriber);
        is_granted
    }

    async fn is_granted(&self, subject: &str) -> bool {
        let refused = self.refused().await;
        let about = |text: &String| text.contains(&format!("\"{subject}\""));
        assert!(refused.iter().all(about), "{subject}: {refused:?}");
        refused.is_empty()
    }
}

fn header(name: &str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(name, value);
    headers
}
