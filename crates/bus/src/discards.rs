//! How many messages a full stream has discarded. The server does not report them, so two snapshots of a stream are compared.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use crate::bus::Bus;
use crate::connection::MIN_MAX_PAYLOAD;
use crate::topology::Stream;

/// How long the server may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// The largest message that the services store, in bytes. Right after a stream has discarded a message, it has less room than
/// that.
const LARGEST_MESSAGE: u64 = MIN_MAX_PAYLOAD as u64;

/// A snapshot of a stream that discards its oldest messages when it is full. Probes do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSnapshot {
    /// How many messages it contains.
    pub messages: u64,
    /// The sequence number of its newest message, which may be a probe.
    last_sequence: u64,
    /// How many messages it has discarded since the snapshot before, without those that were stored since then. 0 if it is not
    /// full now, because then only people and age remove messages.
    pub discarded: u64,
}

impl Bus {
    /// Takes a snapshot of a stream, to be compared with the previous one; `None` if the server does not answer in time.
    pub async fn snapshot(&self, stream: Stream, before: Option<StreamSnapshot>) -> Option<StreamSnapshot> {
        if !self.is_connected() {
            return None;
        }
        timeout(REQUEST_TIMEOUT, self.try_snapshot(stream, before)).await.ok()?.ok()
    }

    async fn try_snapshot(
        &self,
        stream: Stream,
        before: Option<StreamSnapshot>,
    ) -> Result<StreamSnapshot, async_nats::Error> {
        // This comes first: a message that is stored between the two requests must not count as a discarded one.
        let stored = match before {
            Some(before) => self.messages_after(stream, before.last_sequence).await?,
            None => 0,
        };
        let (state, config, messages) = self.info_without_probes(stream).await?;
        // A limit of -1 means that there is no limit.
        let limit = |max: i64| u64::try_from(max).unwrap_or(u64::MAX);
        let max_bytes = limit(config.max_bytes);
        // In a stream that is smaller than two of the largest messages, it takes half of the room.
        let is_full = state.bytes >= max_bytes - LARGEST_MESSAGE.min(max_bytes / 2)
            || state.messages >= limit(config.max_messages);
        // A stream that was created again counts from 1.
        let before = before.filter(|before| is_full && before.last_sequence <= state.last_sequence);
        let discarded = before.map_or(0, |before| (before.messages + stored).saturating_sub(messages));
        Ok(StreamSnapshot { messages, last_sequence: state.last_sequence, discarded })
    }

    /// Counts the messages after a sequence number, without probes. The answer has the first of them, and how many follow.
    async fn messages_after(&self, stream: Stream, sequence: u64) -> Result<u64, async_nats::Error> {
        let events = match stream {
            Stream::DeadMessages => "dead-message.>",
            _ => "submission.>",
        };
        let request = json!({ "seq": sequence + 1, "next_by_subj": events, "batch": 1 });
        let subject = format!("$JS.API.DIRECT.GET.{}", stream.name());
        let answer = self.client.request(subject, request.to_string().into()).await?;
        let status = answer.status.map_or(200, |status| status.as_u16());
        let following = answer.headers.as_ref().and_then(|headers| headers.get("Nats-Num-Pending"));
        match (status, following) {
            (404, _) => Ok(0),
            (200, Some(following)) => Ok(following.as_str().parse::<u64>()? + 1),
            _ => Err(format!("unexpected answer with status {status}").into()),
        }
    }
}
