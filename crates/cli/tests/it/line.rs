//! The line as a test has it: a server, a stand-in, and each service as a process of its own.

use std::time::Duration;

use gavel_mock_convex::{MockConvex, Question};
use gavel_testkit::process::built_binary;
use gavel_testkit::{NatsServer, Process};
use serde_json::{Value, json};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A running line.
pub(crate) struct Line {
    pub(crate) nats: NatsServer,
    pub(crate) convex: MockConvex,
    pub(crate) ingress: Process,
    pub(crate) fetcher: Process,
    pub(crate) judge: Process,
    pub(crate) reporter: Process,
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
}

impl Line {
    /// Starts everything; a dead instance's work is given to another after 2 s.
    pub(crate) async fn start(questions: Vec<Question>) -> Self {
        Self::start_with(questions, &[]).await
    }

    /// Starts everything, the services with these variables besides.
    pub(crate) async fn start_with(questions: Vec<Question>, variables: &[(&str, &str)]) -> Self {
        Self::start_on(NatsServer::start().await, questions, |_| {
            variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
        })
        .await
    }

    /// Starts everything on this server, each service with the variables that are its own.
    pub(crate) async fn start_on(
        nats: NatsServer,
        questions: Vec<Question>,
        variables: impl Fn(&str) -> Vec<(String, String)>,
    ) -> Self {
        let convex = MockConvex::start_local(questions).await.unwrap();
        let start = |role: &str| {
            let variables = variables(role);
            let variables: Vec<(&str, &str)> =
                variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            service_with(&format!("gavel-{role}"), &nats, &convex, &variables)
        };
        let (ingress, fetcher) = (start("ingress"), start("fetcher"));
        let (judge, reporter) = (start("judge"), start("reporter"));
        let line =
            ingress.wait_log("its address", PATIENCE, |line| line.contains("listening")).await.unwrap();
        // As JSON or as people read it.
        let address = line.field("/address").map_or_else(
            || line.text.split("address=").nth(1).unwrap().trim().to_owned(),
            |address| address.as_str().unwrap().to_owned(),
        );
        let url = format!("http://{address}/v1/judge-question");
        let line =
            Self { nats, convex, ingress, fetcher, judge, reporter, url, http: reqwest::Client::new() };
        line.until_ready().await;
        line
    }

    /// Waits until the ingress takes submissions; the others catch up by themselves.
    pub(crate) async fn until_ready(&self) {
        let url = self.url.replace("/v1/judge-question", "/readyz");
        gavel_testkit::wait_until("a ready ingress", PATIENCE, async || {
            self.http.get(&url).send().await.is_ok_and(|answer| answer.status() == 200)
        })
        .await
        .unwrap();
    }

    /// Posts a submission and returns the status of the answer.
    pub(crate) async fn post(&self, body: &Value) -> u16 {
        self.http.post(&self.url).json(body).send().await.unwrap().status().as_u16()
    }

    /// Posts a submission that must be taken.
    pub(crate) async fn submit(&self, id: &str, question: &str, language: u32, source: &str) {
        assert_eq!(self.post(&submission(id, question, language, source)).await, 202, "{id}");
    }

    /// The fields of the result that Convex was told, without its duration, which must be there.
    pub(crate) async fn result(&self, id: &str) -> Value {
        self.convex.wait_final(id, PATIENCE).await.unwrap();
        let results = self.convex.distinct_results(id);
        assert_eq!(results.len(), 1, "{id} has one verdict: {results:?}");
        let mut result = results[0].as_ref().clone();
        let fields = result.as_object_mut().unwrap();
        assert!(fields.remove("durationMs").is_some_and(|ms| ms.is_u64()), "{id} has a duration");
        assert_eq!(fields.remove("submissionId"), Some(id.into()));
        result
    }
}

/// A service as a process of its own.
pub(crate) fn service(name: &str, nats: &NatsServer, convex: &MockConvex) -> Process {
    service_with(name, nats, convex, &[])
}

/// The same with these variables besides.
pub(crate) fn service_with(
    name: &str,
    nats: &NatsServer,
    convex: &MockConvex,
    variables: &[(&str, &str)],
) -> Process {
    Process::builder(built_binary(name).unwrap())
        .env("NATS_URL", nats.url())
        .env("CONVEX_SITE_URL", convex.url())
        .env("PORT", "0")
        .env("ACK_WAIT_MS", "2000")
        .env("JUDGE_SLOTS", "2")
        .envs(variables.iter().copied())
        .start()
        .unwrap()
}

/// The body of a submission, as the Convex action sends it.
pub(crate) fn submission(id: &str, question: &str, language: u32, source: &str) -> Value {
    json!({ "questionId": question, "submissionId": id, "languageId": language, "sourceCode": source })
}
