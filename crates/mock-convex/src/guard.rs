//! The order that the app keeps itself, if it is guarded: a call has an effect only if it outranks the last one that had.

use crate::{endpoint::Purpose, record::ReceivedCall, validate::Rejection};

/// The rank of a callback among those of its submission: by generation, then running before result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    generation: u64,
    is_result: bool,
}

impl Rank {
    /// The rank of a call, by its `webhook-id`: `result-k97` in the first generation, `result-k97~2e2` in the second.
    pub(crate) fn of(call: &ReceivedCall) -> Result<Self, Rejection> {
        let Some(id) = call.header("webhook-id") else {
            return Err(Rejection::bad_request("webhook-id is missing"));
        };
        let generation = id.split_once("~2e").map_or(Ok(1), |(_, generation)| generation.parse());
        let generation =
            generation.map_err(|_| Rejection::bad_request(format!("webhook-id {id} has no generation")))?;
        Ok(Self { generation, is_result: call.endpoint.purpose == Purpose::Result })
    }
}
