//! How many messages have left a stream, as its leader knows.

use std::time::Duration;

use tokio::time::timeout;

use crate::bus::Bus;
use crate::connection::MIN_MAX_PAYLOAD;
use crate::topology::Stream;

/// How long the server may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// The largest message that the services store, in bytes. Right after a stream has discarded a message, it has less room than
/// that.
const LARGEST_MESSAGE: u64 = MIN_MAX_PAYLOAD as u64;

/// The messages that have left a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removals {
    /// How far its start has moved since the stream was created, for whatever reason. Messages that left it from the middle,
    /// such as probes, count once all before them have left.
    pub count: u64,
    /// Whether the stream is full now, so that it may discard messages for a new one.
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
        // A limit of -1 means that there is no limit.
        let reaches = |now: u64, max: i64| u64::try_from(max).is_ok_and(|max| now >= max);
        Some(Removals {
            // It is 0 until the first message is stored, which gets 1.
            count: state.first_sequence.max(1),
            is_full: reaches(state.bytes.saturating_add(LARGEST_MESSAGE), config.max_bytes)
                || reaches(state.messages, config.max_messages),
        })
    }
}
