//! Streams and consumers of a test's server, seen and changed without `gavel_bus`, as an operator would.

use async_nats::jetstream::{self, consumer, message::StreamMessage};
use bytes::Bytes;
use futures::TryStreamExt as _;
use gavel_bus::topology::{self, Durable, Stream};

use crate::{NatsServer, TEST_TIMEOUT, wait_until};

/// A connection to a server's `JetStream`.
#[derive(Debug, Clone)]
pub struct JetStream {
    /// The client's own API, for everything that has no method here.
    pub context: jetstream::Context,
    /// The connection below it.
    pub client: async_nats::Client,
}

impl JetStream {
    /// Connects to a server without a key.
    ///
    /// # Panics
    /// Panics if the server does not answer.
    pub async fn connect(nats: &NatsServer) -> Self {
        let client = async_nats::connect(nats.url()).await.expect("a server that answers");
        Self { context: jetstream::new(client.clone()), client }
    }

    /// Returns how many messages a stream holds, without the probes of the services.
    ///
    /// # Panics
    /// Panics if the stream does not exist.
    pub async fn message_count(&self, stream: Stream) -> u64 {
        let found = self.context.get_stream(stream.name()).await.expect("a stream that exists");
        let subjects = found.info_with_subjects(">").await.expect("a stream that exists");
        let counts: Vec<(String, usize)> = subjects.try_collect().await.expect("a connection");
        let events = counts.into_iter().filter(|(subject, _)| *subject != topology::probe(stream));
        events.map(|(_, count)| count as u64).sum()
    }

    /// Returns how many subjects of a stream match `pattern` and hold a message, or `None` if the server does not
    /// answer.
    pub async fn subject_count(&self, stream: Stream, pattern: &str) -> Option<usize> {
        let stream = self.context.get_stream_no_info(stream.name()).await.ok()?;
        let subjects = stream.info_with_subjects(pattern).await.ok()?;
        Some(subjects.try_collect::<Vec<_>>().await.ok()?.len())
    }

    /// Returns the last message stored on `subject`, or `None` if there is none.
    ///
    /// # Panics
    /// Panics if the stream does not exist or the server does not answer.
    pub async fn last_message(&self, stream: Stream, subject: &str) -> Option<StreamMessage> {
        use jetstream::stream::DirectGetErrorKind::NotFound;
        let stream = self.context.get_stream_no_info(stream.name()).await.expect("a connection");
        match stream.direct_get_last_for_subject(subject).await {
            Ok(message) => Some(message),
            Err(error) if error.kind() == NotFound => None,
            Err(error) => panic!("cannot read {subject}: {error}"),
        }
    }

    /// Stores any bytes on a subject.
    ///
    /// # Panics
    /// Panics if no stream takes them.
    pub async fn store(&self, subject: &str, payload: impl Into<Bytes>) {
        let sent = self.context.publish(subject.to_owned(), payload.into()).await.expect("a connection");
        sent.await.unwrap_or_else(|error| panic!("cannot store on {subject}: {error}"));
    }

    /// Returns a consumer's state.
    ///
    /// # Panics
    /// Panics if the consumer does not exist.
    pub async fn consumer_info(&self, durable: Durable) -> consumer::Info {
        self.try_consumer_info(durable).await.expect("a consumer that exists")
    }

    async fn try_consumer_info(&self, durable: Durable) -> Result<consumer::Info, async_nats::Error> {
        let stream = self.context.get_stream_no_info(durable.stream().name()).await?;
        Ok(stream.consumer_info(durable.name()).await?)
    }

    /// Waits until a consumer has delivered all messages and all are acknowledged.
    ///
    /// # Panics
    /// Panics after [`TEST_TIMEOUT`].
    pub async fn wait_idle(&self, durable: Durable) {
        let is_idle = async || {
            let info = self.try_consumer_info(durable).await;
            info.is_ok_and(|info| info.num_pending == 0 && info.num_ack_pending == 0)
        };
        let idle = wait_until(&format!("{} to be idle", durable.name()), TEST_TIMEOUT, is_idle).await;
        idle.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Deletes a consumer, and with it the record of what was acknowledged.
    ///
    /// # Panics
    /// Panics if the consumer does not exist.
    pub async fn delete_consumer(&self, durable: Durable) {
        let stream = self.context.get_stream_no_info(durable.stream().name()).await.expect("a connection");
        stream.delete_consumer(durable.name()).await.expect("a consumer that exists");
    }
}
