//! Mock Convex with one question of each kind, and a client for it.

use std::time::Duration;

use gavel_mock_convex::{Endpoint, MockConvex, Question, SubmissionKind};
use serde_json::{Value, json};

/// The longest wait of a test on a loaded machine. Only a test that fails waits this long.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) struct Rig {
    pub(crate) convex: MockConvex,
    client: reqwest::Client,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        let standard =
            Question::build(SubmissionKind::Standard, "sum").time_limit_seconds(0.5).public("1 2\n", "3\n");
        let personal = Question::build(SubmissionKind::Personalized, "greet").hidden("a\n", "b\n");
        let convex = MockConvex::start_local(vec![standard.done(), personal.done()]).await.unwrap();
        let client = gavel_http::client().no_gzip().redirect(reqwest::redirect::Policy::none());
        let client = client.build().unwrap();
        Self { convex, client }
    }

    pub(crate) fn request(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.convex.url()))
    }

    pub(crate) async fn try_post(
        &self,
        endpoint: Endpoint,
        body: &Value,
    ) -> reqwest::Result<reqwest::Response> {
        self.request(endpoint.path()).json(body).send().await
    }

    /// The status, and the body as JSON, or as a string if it is not JSON.
    pub(crate) async fn post(&self, endpoint: Endpoint, body: &Value) -> (u16, Value) {
        let response = self.try_post(endpoint, body).await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("{}{path}", self.convex.url())).send().await.unwrap()
    }
}

pub(crate) fn running(id: &str) -> Value {
    json!({ "submissionId": id })
}

pub(crate) fn passed(id: &str) -> Value {
    json!({ "submissionId": id, "status": "passed", "passedCount": 1, "totalCount": 1, "durationMs": 12 })
}
