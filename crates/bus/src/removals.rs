//! How many messages have left a stream, as its leader knows.

use std::time::Duration;

use tokio::time::timeout;

use crate::bus::Bus;
use crate::topology::Stream;

/// How long the server may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// From this share of its bytes on, in percent, a stream counts as full: the next message may not fit.
const FULL_PERCENT: u64 = 95;

/// The messages that have left a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removals {
    /// How far its start has moved since the stream was created, for whatever reason. Messages that left it from the middle,
    /// such as probes, count once all before them have left.
    pub count: u64,
    /// Whether the stream is full now, so that it discards a message for each new one.
    pub is_full: bool,
}

impl Bus {
    /// Asks the server how many messages have left a stream; `None` if it does not answer in time.
    pub async fn removals(&self, stream: Stream) -> Option<Removals> {
        if !self.is_connected() {
            return None;
        }
        let found = timeout(REQUEST_TIMEOUT, self.context.get_stream(stream.name())).await.ok()?.ok()?;
        let (state, config) = (&found.cached_info().state, &found.cached_info().config);
        let is_full = |now: u64, max: i64, percent: u64| {
            u64::try_from(max).is_ok_and(|max| now.saturating_mul(100) >= max.saturating_mul(percent))
        };
        Some(Removals {
            count: state.first_sequence,
            is_full: is_full(state.bytes, config.max_bytes, FULL_PERCENT)
                || is_full(state.messages, config.max_messages, 100),
        })
    }
}
