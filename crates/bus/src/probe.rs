//! Checking whether a stream accepts messages, with no other permission than to publish to it.
//!
//! A trace-only message takes the path of a real one, also through a service import, and the server reports where it
//! arrived; it is neither stored nor delivered. (`Nats-Trace-Only`, since nats-server 2.11.)

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::Value;

use crate::bus::Bus;
use crate::timing::REQUEST_TIMEOUT;
use crate::topology::Stream;

/// Where the server sends its report. The client has no constants for these two headers.
const TRACE_DEST: &str = "Nats-Trace-Dest";
/// Stops the message before it is stored or delivered.
const TRACE_ONLY: &str = "Nats-Trace-Only";

impl Bus {
    /// Checks that a message for this stream would reach it, for `/readyz`.
    ///
    /// # Errors
    /// Returns the problem in one sentence.
    pub async fn check_stream(&self, stream: Stream) -> Result<(), String> {
        if !self.is_connected() {
            return Err("not connected to NATS".to_owned());
        }
        match tokio::time::timeout(REQUEST_TIMEOUT, self.reach(stream)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("stream {} is not available: {error}", stream.name())),
            Err(_) => Err(format!("stream {} is not available: no answer from NATS", stream.name())),
        }
    }

    /// Returns once the trace of a message shows that it has reached the stream.
    async fn reach(&self, stream: Stream) -> Result<(), async_nats::Error> {
        let inbox = self.client.new_inbox();
        let mut traces = self.client.subscribe(inbox.clone()).await?;
        let mut headers = HeaderMap::new();
        headers.insert(TRACE_DEST, inbox.as_str());
        headers.insert(TRACE_ONLY, "true");
        let subjects = stream.config(&self.settings).subjects;
        let subject = subjects.first().expect("each stream has a subject").replace('*', "probe");
        self.client.publish_with_headers(subject, headers, Bytes::new()).await?;
        // Each server on the path reports, including the one with the stream.
        while let Some(trace) = traces.next().await {
            let trace: Value = serde_json::from_slice(&trace.payload)?;
            let events = trace["events"].as_array().into_iter().flatten();
            let is_reached = |event: &Value| {
                event["type"] == "js" && event["stream"] == stream.name() && event["error"].is_null()
            };
            if events.into_iter().any(is_reached) {
                return Ok(());
            }
        }
        Err("the connection is closed".into())
    }
}
