//! Checking whether a stream accepts messages, with no other permission than to publish to it.
//!
//! A trace-only message takes the path of a real one, also through a service import, and the server reports where it
//! arrived; it is neither stored nor delivered. (`Nats-Trace-Only`, since nats-server 2.11.)
//!
//! That does not show whether the stream can store it: after a failed write, nats-server refuses every message of that
//! stream until it is restarted, and answers everything else as usual. So there is also a probe that is stored. It expires
//! within seconds, and a write-once stream holds one at most, however many instances send them.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;

use crate::bus::Bus;
use crate::refusal::{is_store_failure, server_error};
use crate::timing::REQUEST_TIMEOUT;
use crate::topology::{self, Stream};

/// How long the server keeps a probe.
const PROBE_TTL: Duration = Duration::from_secs(5);
/// How long a probe may take. A busy disk is not a broken one.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the server sends its report. The client has no constants for these two headers.
const TRACE_DEST: &str = "Nats-Trace-Dest";
/// Stops the message before it is stored or delivered.
const TRACE_ONLY: &str = "Nats-Trace-Only";

/// Why a stream does not store messages: one sentence, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no connection.
    #[error("not connected to NATS")]
    Disconnected,
    /// The server cannot write.
    #[error(
        "stream {} cannot store messages: {reason}. Make sure that the disk of nats-server has room and works, then restart \
         nats-server",
        .stream.name()
    )]
    Failed {
        /// The stream.
        stream: Stream,
        /// What the server says.
        reason: String,
    },
    /// The server does not answer. So nats-server 2.15 treats a stream after a failed write.
    #[error(
        "stream {} does not confirm messages. If nats-server runs, make sure that its disk has room and works, then \
         restart nats-server",
        .0.name()
    )]
    Unconfirmed(Stream),
    /// No stream has the subject of the probe.
    #[error(
        "stream {} is missing, or an earlier version has created it: run \"gavel streams\", or start a service that may \
         create streams",
        .0.name()
    )]
    Missing(Stream),
}

impl StoreError {
    /// Whether the server may store again after a restart, if its disk has room and works.
    #[must_use]
    pub fn needs_restart(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Unconfirmed(_))
    }
}

impl Bus {
    /// Returns the state and the configuration of a stream, and how many messages other than probes it contains.
    pub(crate) async fn info_without_probes(
        &self,
        stream: Stream,
    ) -> Result<(stream::State, stream::Config, u64), async_nats::Error> {
        let found = self.context.get_stream_no_info(stream.name()).await?;
        let mut probes = found.info_with_subjects(topology::probe(stream)).await?;
        let (state, config) = (probes.info.state.clone(), probes.info.config.clone());
        let mut messages = state.messages;
        while let Some((_, count)) = probes.try_next().await? {
            messages = messages.saturating_sub(count as u64);
        }
        Ok((state, config, messages))
    }

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

    /// Checks that a stream can store messages; see [`check_store`].
    ///
    /// # Errors
    /// Returns an error if the stream does not store messages.
    pub async fn check_store(&self, stream: Stream) -> Result<(), StoreError> {
        if !self.is_connected() {
            return Err(StoreError::Disconnected);
        }
        check_store(&self.context, stream).await
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

/// Stores a probe in a stream, which no consumer reads and which expires after a few seconds.
///
/// # Errors
/// Returns an error if the stream does not store it. A full stream is no problem of its store.
pub async fn check_store(context: &Context, stream: Stream) -> Result<(), StoreError> {
    let mut context = context.clone();
    context.set_timeout(PROBE_TIMEOUT);
    let published = async {
        let probe = PublishMessage::build().ttl(PROBE_TTL);
        context.send_publish(topology::probe(stream), probe).await?.await
    };
    let Err(error) = published.await else { return Ok(()) };
    match server_error(&error) {
        Some(refusal) if is_store_failure(refusal) => {
            Err(StoreError::Failed { stream, reason: refusal.to_string() })
        }
        // The stream is full, or the probe of another instance is still there.
        Some(_) => Ok(()),
        None if error.kind() == PublishErrorKind::StreamNotFound => Err(StoreError::Missing(stream)),
        None => Err(StoreError::Unconfirmed(stream)),
    }
}
