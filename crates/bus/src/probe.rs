//! Whether a stream takes messages, found out by whoever may publish to it and nothing else.
//!
//! A message that is only traced goes the way of a real one, through a service import too, and the server tells
//! what became of it; nothing is stored, and nobody who listens sees it. (`Nats-Trace-Only`, since 2.11.)

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::Value;

use crate::bus::Bus;
use crate::timing::REQUEST_TIMEOUT;
use crate::topology::Stream;

/// Where the server sends what became of a message. The client has no names for these two.
const TRACE_DEST: &str = "Nats-Trace-Dest";
/// Ends the message's way before it is stored or delivered.
const TRACE_ONLY: &str = "Nats-Trace-Only";

impl Bus {
    /// Whether a message for this stream would get there, for `/readyz`.
    ///
    /// # Errors
    /// What is wrong, in one plain sentence.
    pub async fn check_stream(&self, stream: Stream) -> Result<(), String> {
        if !self.is_connected() {
            return Err("NATS is not connected".to_owned());
        }
        match tokio::time::timeout(REQUEST_TIMEOUT, self.is_reached(stream)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("stream {} is not available: {error}", stream.name())),
            Err(_) => Err(format!("stream {} is not available: it does not take messages", stream.name())),
        }
    }

    /// Returns once the trace of a message says that the stream has it.
    async fn is_reached(&self, stream: Stream) -> Result<(), async_nats::Error> {
        let inbox = self.client.new_inbox();
        let mut traces = self.client.subscribe(inbox.clone()).await?;
        let mut headers = HeaderMap::new();
        headers.insert(TRACE_DEST, inbox.as_str());
        headers.insert(TRACE_ONLY, "true");
        let subjects = stream.config(&self.settings).subjects;
        let subject = subjects.first().expect("each stream has a subject").replace('*', "probe");
        self.client.publish_with_headers(subject, headers, Bytes::new()).await?;
        // Each server on the way sends what it knows, the one with the stream among them.
        while let Some(trace) = traces.next().await {
            let trace: Value = serde_json::from_slice(&trace.payload)?;
            let events = trace["events"].as_array().into_iter().flatten();
            let taken = |event: &Value| {
                event["type"] == "js" && event["stream"] == stream.name() && event["error"].is_null()
            };
            if events.into_iter().any(taken) {
                return Ok(());
            }
        }
        Err("the connection is closed".into())
    }
}
