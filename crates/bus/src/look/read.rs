//! Reading a stream in order, page by page, with direct gets (ADR-31 of nats-architecture-and-design).

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use futures::StreamExt as _;
use serde_json::json;

use super::{Look, LookError, Message, sent_headers};
use crate::topology::Stream;

/// What one request may bring.
const PAGE_MESSAGES: u32 = 500;
const PAGE_BYTES: u32 = 2 << 20;
/// How long the server may be silent within an answer.
const SILENCE: Duration = Duration::from_secs(3);

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Sequence(u64),
    Time(SystemTime),
}

/// Reads the messages of one stream in their order.
pub struct Reader {
    look: Look,
    stream: Stream,
    filter: String,
    place: Place,
    page: VecDeque<Message>,
    most: u32,
    /// Whether the last page was the last one, for now.
    at_end: bool,
}

impl Look {
    /// Reads what a stream holds on subjects that match, from a point in time or from its beginning.
    #[must_use]
    pub fn read(&self, stream: Stream, filter: &str, since: Option<SystemTime>) -> Reader {
        Reader {
            look: self.clone(),
            stream,
            filter: filter.to_owned(),
            place: since.map_or(Place::Sequence(1), Place::Time),
            page: VecDeque::new(),
            most: PAGE_MESSAGES,
            at_end: false,
        }
    }

    /// The first message on a subject that matches, at or behind a sequence number.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn first(&self, stream: Stream, filter: &str, from: u64) -> Result<Option<Message>, LookError> {
        let mut reader = self.read(stream, filter, None);
        (reader.place, reader.most) = (Place::Sequence(from.max(1)), 1);
        reader.next().await
    }
}

impl Reader {
    /// The next message; nothing at the end of what is there by now. To ask again later is fine.
    ///
    /// # Errors
    /// [`LookError`].
    pub async fn next(&mut self) -> Result<Option<Message>, LookError> {
        if self.page.is_empty() && !std::mem::take(&mut self.at_end) {
            self.turn().await?;
        }
        let message = self.page.pop_front();
        if message.is_none() {
            self.at_end = false;
        }
        Ok(message)
    }

    /// When the next message was stored; nothing at the end.
    pub(super) async fn peek(&mut self) -> Result<Option<SystemTime>, LookError> {
        if self.page.is_empty() && !self.at_end {
            self.turn().await?;
        }
        Ok(self.page.front().map(|message| message.at))
    }

    /// Has the next look ask the server again.
    pub(super) fn again(&mut self) {
        self.at_end = false;
    }

    /// Reads a page, unless there is nothing more.
    async fn turn(&mut self) -> Result<(), LookError> {
        let mut request = json!({ "batch": self.most, "max_bytes": PAGE_BYTES, "next_by_subj": self.filter });
        match self.place {
            Place::Sequence(sequence) => request["seq"] = sequence.into(),
            Place::Time(at) => {
                request["start_time"] = humantime::format_rfc3339_nanos(at).to_string().into();
            }
        }
        let client = &self.look.client;
        let subject = format!("$JS.API.DIRECT.GET.{}", self.stream.name());
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(inbox.clone()).await.map_err(|_| LookError::Silent)?;
        let sent = client.publish_with_reply(subject.clone(), inbox, request.to_string().into()).await;
        sent.map_err(|_| LookError::Silent)?;
        loop {
            let answer = tokio::time::timeout(SILENCE, answers.next()).await;
            let Ok(Some(answer)) = answer else { return Err(self.look.unanswered(&subject)) };
            let headers = answer.headers.as_ref();
            match answer.status.map(|status| status.as_u16()) {
                None => {
                    let message = stored(headers, answer.payload)
                        .ok_or_else(|| LookError::Odd("a message without its sequence".to_owned()))?;
                    self.place = Place::Sequence(message.sequence.unwrap_or(0) + 1);
                    self.page.push_back(message);
                }
                // The end of this answer, and whether there is more.
                Some(204) => {
                    self.at_end = header(headers, "Nats-Num-Pending").is_none_or(|count| count == "0");
                    return Ok(());
                }
                Some(404) => {
                    self.at_end = true;
                    return Ok(());
                }
                Some(503) => return Err(LookError::NoStream(self.stream.name())),
                Some(status) => {
                    let said = answer.description.unwrap_or_default();
                    return Err(LookError::Odd(format!("{status} {said}")));
                }
            }
        }
    }
}

fn header<'a>(headers: Option<&'a HeaderMap>, name: &str) -> Option<&'a str> {
    headers?.get(name).map(async_nats::HeaderValue::as_str)
}

fn stored(headers: Option<&HeaderMap>, payload: bytes::Bytes) -> Option<Message> {
    let at = humantime::parse_rfc3339(header(headers, "Nats-Time-Stamp")?).ok()?;
    Some(Message {
        at,
        subject: header(headers, "Nats-Subject")?.to_owned(),
        headers: sent_headers(headers),
        payload,
        sequence: Some(header(headers, "Nats-Sequence")?.parse().ok()?),
    })
}
