//! Copies of streams in files, through the server's snapshots.
//!
//! A stream is two files, as the `nats` command writes them: `backup.json` with the configuration and state, and
//! `stream.tar.s2` with the messages and the positions of the consumers.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use async_nats::Request;
use async_nats::jetstream::response::Response;
use bytes::Bytes;
use futures::StreamExt as _;
use gavel_bus::topology::{Durable, Stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::inspector::{InspectError, Inspector};

const CONFIG_FILE: &str = "backup.json";
const CONTENT_FILE: &str = "stream.tar.s2";
/// The largest message of a transfer, in bytes.
const CHUNK_BYTES: usize = 128 << 10;
/// How long the server may take for the next chunk, or to accept one.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a stream is copied again because consumers have taken messages meanwhile that the copy does not contain.
const MAX_ATTEMPTS: usize = 5;

/// Why a stream cannot be copied to files, or from them.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The server cannot be asked.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The server refuses.
    #[error("nats-server refuses: {0}")]
    Refused(String),
    /// The transfer has stopped.
    #[error("nats-server does not continue the transfer within {} s", CHUNK_TIMEOUT.as_secs())]
    Timeout,
    /// Services took messages while the stream was copied. After a restore, their consumers would skip new ones.
    #[error("services take messages faster than the stream can be copied")]
    Busy,
    /// A file cannot be read or written.
    #[error("{0}")]
    File(#[from] io::Error),
    /// The file with the configuration is not one of a backup.
    #[error("{CONFIG_FILE} is invalid: {0}")]
    Invalid(#[from] serde_json::Error),
    /// The restored stream lacks messages.
    #[error("the restored stream ends at message {found} instead of {expected}")]
    Incomplete {
        /// The last sequence number of the restored stream.
        found: u64,
        /// That of the backup.
        expected: u64,
    },
}

/// The configuration and state of a stream: what `backup.json` contains.
#[derive(Serialize, Deserialize)]
struct Description {
    config: Value,
    state: State,
}

/// The state of a stream, with all fields of the server.
#[derive(Serialize, Deserialize)]
struct State {
    messages: u64,
    last_seq: u64,
    #[serde(flatten)]
    other: serde_json::Map<String, Value>,
}

/// Where to send the chunks of a stream.
#[derive(Deserialize)]
struct RestoreTarget {
    deliver_subject: String,
}

impl Inspector {
    /// Copies a stream with its consumers into a new folder that only its owner may read. Returns the number of messages;
    /// `None` if the stream is optional and does not exist.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read, if a file cannot be written, or if services take messages meanwhile.
    pub async fn back_up(&self, stream: Stream, folder: &Path) -> Result<Option<u64>, BackupError> {
        match self.stream_info(stream).await {
            Err(InspectError::NoStream(_)) if stream.effect_if_missing().is_some() => return Ok(None),
            found => found?,
        };
        fs::DirBuilder::new().mode(0o700).create(folder)?;
        for _ in 0..MAX_ATTEMPTS {
            let description = self.copy_to(stream, &folder.join(CONTENT_FILE)).await?;
            if self.last_delivered(stream).await? <= description.state.last_seq {
                let text = serde_json::to_vec_pretty(&description)?;
                create(&folder.join(CONFIG_FILE))?.write_all(&text)?;
                return Ok(Some(description.state.messages));
            }
        }
        Err(BackupError::Busy)
    }

    /// Creates a stream with its consumers from a backup. Returns the number of messages; `None` if the backup does not
    /// contain the stream.
    ///
    /// # Errors
    /// Returns an error if the stream exists, if the server refuses it, or if a file cannot be read.
    pub async fn restore(&self, stream: Stream, folder: &Path) -> Result<Option<u64>, BackupError> {
        if !folder.exists() && stream.effect_if_missing().is_some() {
            return Ok(None);
        }
        let description: Description = serde_json::from_slice(&fs::read(folder.join(CONFIG_FILE))?)?;
        let mut content = File::open(folder.join(CONTENT_FILE))?;
        let target: RestoreTarget = self.request_backup("RESTORE", stream, &description).await?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let length = content.read(&mut chunk)?;
            let sent = Bytes::copy_from_slice(&chunk[..length]);
            let request = Request::new().payload(sent).timeout(Some(CHUNK_TIMEOUT));
            let answer = self.client().send_request(target.deliver_subject.clone(), request).await;
            let answer = answer.map_err(|_| self.unanswered(&target.deliver_subject))?;
            if let Ok(Response::<Value>::Err { error }) = serde_json::from_slice(&answer.payload) {
                return Err(BackupError::Refused(error.to_string()));
            }
            if length == 0 {
                break;
            }
        }
        let restored = self.stream_info(stream).await?.0.state;
        // Their number may be smaller: some have expired.
        let (found, expected) = (restored.last_sequence, description.state.last_seq);
        if found < expected {
            return Err(BackupError::Incomplete { found, expected });
        }
        Ok(Some(restored.messages))
    }

    /// Returns the streams of the topology that exist.
    ///
    /// # Errors
    /// Returns an error if the server does not say.
    pub async fn existing_streams(&self) -> Result<Vec<Stream>, InspectError> {
        let mut existing = Vec::new();
        for stream in Stream::ALL {
            match self.stream_info(stream).await {
                Ok(_) => existing.push(stream),
                Err(InspectError::NoStream(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(existing)
    }

    async fn copy_to(&self, stream: Stream, path: &Path) -> Result<Description, BackupError> {
        let mut file = create(path)?;
        let inbox = self.client().new_inbox();
        let mut chunks = self.client().subscribe(inbox.clone()).await.map_err(|_| InspectError::NoAnswer)?;
        let request = json!({ "deliver_subject": inbox, "chunk_size": CHUNK_BYTES, "jsck": true });
        let description: Description = self.request_backup("SNAPSHOT", stream, &request).await?;
        loop {
            let next = timeout(CHUNK_TIMEOUT, chunks.next()).await.map_err(|_| BackupError::Timeout)?;
            let chunk = next.ok_or(InspectError::NoAnswer)?;
            if chunk.payload.is_empty() {
                // The last one says whether the copy is complete.
                if let Some(status) = chunk.status.filter(|status| status.as_u16() >= 400) {
                    let said = chunk.description;
                    return Err(BackupError::Refused(said.unwrap_or_else(|| format!("status {status}"))));
                }
                file.sync_all()?;
                return Ok(description);
            }
            file.write_all(&chunk.payload)?;
            if let Some(acknowledge) = chunk.reply {
                let sent = self.client().publish(acknowledge, Bytes::new()).await;
                sent.map_err(|_| InspectError::NoAnswer)?;
            }
        }
    }

    /// The highest sequence number that a consumer of the stream has delivered.
    async fn last_delivered(&self, stream: Stream) -> Result<u64, InspectError> {
        let mut last = 0;
        for durable in Durable::ALL.into_iter().filter(|durable| durable.stream() == stream) {
            match self.consumer_info(durable).await {
                Ok(info) => last = last.max(info.delivered.stream_sequence),
                Err(InspectError::NoConsumer(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(last)
    }

    async fn request_backup<T: for<'a> Deserialize<'a>>(
        &self,
        call: &str,
        stream: Stream,
        request: &impl Serialize,
    ) -> Result<T, BackupError> {
        let subject = format!("$JS.API.STREAM.{call}.{}", stream.name());
        let request = self.client().request(subject.clone(), serde_json::to_vec(request)?.into());
        let answer = request.await.map_err(|_| self.unanswered(&subject))?;
        match serde_json::from_slice(&answer.payload)? {
            Response::Ok(value) => Ok(value),
            Response::Err { error } => Err(BackupError::Refused(error.to_string())),
        }
    }
}

/// Creates or empties a file that only its owner may read: it contains sources and hidden tests.
fn create(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}
