//! An ingress of a test's own, on a server of its own, and a look at what it has stored there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use async_nats::jetstream::{self, message::StreamMessage, stream::DirectGetErrorKind};
use gavel_bus::topology::Stream;
use gavel_domain::event::Queued;
use gavel_proto::WireEvent as _;
use gavel_testkit::{NatsServer, Process, process, wait_until};
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

/// Long enough for a loaded machine; nothing waits for it unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const PATH: &str = "/v1/judge-question";

/// The binary, on any free port, with a server that may be there or not.
pub(crate) fn binary(nats_url: &str) -> process::Builder {
    let program = Process::builder(env!("CARGO_BIN_EXE_gavel-ingress"));
    program.env("PORT", "0").env("NATS_URL", nats_url)
}

/// A running ingress.
pub(crate) struct Ingress {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    http: Client,
}

impl Ingress {
    /// Starts it; it listens, and may not have found its server yet.
    pub(crate) async fn start(builder: process::Builder) -> Self {
        let process = builder.start().unwrap();
        let listening = process.wait_log("the address", PATIENCE, |line| line.contains("listening")).await;
        let address = listening.unwrap().field("/address").unwrap().as_str().unwrap().parse().unwrap();
        Self { process, address, http: Client::new() }
    }

    /// Waits until it can do its work; it tells nobody when that is.
    pub(crate) async fn ready(&self) {
        let is_ready = async || self.get("/readyz").await.status == 200;
        wait_until("readiness", PATIENCE, is_ready).await.unwrap();
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request("GET", path)).await
    }

    /// A submission as the action sends it, with whatever else the test adds.
    pub(crate) fn submit(&self, body: &Value) -> RequestBuilder {
        self.request("POST", PATH).json(body)
    }

    pub(crate) async fn post(&self, body: &Value) -> Answer {
        Answer::of(self.submit(body)).await
    }

    pub(crate) async fn post_text(&self, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request("POST", PATH).header("content-type", "application/json");
        Answer::of(request.body(body)).await
    }
}

/// An answer: every one of them has a JSON body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::try_of(request).await.unwrap()
    }

    pub(crate) async fn try_of(request: RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        assert_eq!(headers["content-type"], "application/json", "{status} {text}");
        let body = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status} {text}: {error}"));
        Ok(Self { status, headers, body })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The seconds of `Retry-After`.
    pub(crate) fn retry_after(&self) -> u64 {
        self.header("retry-after").unwrap().parse().unwrap()
    }
}

/// What the server holds, seen without the bus.
pub(crate) struct Queue {
    pub(crate) context: jetstream::Context,
}

impl Queue {
    pub(crate) async fn of(nats: &NatsServer) -> Self {
        let client = async_nats::connect(nats.url()).await.unwrap();
        Self { context: jetstream::new(client) }
    }

    /// Messages in the stream of what was submitted.
    pub(crate) async fn count(&self) -> u64 {
        let mut stream = self.context.get_stream(Stream::Queued.name()).await.unwrap();
        stream.info().await.unwrap().state.messages
    }

    pub(crate) async fn message(&self, id: &str) -> Option<StreamMessage> {
        let stream = self.context.get_stream_no_info(Stream::Queued.name()).await.unwrap();
        match stream.direct_get_last_for_subject(format!("submission.queued.{id}")).await {
            Ok(message) => Some(message),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => None,
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn event(&self, id: &str) -> Option<Queued> {
        Some(Queued::decode(&self.message(id).await?.payload).unwrap())
    }
}

/// An ingress that is ready, and its server. The ingress ends first.
pub(crate) struct Rig {
    pub(crate) ingress: Ingress,
    pub(crate) queue: Queue,
    pub(crate) nats: NatsServer,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let nats = NatsServer::start().await;
        let ingress = Ingress::start(binary(&nats.url()).envs(settings.iter().copied())).await;
        ingress.ready().await;
        let queue = Queue::of(&nats).await;
        Self { ingress, queue, nats }
    }
}

/// A sound submission.
pub(crate) fn submission(id: &str) -> Value {
    json!({ "questionId": "q1", "submissionId": id, "languageId": 71, "sourceCode": "print(1)" })
}

/// A sound submission with one field put in place of another.
pub(crate) fn with(id: &str, field: &str, value: Value) -> Value {
    let mut body = submission(id);
    body[field] = value;
    body
}

/// The issues of a 400: path and message.
pub(crate) fn issues(answer: &Answer) -> HashMap<String, String> {
    let issues = answer.body["details"]["issues"].as_array().unwrap().iter();
    issues.map(|issue| (issue["path"].to_string(), issue["message"].as_str().unwrap().to_owned())).collect()
}
