//! Reads a request body within a size and a time limit, or discards it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::EXPECT;
use http_body_util::BodyExt as _;

/// The largest body (contract §1).
const MAX_BODY_BYTES: usize = 1 << 20;
/// How much of a body is read and discarded when it is not needed.
const MAX_DISCARDED_BYTES: usize = 16 << 20;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a body could not be read.
pub(crate) enum BodyError {
    /// It is larger than 1 MiB.
    TooLarge,
    /// The connection ended before the body was complete.
    Incomplete,
    /// It did not arrive within the time limit.
    Timeout,
}

/// Reads a body. The rest of a body that is too large is read and discarded, so that the client sees the response.
pub(crate) async fn read(body: Body) -> Result<Vec<u8>, BodyError> {
    let (kept, length) = read_up_to(body, MAX_BODY_BYTES).await?;
    if length > MAX_BODY_BYTES { Err(BodyError::TooLarge) } else { Ok(kept) }
}

/// Reads and discards a body that is not needed. A response without that would close the connection of a client that is
/// still writing, and the reset that follows can destroy the response before the client reads it.
pub(crate) async fn discard(request: Request) {
    // A client that waits for "100 Continue" does not send its body after another response.
    if !request.headers().contains_key(EXPECT) {
        // A body that cannot be read does not matter here.
        let _ = read_up_to(request.into_body(), 0).await;
    }
}

/// Returns up to `keep` bytes of a body, and the length of the part that was read.
async fn read_up_to(mut body: Body, keep: usize) -> Result<(Vec<u8>, usize), BodyError> {
    let reading = async {
        let (mut kept, mut length) = (Vec::new(), 0_usize);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| BodyError::Incomplete)?.into_data() else { continue };
            length += data.len();
            if length <= keep {
                kept.extend_from_slice(&data);
            } else if length > MAX_DISCARDED_BYTES {
                break;
            }
        }
        Ok((kept, length))
    };
    tokio::time::timeout(BODY_TIMEOUT, reading).await.unwrap_or(Err(BodyError::Timeout))
}
