//! A console on a server with streams, and clients of it.

use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use gavel_bus::topology::TopologySettings;
use gavel_bus::{Bus, NatsConfig};
use gavel_console::{Config, Console as Served};
use gavel_domain::Secret;
use gavel_domain::event::{DeadLetter, Judged, Stage};
use gavel_domain::{Status, Verdict};
use gavel_proto::WireEvent as _;
use gavel_testkit::fixtures::{judged, queued, ready, reported, running};
use gavel_testkit::{TEST_TIMEOUT, fixtures, wait_until};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(crate) const KEY: &str = "a key of the console";

/// A server with streams.
pub(crate) struct Rig(pub(crate) gavel_testkit::Rig);

impl Deref for Rig {
    type Target = gavel_testkit::Rig;

    fn deref(&self) -> &gavel_testkit::Rig {
        &self.0
    }
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self(gavel_testkit::Rig::start().await)
    }

    /// A console with a key, on this server.
    pub(crate) async fn console(&self) -> Console {
        let console = Console::start(&self.nats.url(), Some(KEY)).await;
        tokio::time::timeout(TEST_TIMEOUT, console.bus.connection().wait_connected()).await.unwrap();
        console
    }

    /// Publishes all events of a submission up to its report.
    pub(crate) async fn whole(&self, key: &str, verdict: Verdict) {
        let status = verdict.status;
        self.publish(&queued(key)).await;
        self.publish(&ready(key)).await;
        self.publish(&running(key)).await;
        self.publish(&judged(key, verdict)).await;
        self.publish(&reported(key, status)).await;
    }

    /// Publishes a dead letter about a verdict that could not be reported.
    pub(crate) async fn dead(&self, key: &str, cause: &str) {
        let judged: Judged = judged(key, fixtures::passed());
        self.publish(&judged).await;
        let dead_letter = DeadLetter {
            key: key.to_owned(),
            stage: Stage::Reporter,
            cause: cause.to_owned(),
            attempts: 1,
            stored_at_ms: 1,
            subject: format!("submission.judged.{key}"),
            payload: judged.encode().to_vec(),
            kept_on: None,
        };
        self.publish(&dead_letter).await;
    }
}

/// A running console, which stops with the test.
pub(crate) struct Console {
    pub(crate) address: SocketAddr,
    bus: Bus,
    http: reqwest::Client,
    stop: CancellationToken,
}

impl Console {
    pub(crate) async fn start(nats: &str, key: Option<&str>) -> Self {
        let config =
            NatsConfig { url: nats.to_owned(), name: "gavel-console".to_owned(), ..NatsConfig::default() };
        let bus = Bus::connect(&config, TopologySettings::default()).await.unwrap();
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            hosts: vec!["console.example".to_owned()],
            key: key.map(Secret::new),
            operator: "tester@host".to_owned(),
            settle_time: Duration::ZERO,
        };
        let served = Served::bind(&config, bus.clone()).unwrap();
        let (address, stop) = (served.address().unwrap(), CancellationToken::new());
        tokio::spawn(served.run(stop.clone()));
        Self { address, bus, http: gavel_http::client().build().unwrap(), stop }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn request(&self, path: &str) -> RequestBuilder {
        self.http.get(self.url(path)).timeout(TEST_TIMEOUT)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.request(path).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.http.post(self.url(path)).json(body).timeout(TEST_TIMEOUT)
    }

    /// Posts with the key, and returns the answer, which must be successful.
    pub(crate) async fn change(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body).bearer_auth(KEY).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{:?}", answer.text().await);
        answer.json().await.unwrap()
    }

    /// Waits until an answer is as wanted, and returns it.
    pub(crate) async fn until(&self, path: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        wait_until("the answer", TEST_TIMEOUT, async || {
            last = self.get(path).await;
            is_wanted(&last)
        })
        .await
        .unwrap_or_else(|_| panic!("{path}: {last}"));
        last
    }

    /// Opens an event stream.
    pub(crate) async fn live(&self, path: &str, last_id: Option<&str>) -> Live {
        let mut request = self.http.get(self.url(path));
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Live { response, text: String::new() }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An event stream as a browser reads it.
pub(crate) struct Live {
    response: Response,
    text: String,
}

/// One event.
pub(crate) struct LiveEvent {
    pub(crate) name: String,
    pub(crate) data: Value,
    pub(crate) id: Option<String>,
}

impl Live {
    /// Returns the next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<LiveEvent> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
                };
                let event = field("event").map(|name| LiveEvent {
                    name,
                    data: serde_json::from_str(&field("data").unwrap()).unwrap(),
                    id: field("id"),
                });
                self.text = self.text.split_off(self.text.len() - rest.len());
                match event {
                    Some(event) => return Some(event),
                    // A comment.
                    None => continue,
                }
            }
            let chunk =
                tokio::time::timeout(TEST_TIMEOUT, self.response.chunk()).await.expect("an event in time");
            self.text.push_str(std::str::from_utf8(&chunk.ok()??).unwrap());
        }
    }

    /// Returns the next event with this name.
    pub(crate) async fn wait(&mut self, name: &str) -> LiveEvent {
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("no event {name} before the end"));
            if event.name == name {
                return event;
            }
        }
    }
}

/// The ids in a list of rows, sorted.
pub(crate) fn ids(rows: &Value) -> Vec<&str> {
    let mut ids: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

/// A verdict with this status.
pub(crate) fn verdict(status: Status) -> Verdict {
    match status {
        Status::Passed => fixtures::passed(),
        Status::Failed => fixtures::failed(),
        Status::Error => Verdict::error("for the test"),
    }
}
