//! Test cases by claim check: stored once for each distinct content and day, read by the judges.
//!
//! A bundle is cut into pieces below the server's `max_payload`; the piece count comes first, in piece 0, and
//! piece 0 is written last, so whoever finds it finds all of them. Its address is its digest, so a second
//! writer can only write the same bytes, and a reader can tell damage.

use std::time::{Duration, SystemTime};

use async_nats::jetstream::stream::{DirectGetError, LastRawMessageError, LastRawMessageErrorKind};
use bytes::{Bytes, BytesMut};
use gavel_domain::Question;
use gavel_domain::event::{BundleKey, Ready};
use gavel_proto::{DecodeError, WireEvent as _, decode_bundle, encode_bundle};
use sha2::{Digest as _, Sha256};

use crate::bus::Bus;
use crate::outgoing::{Condition, Outgoing, Trace};
use crate::publish::PublishError;
use crate::topology::{self, Stream};

/// The size of a piece. Servers take 1 MiB a message, headers included, unless told otherwise.
const PIECE_BYTES: usize = 768 * 1024;
/// How long to wait for the answer to one piece.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a bundle was not stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It could not be stored.
    #[error("cannot store the test cases")]
    Store(#[source] PublishError),
    /// The store did not answer.
    #[error("cannot read the test cases")]
    Read(#[source] DirectGetError),
    /// Whether it is still waited for was not found out.
    #[error("cannot look who waits for the test cases")]
    Lookup(#[source] LastRawMessageError),
    /// It is not there: expired, or never stored.
    #[error("the test cases are not in the store")]
    Missing,
    /// What is there is not what the address promises.
    #[error("the stored test cases are damaged")]
    Damaged,
    /// The bytes are the right ones, but not a question.
    #[error("the stored test cases cannot be decoded")]
    Decode(#[from] DecodeError),
}

/// The store of bundles.
#[derive(Clone)]
pub struct Bundles {
    bus: Bus,
}

impl Bundles {
    /// The store behind this connection.
    #[must_use]
    pub fn new(bus: Bus) -> Self {
        Self { bus }
    }

    /// The address and the bytes of a question, as of now.
    #[must_use]
    pub fn seal(question: &Question) -> (BundleKey, Bytes) {
        let bytes = encode_bundle(question);
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let day = u32::try_from(since_epoch.as_secs() / 86_400).unwrap_or(u32::MAX);
        (BundleKey { day, digest: digest(&bytes) }, bytes)
    }

    /// Stores a sealed bundle; to store it twice is harmless.
    ///
    /// # Errors
    /// [`BundleError::Store`].
    pub async fn put(&self, key: &BundleKey, bytes: &Bytes) -> Result<(), BundleError> {
        let mut pieces: Vec<Bytes> = (0..bytes.len().max(1))
            .step_by(PIECE_BYTES)
            .map(|at| bytes.slice(at..(at + PIECE_BYTES).min(bytes.len())))
            .collect();
        let mut first = BytesMut::from(&u32::try_from(pieces.len()).unwrap_or(u32::MAX).to_le_bytes()[..]);
        first.extend_from_slice(&pieces[0]);
        pieces[0] = first.freeze();
        for (n, piece) in pieces.into_iter().enumerate().rev() {
            let outgoing = Outgoing {
                subject: topology::bundle_piece(key, n),
                schema: "gavel.v1.Bundle",
                payload: piece,
                condition: Condition::Once,
                verdict: None,
            };
            self.bus.publish(&outgoing, &Trace::default(), PATIENCE).await.map_err(BundleError::Store)?;
        }
        Ok(())
    }

    /// The question at an address.
    ///
    /// # Errors
    /// [`BundleError`]; [`BundleError::Missing`] where it is not there.
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

    /// Whether a ready event that names this bundle still waits, by the leader's word: until it is acknowledged,
    /// no other can take its place.
    ///
    /// # Errors
    /// [`BundleError::Lookup`].
    pub async fn is_awaited(&self, ready: &Ready) -> Result<bool, BundleError> {
        let stream =
            self.bus.context.get_stream_no_info(Stream::Ready.name()).await.expect("our names are valid");
        let subject = topology::subject(Ready::NAME, ready.key());
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => {
                Ok(Ready::decode(&message.payload).is_ok_and(|there| there.bundle == ready.bundle))
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
        write!(hex, "{byte:02x}").expect("a String takes everything");
        hex
    })
}
