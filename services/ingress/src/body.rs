//! Taking a request's body in, within a size and a time, or out of the way.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::EXPECT;
use http_body_util::BodyExt as _;

/// The largest body (contract §1).
const MAX_BODY_BYTES: usize = 1 << 20;
/// How much of a body that is of no use is read and dropped.
const MAX_DROPPED_BYTES: usize = 16 << 20;
/// How long a body may take to arrive.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// Why there is no body.
pub(crate) enum Unread {
    /// It is over a mebibyte.
    TooLarge,
    /// The connection ended before it did.
    Broken,
    /// It took too long.
    Late,
}

/// Reads a body. One that is too large is read on and dropped, so that its sender gets to see the answer.
pub(crate) async fn read(body: Body) -> Result<Vec<u8>, Unread> {
    let (kept, seen) = take(body, MAX_BODY_BYTES).await?;
    if seen > MAX_BODY_BYTES { Err(Unread::TooLarge) } else { Ok(kept) }
}

/// Reads a body that nobody wants. To answer without that would close the connection under whoever still
/// writes, and the reset that follows wipes the answer out before it is read.
pub(crate) async fn discard(request: Request) {
    // Whoever asks before it sends is told not to by the answer itself.
    if !request.headers().contains_key(EXPECT) {
        // What cannot be read need not be.
        let _ = take(request.into_body(), 0).await;
    }
}

/// The first `keep` bytes at most of a body, and how much of it there was.
async fn take(mut body: Body, keep: usize) -> Result<(Vec<u8>, usize), Unread> {
    let taking = async {
        let (mut kept, mut seen) = (Vec::new(), 0_usize);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
            seen += data.len();
            if seen <= keep {
                kept.extend_from_slice(&data);
            } else if seen > MAX_DROPPED_BYTES {
                break;
            }
        }
        Ok((kept, seen))
    };
    tokio::time::timeout(BODY_WAIT, taking).await.unwrap_or(Err(Unread::Late))
}
