//! The pipeline as a test runs it: a server with the users of the deployment, mock Convex, and each service as a separate
//! process with the key of its role. A test fails if a service or command lacks a permission (see `NatsServer`).

use std::time::Duration;

use gavel_bus::topology::TopologySettings;
use gavel_mock_convex::{MockConvex, Question};
use gavel_testkit::process::{self, built_binary};
use gavel_testkit::{NatsServer, Process, ServiceProcess, TEST_TIMEOUT, rig};
use serde_json::{Value, json};

/// A running pipeline.
pub(crate) struct Pipeline {
    pub(crate) ingress: ServiceProcess,
    pub(crate) fetcher: Process,
    pub(crate) judge: Process,
    pub(crate) reporter: Process,
    pub(crate) convex: MockConvex,
    pub(crate) nats: NatsServer,
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
}

impl Pipeline {
    /// Starts everything. The work of a dead instance is delivered to another after 2 s.
    pub(crate) async fn start(questions: Vec<Question>) -> Self {
        Self::start_with(questions, &[]).await
    }

    /// Starts everything, the services with these variables in addition.
    pub(crate) async fn start_with(questions: Vec<Question>, variables: &[(&str, &str)]) -> Self {
        Self::start_each(questions, |_| {
            variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
        })
        .await
    }

    /// Starts everything, each service with its own variables.
    pub(crate) async fn start_each(
        questions: Vec<Question>,
        variables: impl Fn(&str) -> Vec<(String, String)>,
    ) -> Self {
        Self::start_each_on(NatsServer::builder().with_roles().start().await, questions, variables).await
    }

    /// Starts everything on this server, which has the users of the deployment and no streams yet.
    pub(crate) async fn start_each_on(
        nats: NatsServer,
        questions: Vec<Question>,
        variables: impl Fn(&str) -> Vec<(String, String)>,
    ) -> Self {
        let ack_wait = Duration::from_secs(2);
        let topology = TopologySettings { ack_wait, ..TopologySettings::default() };
        rig::connect(&nats, topology).await.ensure_topology().await;
        Self::start_on(nats, questions, variables).await
    }

    /// Starts everything on this server, each service with its own variables.
    pub(crate) async fn start_on(
        nats: NatsServer,
        questions: Vec<Question>,
        variables: impl Fn(&str) -> Vec<(String, String)>,
    ) -> Self {
        let convex = MockConvex::start_local(questions).await.unwrap();
        let builder = |role: &str| builder(&format!("gavel-{role}"), &nats, &convex).envs(variables(role));
        let start = |role: &str| builder(role).start().unwrap();
        let (fetcher, judge, reporter) = (start("fetcher"), start("judge"), start("reporter"));
        let ingress = ServiceProcess::start(builder("ingress")).await;
        let url = ingress.url("/v1/judge-question");
        let http = gavel_http::client().build().unwrap();
        let pipeline = Self { ingress, fetcher, judge, reporter, convex, nats, url, http };
        pipeline.until_ready().await;
        pipeline
    }

    /// Waits until the ingress accepts submissions. The other services need not be ready for that.
    pub(crate) async fn until_ready(&self) {
        self.ingress.wait_ready().await;
    }

    /// Posts a submission and returns the status of the answer.
    pub(crate) async fn post(&self, body: &Value) -> u16 {
        self.http.post(&self.url).json(body).send().await.unwrap().status().as_u16()
    }

    /// Posts a submission that must be accepted.
    pub(crate) async fn submit(&self, id: &str, question: &str, language: u32, source: &str) {
        assert_eq!(self.post(&submission(id, question, language, source)).await, 202, "{id}");
    }

    /// The fields of the result sent to Convex, without its duration, which must be present.
    pub(crate) async fn result(&self, id: &str) -> Value {
        self.convex.wait_final(id, TEST_TIMEOUT).await.unwrap();
        let results = self.convex.distinct_results(id);
        assert_eq!(results.len(), 1, "{id} has one verdict: {results:?}");
        let mut result = results[0].as_ref().clone();
        let fields = result.as_object_mut().unwrap();
        assert!(fields.remove("durationMs").is_some_and(|ms| ms.is_u64()), "{id} has a duration");
        assert_eq!(fields.remove("submissionId"), Some(id.into()));
        result
    }
}

/// Starts a service as a separate process.
pub(crate) fn service(name: &str, nats: &NatsServer, convex: &MockConvex) -> Process {
    service_with(name, nats, convex, &[])
}

/// A service with more variables in its environment.
pub(crate) fn service_with(
    name: &str,
    nats: &NatsServer,
    convex: &MockConvex,
    variables: &[(&str, &str)],
) -> Process {
    builder(name, nats, convex).envs(variables.iter().copied()).start().unwrap()
}

fn builder(name: &str, nats: &NatsServer, convex: &MockConvex) -> process::Builder {
    let role = name.strip_prefix("gavel-").unwrap();
    ServiceProcess::builder(built_binary(name).unwrap(), &nats.url())
        .envs(nats.login(role))
        .env("CONVEX_SITE_URL", convex.url())
        .env("ACK_WAIT_MS", "2000")
        .env("JUDGE_SLOTS", "2")
}

/// The body of a submission, as the Convex action sends it.
pub(crate) fn submission(id: &str, question: &str, language: u32, source: &str) -> Value {
    json!({ "questionId": question, "submissionId": id, "languageId": language, "sourceCode": source })
}
