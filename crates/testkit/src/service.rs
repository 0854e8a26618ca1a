//! A service's binary as a test runs it: on a free port, with its address known and its readiness awaited.

use std::{net::SocketAddr, ops::Deref, path::Path};

use crate::{LogLine, Process, TEST_TIMEOUT, process, wait_until};

/// A service that listens. Its log and its signals are those of its [`Process`].
#[derive(Debug)]
pub struct ServiceProcess {
    process: Process,
    address: SocketAddr,
    http: reqwest::Client,
}

impl ServiceProcess {
    /// A service on any free port, connected to NATS at `nats_url`.
    #[must_use]
    pub fn builder(program: impl AsRef<Path>, nats_url: &str) -> process::Builder {
        Process::builder(program).env("PORT", "0").env("NATS_URL", nats_url)
    }

    /// Starts it and waits until it listens. It may not have reached NATS yet: see [`ServiceProcess::wait_ready`].
    ///
    /// # Panics
    /// Panics if it does not listen within [`TEST_TIMEOUT`].
    pub async fn start(builder: process::Builder) -> Self {
        let process = builder.start().unwrap_or_else(|error| panic!("cannot start the service: {error}"));
        let listening =
            process.wait_log("the address", TEST_TIMEOUT, |line| line.contains("listening")).await;
        let line = listening.unwrap_or_else(|error| panic!("{error}"));
        let address = address_in(&line).unwrap_or_else(|| panic!("no address in {:?}", line.text));
        Self {
            process,
            address,
            http: gavel_http::client().build().expect("HTTP works on the machines of tests"),
        }
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path, which begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends a GET request and returns the status and the body, which must be JSON.
    ///
    /// # Panics
    /// Panics if there is no answer, or none in JSON.
    pub async fn get(&self, path: &str) -> (u16, serde_json::Value) {
        let (status, body) = self.get_text(path).await;
        (status, serde_json::from_str(&body).expect("a body of JSON"))
    }

    /// Sends a GET request and returns the status and the body.
    ///
    /// # Panics
    /// Panics if there is no answer.
    pub async fn get_text(&self, path: &str) -> (u16, String) {
        let response = self.http.get(self.url(path)).send().await.expect("an answer");
        (response.status().as_u16(), response.text().await.expect("a body of text"))
    }

    /// Returns whether it is ready now.
    pub async fn is_ready(&self) -> bool {
        self.http.get(self.url("/readyz")).send().await.is_ok_and(|response| response.status() == 200)
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    /// Panics after [`TEST_TIMEOUT`].
    pub async fn wait_ready(&self) {
        let ready = wait_until("readiness", TEST_TIMEOUT, async || self.is_ready().await).await;
        ready.unwrap_or_else(|error| panic!("{error}: {:?}", self.process.log()));
    }
}

impl Deref for ServiceProcess {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

/// The address in the log line of a service that listens, in either log format.
fn address_in(line: &LogLine) -> Option<SocketAddr> {
    match line.field("/address") {
        Some(address) => address.as_str()?.parse().ok(),
        None => line.text.split_once("address=")?.1.split_whitespace().next()?.parse().ok(),
    }
}
