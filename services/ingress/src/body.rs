//! Reads a request body within a size and a time limit, or discards it.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::EXPECT;
use gavel_runtime::{Connection, Overloaded};
use http_body_util::BodyExt as _;

/// The largest body (contract §1).
const MAX_BODY_BYTES: usize = 1 << 20;
/// As much of each body needs no memory of those that all bodies share, so that a small submission waits for no other one.
const FREE_BYTES: usize = 16 << 10;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How much is read and discarded of a body that is too large.
const MAX_EXCESS_BYTES: usize = 16 << 20;
/// How much is read and discarded of a body that is not needed: as much as a valid one may have.
const MAX_DISCARDED_BYTES: usize = MAX_BODY_BYTES;
/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a body could not be read.
pub(crate) enum BodyError {
    /// It is larger than 1 MiB.
    TooLarge,
    /// The connection ended before the body was complete.
    Incomplete,
    /// It did not arrive within the time limit.
    Timeout,
    /// Other bodies use up the memory.
    Overloaded,
}

impl From<Overloaded> for BodyError {
    fn from(Overloaded: Overloaded) -> Self {
        Self::Overloaded
    }
}

/// Reads a body into memory of its connection. The rest of a body that is too large, or has no memory, is discarded.
pub(crate) async fn read(mut body: Body, connection: &Connection) -> Result<Vec<u8>, BodyError> {
    let reading = async {
        let mut kept = Vec::new();
        while let Some(data) = next(&mut body).await? {
            let length = kept.len() + data.len();
            if length > MAX_BODY_BYTES {
                return Err(BodyError::TooLarge);
            }
            if length > kept.capacity() {
                let capacity = length.next_power_of_two();
                let reserved = kept.capacity().max(FREE_BYTES);
                if capacity > reserved {
                    connection.reserve_body(capacity - reserved).await?;
                }
                kept.reserve_exact(capacity - kept.len());
            }
            kept.extend_from_slice(&data);
        }
        Ok(kept)
    };
    let result = tokio::time::timeout(BODY_TIMEOUT, reading).await.unwrap_or(Err(BodyError::Timeout));
    match result {
        Err(BodyError::TooLarge) => discard_up_to(body, MAX_EXCESS_BYTES).await,
        Err(BodyError::Overloaded) => discard_up_to(body, MAX_DISCARDED_BYTES).await,
        _ => {}
    }
    result
}

/// Reads and discards the body of a request that is rejected for its head, within limits that a client without a key
/// cannot misuse. Without that, the response would close the connection of a client that is still writing, and the reset
/// that follows can destroy the response before the client reads it.
pub(crate) async fn discard(request: Request) {
    // A client that waits for "100 Continue" does not send its body after another response.
    if !request.headers().contains_key(EXPECT) {
        discard_up_to(request.into_body(), MAX_DISCARDED_BYTES).await;
    }
}

async fn discard_up_to(mut body: Body, max_bytes: usize) {
    let reading = async {
        let mut length = 0;
        // A body that cannot be read does not matter here.
        while let Ok(Some(data)) = next(&mut body).await {
            length += data.len();
            if length > max_bytes {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, reading).await;
}

/// Returns the next part of a body, or `None` at its end.
async fn next(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        // The other kind of frame has trailers.
        if let Ok(data) = frame.map_err(|_| BodyError::Incomplete)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
