//! An ingress with its own nats-server for a test, and access to what it stores there.

use std::collections::HashMap;

use async_nats::jetstream::message::StreamMessage;
use gavel_bus::topology::Stream;
use gavel_domain::event::Queued;
use gavel_proto::WireEvent as _;
use gavel_testkit::{JetStream, NatsServer, ServiceProcess, process};
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

pub(crate) const PATH: &str = "/v1/judge-question";

/// The binary on any free port. The server may be unreachable.
pub(crate) fn binary(nats_url: &str) -> process::Builder {
    ServiceProcess::builder(env!("CARGO_BIN_EXE_gavel-ingress"), nats_url)
}

/// A running ingress.
pub(crate) struct Ingress {
    pub(crate) process: ServiceProcess,
    http: Client,
}

impl Ingress {
    /// Starts the ingress and waits until it listens. It may not be connected to NATS yet.
    pub(crate) async fn start(builder: process::Builder) -> Self {
        Self { process: ServiceProcess::start(builder).await, http: gavel_http::client().build().unwrap() }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(method.parse().unwrap(), self.process.url(path))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request("GET", path)).await
    }

    /// Returns a request that submits `body`; a test may add headers.
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

/// A response; every response has a JSON body.
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

    /// Returns the value of `Retry-After`, in seconds.
    pub(crate) fn retry_after(&self) -> u64 {
        self.header("retry-after").unwrap().parse().unwrap()
    }
}

/// The stream of queued submissions.
pub(crate) struct Queue {
    pub(crate) jetstream: JetStream,
}

impl Queue {
    pub(crate) async fn of(nats: &NatsServer) -> Self {
        Self { jetstream: JetStream::connect(nats).await }
    }

    pub(crate) async fn count(&self) -> u64 {
        self.jetstream.message_count(Stream::Queued).await
    }

    pub(crate) async fn message(&self, id: &str) -> Option<StreamMessage> {
        self.jetstream.last_message(Stream::Queued, &format!("submission.queued.{id}")).await
    }

    pub(crate) async fn event(&self, id: &str) -> Option<Queued> {
        Some(Queued::decode(&self.message(id).await?.payload).unwrap())
    }
}

/// A ready ingress and its nats-server. The ingress is dropped first.
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
        ingress.process.wait_ready().await;
        let queue = Queue::of(&nats).await;
        Self { ingress, queue, nats }
    }
}

/// A valid submission.
pub(crate) fn submission(id: &str) -> Value {
    json!({ "questionId": "q1", "submissionId": id, "languageId": 71, "sourceCode": "print(1)" })
}

/// A valid submission with one field replaced.
pub(crate) fn with(id: &str, field: &str, value: Value) -> Value {
    let mut body = submission(id);
    body[field] = value;
    body
}

/// Returns the issues of a 400: message by path.
pub(crate) fn issues(answer: &Answer) -> HashMap<String, String> {
    let issues = answer.body["details"]["issues"].as_array().unwrap().iter();
    issues.map(|issue| (issue["path"].to_string(), issue["message"].as_str().unwrap().to_owned())).collect()
}
