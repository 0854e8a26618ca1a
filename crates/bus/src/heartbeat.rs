//! Who is there: each service says so every two seconds, outside every stream, and others listen.

use std::time::Duration;

use async_nats::{PublishError, SubscribeError, Subscriber};
use futures::StreamExt as _;
use gavel_domain::heartbeat::Heartbeat;
use gavel_proto::{decode_heartbeat, encode_heartbeat};

use crate::connect::Bus;

/// How often a service says that it is there.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
/// Who was silent for this long is gone.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest presence that is read, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// What services say of themselves from now on.
pub struct Heartbeats(Subscriber);

impl Bus {
    /// Says that a service is there. Without a connection it is not said at all.
    ///
    /// # Errors
    /// Where the client cannot take it.
    pub async fn announce(&self, heartbeat: &Heartbeat) -> Result<(), PublishError> {
        if !self.is_connected() {
            return Ok(());
        }
        let subject = format!("presence.{}.{}", token(&heartbeat.service), token(&heartbeat.instance));
        self.client.publish(subject, encode_heartbeat(heartbeat)).await
    }

    /// Listens to one kind of service, also across reconnections.
    ///
    /// # Errors
    /// Where the client is closed.
    pub async fn presences(&self, service: &str) -> Result<Heartbeats, SubscribeError> {
        self.client.subscribe(format!("presence.{}.*", token(service))).await.map(Heartbeats)
    }
}

impl Heartbeats {
    /// The next instance that says it is there, by its subject, which is its own alone; nothing once the connection
    /// is closed for good. What cannot be read is passed over.
    pub async fn next(&mut self) -> Option<(String, Heartbeat)> {
        loop {
            let message = self.0.next().await?;
            if message.payload.len() > MAX_BYTES {
                continue;
            }
            if let Ok(heartbeat) = decode_heartbeat(&message.payload) {
                return Some((message.subject.to_string(), heartbeat));
            }
        }
    }
}

/// The text as one token of a subject.
fn token(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let token: String = text.chars().take(128).map(|c| if fits(c) { c } else { '_' }).collect();
    if token.is_empty() { "_".to_owned() } else { token }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_one_token() {
        assert_eq!(token("judge-h1.example.org-7"), "judge-h1_example_org-7");
        assert_eq!(token("a b>*é"), "a_b___");
        assert_eq!(token(""), "_");
        assert_eq!(token(&"x".repeat(500)).len(), 128);
    }
}
