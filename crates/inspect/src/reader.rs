//! Reading a stream in order, page by page, with direct gets (ADR-31 of nats-architecture-and-design).

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use async_nats::HeaderValue;
use futures::StreamExt as _;
use gavel_bus::topology::Stream;
use serde_json::json;

use crate::inspector::{InspectError, Inspector};
use crate::message::Message;

/// How many messages one request may bring.
const PAGE_MESSAGES: u32 = 500;
/// How many bytes one request may bring.
const PAGE_BYTES: u32 = 2 << 20;
/// How long the server may pause within an answer.
const PAUSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the next page starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PageStart {
    Sequence(u64),
    Time(SystemTime),
}

/// Reads the messages of one stream in order.
pub struct Reader {
    inspector: Inspector,
    stream: Stream,
    filter: String,
    next_page: PageStart,
    page: VecDeque<Message>,
    page_size: u32,
    /// Whether the last page was the end of the stream when it was read.
    at_end: bool,
}

impl Inspector {
    /// Reads the messages of a stream whose subjects match `filter`, from a point in time or from the start.
    #[must_use]
    pub fn read(&self, stream: Stream, filter: &str, since: Option<SystemTime>) -> Reader {
        Reader {
            inspector: self.clone(),
            stream,
            filter: filter.to_owned(),
            next_page: since.map_or(PageStart::Sequence(1), PageStart::Time),
            page: VecDeque::new(),
            page_size: PAGE_MESSAGES,
            at_end: false,
        }
    }

    /// Returns the first message whose subject matches `filter`, at or after a sequence number; `None` if there is none.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read.
    pub async fn first(
        &self,
        stream: Stream,
        filter: &str,
        from: u64,
    ) -> Result<Option<Message>, InspectError> {
        let mut reader = self.read(stream, filter, None);
        (reader.next_page, reader.page_size) = (PageStart::Sequence(from.max(1)), 1);
        reader.next().await
    }
}

impl Reader {
    /// Returns the next message; `None` at the present end of the stream, after which it may be called again.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read.
    pub async fn next(&mut self) -> Result<Option<Message>, InspectError> {
        if self.page.is_empty() && !std::mem::take(&mut self.at_end) {
            self.read_page().await?;
        }
        let message = self.page.pop_front();
        if message.is_none() {
            self.at_end = false;
        }
        Ok(message)
    }

    /// Returns when the next message was stored; `None` at the end.
    pub(crate) async fn peek_time(&mut self) -> Result<Option<SystemTime>, InspectError> {
        if self.page.is_empty() && !self.at_end {
            self.read_page().await?;
        }
        Ok(self.page.front().map(|message| message.at))
    }

    /// Whether the stream still has the sequence numbers that were read.
    pub(crate) async fn can_continue(&self) -> Result<bool, InspectError> {
        let PageStart::Sequence(next) = self.next_page else { return Ok(true) };
        let (info, _) = self.inspector.stream_info(self.stream).await?;
        Ok(next <= info.state.last_sequence + 1)
    }

    /// Makes the next read ask the server again, even after the end.
    pub(crate) fn resume(&mut self) {
        self.at_end = false;
    }

    async fn read_page(&mut self) -> Result<(), InspectError> {
        let mut request =
            json!({ "batch": self.page_size, "max_bytes": PAGE_BYTES, "next_by_subj": self.filter });
        match self.next_page {
            PageStart::Sequence(sequence) => request["seq"] = sequence.into(),
            PageStart::Time(at) => {
                request["start_time"] = humantime::format_rfc3339_nanos(at).to_string().into();
            }
        }
        let client = self.inspector.client();
        let subject = format!("$JS.API.DIRECT.GET.{}", self.stream.name());
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(inbox.clone()).await.map_err(|_| InspectError::NoAnswer)?;
        let sent = client.publish_with_reply(subject.clone(), inbox, request.to_string().into()).await;
        sent.map_err(|_| InspectError::NoAnswer)?;
        loop {
            let answer = tokio::time::timeout(PAUSE_TIMEOUT, answers.next()).await;
            let Ok(Some(answer)) = answer else { return Err(self.inspector.unanswered(&subject)) };
            let headers = answer.headers.as_ref();
            match answer.status.map(|status| status.as_u16()) {
                None => {
                    let message = Message::stored(headers, answer.payload).ok_or_else(|| {
                        InspectError::UnexpectedAnswer("a message without its sequence number".to_owned())
                    })?;
                    self.next_page = PageStart::Sequence(message.sequence.unwrap_or(0) + 1);
                    self.page.push_back(message);
                }
                // The end of this answer, and how many messages are left.
                Some(204) => {
                    let pending = headers.and_then(|headers| headers.get("Nats-Num-Pending"));
                    self.at_end = pending.map(HeaderValue::as_str).is_none_or(|count| count == "0");
                    return Ok(());
                }
                Some(404) => {
                    self.at_end = true;
                    return Ok(());
                }
                Some(503) => return Err(InspectError::NoStream(self.stream.name())),
                Some(status) => {
                    let description = answer.description.unwrap_or_default();
                    return Err(InspectError::UnexpectedAnswer(format!("{status} {description}")));
                }
            }
        }
    }
}
