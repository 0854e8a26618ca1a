//! Heartbeats: each service sends one every two seconds, outside of all streams.

use std::time::Duration;

use async_nats::{PublishError, SubscribeError, Subscriber};
use futures::StreamExt as _;
use gavel_domain::heartbeat::Heartbeat;
use gavel_proto::{decode_heartbeat, encode_heartbeat};

use crate::bus::Bus;

/// How often a service sends a heartbeat.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
/// An instance without a heartbeat for this long is considered gone.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest heartbeat that is read, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// A subscription to heartbeats.
pub struct Heartbeats(Subscriber);

impl Bus {
    /// Sends a heartbeat. Without a connection it is skipped.
    ///
    /// # Errors
    /// Returns an error if the client is closed.
    pub async fn send_heartbeat(&self, heartbeat: &Heartbeat) -> Result<(), PublishError> {
        if !self.is_connected() {
            return Ok(());
        }
        let subject = format!("presence.{}.{}", token(&heartbeat.service), token(&heartbeat.instance));
        self.client.publish(subject, encode_heartbeat(heartbeat)).await
    }

    /// Subscribes to the heartbeats of one kind of service. The subscription survives reconnections.
    ///
    /// # Errors
    /// Returns an error if the client is closed.
    pub async fn heartbeats(&self, service: &str) -> Result<Heartbeats, SubscribeError> {
        self.client.subscribe(format!("presence.{}.*", token(service))).await.map(Heartbeats)
    }
}

impl Heartbeats {
    /// Returns the next heartbeat with its subject, which belongs to one instance; `None` once the client is closed.
    /// Messages that are too large or cannot be decoded are skipped.
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

/// Turns any text into one token of a subject.
fn token(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let token: String = text.chars().take(128).map(|c| if fits(c) { c } else { '_' }).collect();
    if token.is_empty() { "_".to_owned() } else { token }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_valid_for_any_name() {
        assert_eq!(token("judge-h1.example.org-7"), "judge-h1_example_org-7");
        assert_eq!(token("a b>*é"), "a_b___");
        assert_eq!(token(""), "_");
        assert_eq!(token(&"x".repeat(500)).len(), 128);
    }
}
