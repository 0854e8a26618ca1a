//! Test cases by claim check: stored once per distinct content and day, read by the judges.
//!
//! A bundle is split into pieces smaller than the server's `max_payload`. Piece 0 starts with the number of pieces and is
//! stored last, so a reader that finds it finds all of them. The address is the digest, so a second writer can only store
//! the same bytes, and a reader detects damage.

use std::time::{Duration, SystemTime};

use async_nats::jetstream::stream::{DirectGetError, LastRawMessageError, LastRawMessageErrorKind};
use bytes::{Bytes, BytesMut};
use gavel_domain::Question;
use gavel_domain::event::{BundleKey, Ready};
use gavel_domain::time::epoch_ms;
use gavel_proto::{DecodeError, WireEvent as _, decode_bundle, encode_bundle};
use sha2::{Digest as _, Sha256};

use crate::bus::Bus;
use crate::outgoing::{Condition, Outgoing, Trace};
use crate::publish::PublishError;
use crate::topology::{self, Stream};

/// The size of a piece. The server's default limit is 1 MiB per message, headers included.
const PIECE_BYTES: usize = 768 * 1024;
/// How long one piece may take to be stored.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Why a bundle could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The server did not store it.
    #[error("cannot store the test cases")]
    Store(#[source] PublishError),
    /// The server did not answer.
    #[error("cannot read the test cases")]
    Read(#[source] DirectGetError),
    /// It is unknown whether a ready event still needs it.
    #[error("cannot find out whether the test cases are still needed")]
    Lookup(#[source] LastRawMessageError),
    /// It has expired, or was never stored.
    #[error("the test cases are not in the store")]
    Missing,
    /// The stored bytes do not match the digest.
    #[error("the stored test cases are damaged")]
    Damaged,
    /// The bytes match the digest, but are not a question.
    #[error("the stored test cases cannot be decoded")]
    Decode(#[from] DecodeError),
}

impl BundleError {
    /// Whether the bundle can never be stored, however often it is tried: the server's `max_payload` is too small.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::Store(PublishError::TooLarge(_)))
    }
}

/// The store of bundles.
#[derive(Clone)]
pub struct Bundles {
    bus: Bus,
}

impl Bundles {
    /// The store on this connection.
    #[must_use]
    pub fn new(bus: Bus) -> Self {
        Self { bus }
    }

    /// Returns the address and the bytes of a question; the address names the current day.
    #[must_use]
    pub fn seal(question: &Question) -> (BundleKey, Bytes) {
        let bytes = encode_bundle(question);
        let day = u32::try_from(epoch_ms(SystemTime::now()) / DAY_MS).unwrap_or(u32::MAX);
        (BundleKey { day, digest: digest(&bytes) }, bytes)
    }

    /// Stores a sealed bundle. Storing it twice has no further effect.
    ///
    /// # Errors
    /// Returns an error if the server does not confirm a piece.
    pub async fn put(&self, key: &BundleKey, bytes: &Bytes) -> Result<(), BundleError> {
        let mut pieces: Vec<Bytes> = (0..bytes.len().max(1))
            .step_by(PIECE_BYTES)
            .map(|at| bytes.slice(at..(at + PIECE_BYTES).min(bytes.len())))
            .collect();
        let mut first = BytesMut::from(&u32::try_from(pieces.len()).unwrap_or(u32::MAX).to_le_bytes()[..]);
        first.extend_from_slice(&pieces[0]);
        pieces[0] = first.freeze();
        for (n, piece) in pieces.into_iter().enumerate().rev() {
            let subject = topology::bundle_piece(key, n);
            let outgoing = Outgoing::new(subject, "gavel.v1.Bundle", piece, Condition::Once);
            self.bus
                .publish(&outgoing, &Trace::default(), PUBLISH_TIMEOUT)
                .await
                .map_err(BundleError::Store)?;
        }
        Ok(())
    }

    /// Reads the question at an address.
    ///
    /// # Errors
    /// Returns an error if the bundle is missing, damaged or cannot be decoded, or if the server does not answer.
    pub async fn get(&self, key: &BundleKey) -> Result<Question, BundleError> {
        let first = self.piece(key, 0).await?;
        let (count, body) = first.split_first_chunk::<4>().ok_or(BundleError::Damaged)?;
        let mut bytes = BytesMut::from(body);
        for n in 1..u32::from_le_bytes(*count) as usize {
            bytes.extend_from_slice(&self.piece(key, n).await?);
        }
        if digest(&bytes) != key.digest {
            return Err(BundleError::Damaged);
        }
        Ok(decode_bundle(&bytes)?)
    }

    /// Whether a ready event that names this bundle is still unacknowledged, as such or waiting for its language,
    /// according to the streams' leaders. Until it is acknowledged, no other event can replace it.
    ///
    /// # Errors
    /// Returns an error if the leader does not answer.
    pub async fn is_awaited(&self, ready: &Ready) -> Result<bool, BundleError> {
        let key = ready.key();
        Ok(self.is_stored(Stream::Ready, topology::subject(Ready::NAME, &key), ready).await?
            || self
                .is_stored(Stream::Waiting, topology::waiting(ready.submission.language, &key), ready)
                .await?)
    }

    /// Whether this subject has a message that names the same bundle.
    async fn is_stored(&self, stream: Stream, subject: String, ready: &Ready) -> Result<bool, BundleError> {
        let stream = self
            .bus
            .context
            .get_stream_no_info(stream.name())
            .await
            .expect("the names of the topology are valid");
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => {
                Ok(Ready::decode(&message.payload).is_ok_and(|stored| stored.bundle == ready.bundle))
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(false),
            Err(error) => Err(BundleError::Lookup(error)),
        }
    }

    async fn piece(&self, key: &BundleKey, n: usize) -> Result<Bytes, BundleError> {
        let found = self.bus.last_on(Stream::Bundles, &topology::bundle_piece(key, n)).await;
        found.map_err(BundleError::Read)?.map(|message| message.payload).ok_or(BundleError::Missing)
    }
}

fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
        hex
    })
}
