//! The events of a pipeline as they are published, on a subscription like that of `gavel tap`.

use async_nats::{Message, Subscriber};
use futures::StreamExt as _;
use gavel_proto::WireEvent;

use crate::{JetStream, TEST_TIMEOUT};

/// A subscription to all submissions' events, which remembers what it received.
#[derive(Debug)]
pub struct Events {
    subscriber: Subscriber,
    received: Vec<Message>,
}

impl Events {
    /// Subscribes; every event that is published from now on is received.
    ///
    /// # Panics
    /// Panics if the server does not answer.
    pub async fn subscribe(jetstream: &JetStream) -> Self {
        let subscriber = jetstream.client.subscribe("submission.>").await.expect("a connection");
        jetstream.client.flush().await.expect("a server that answers");
        Self { subscriber, received: Vec::new() }
    }

    /// Returns the first event of this type about a submission; waits if it is not published yet.
    ///
    /// # Panics
    /// Panics after [`TEST_TIMEOUT`], or if the payload is not such an event.
    pub async fn wait<E: WireEvent>(&mut self, key: &str) -> E {
        E::decode(&self.wait_message(E::NAME, key).await.payload).expect("an event that decodes")
    }

    /// Returns the first message on `submission.<event>.<key>`; waits if it is not published yet.
    ///
    /// # Panics
    /// Panics after [`TEST_TIMEOUT`].
    pub async fn wait_message(&mut self, event: &str, key: &str) -> Message {
        let subject = format!("submission.{event}.{key}");
        if let Some(message) = self.received.iter().find(|message| message.subject.as_str() == subject) {
            return message.clone();
        }
        loop {
            let next = tokio::time::timeout(TEST_TIMEOUT, self.subscriber.next()).await;
            let message = next.unwrap_or_else(|_| panic!("no message on {subject}")).expect("a connection");
            self.received.push(message.clone());
            if message.subject.as_str() == subject {
                return message;
            }
        }
    }

    /// All messages received so far, in the order of their arrival.
    #[must_use]
    pub fn received(&self) -> &[Message] {
        &self.received
    }
}
