//! The submissions that wait for a judge that serves their language.

use std::collections::BTreeMap;
use std::time::SystemTime;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{self, DirectGetErrorKind};
use async_nats::{SubscribeError, Subscriber};
use futures::{StreamExt as _, TryStreamExt as _};
use gavel_domain::LanguageId;

use crate::bus::Bus;
use crate::topology::{self, ALL_WAITING, ConsumerId, Stream};

/// A language that submissions wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingLanguage {
    /// The language.
    pub language: LanguageId,
    /// How many submissions wait for a judge that serves it. Those in progress count until they have a verdict.
    pub submissions: u64,
    /// When the oldest of them was handed on.
    pub since: SystemTime,
}

/// A subscription to the submissions that are handed on.
pub struct HandedOnLanguages(Subscriber);

/// Returns the languages that submissions wait for, by id.
///
/// # Errors
/// Returns an error if the server does not answer, or if the stream does not exist.
pub async fn waiting_languages(context: &Context) -> Result<Vec<WaitingLanguage>, async_nats::Error> {
    let stream = context.get_stream_no_info(Stream::Waiting.name()).await?;
    let mut subjects = stream.info_with_subjects(ALL_WAITING).await?;
    let mut counts = BTreeMap::<LanguageId, u64>::new();
    while let Some((subject, messages)) = subjects.try_next().await? {
        if let Some(language) = topology::waiting_language(&subject) {
            *counts.entry(language).or_default() += messages as u64;
        }
    }
    let mut languages = Vec::new();
    for (language, messages) in counts {
        let Some((submissions, first)) = not_acknowledged(&stream, language, messages).await? else {
            continue;
        };
        match stream.direct_get_next_for_subject(topology::waiting(language, ">"), Some(first)).await {
            Ok(oldest) => {
                languages.push(WaitingLanguage { language, submissions, since: oldest.time.into() });
            }
            // All of them were judged meanwhile.
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(languages)
}

/// Returns how many of a language's messages no judge has acknowledged, and the lowest sequence number that they can have;
/// `None` if there are none. A server that was killed, or whose disk was full, may still have messages that were acknowledged.
async fn not_acknowledged(
    stream: &stream::Stream<()>,
    language: LanguageId,
    messages: u64,
) -> Result<Option<(u64, u64)>, async_nats::Error> {
    let count = match stream.consumer_info(ConsumerId::Language(language).name()).await {
        Ok(info) => (info.num_pending + info.num_ack_pending as u64, info.ack_floor.stream_sequence + 1),
        // No judge has taken any yet.
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => (messages, 1),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(count).filter(|(submissions, _)| *submissions > 0))
}

impl Bus {
    /// Returns the languages that submissions wait for, by id.
    ///
    /// # Errors
    /// Returns an error if the server does not answer, or if the stream does not exist.
    pub async fn waiting_languages(&self) -> Result<Vec<WaitingLanguage>, async_nats::Error> {
        waiting_languages(&self.context).await
    }

    /// Returns whether at least half of the submissions that may wait do so, by their number or their bytes.
    ///
    /// # Errors
    /// Returns an error if the server does not answer, or if the stream does not exist.
    pub async fn is_waiting_half_full(&self) -> Result<bool, async_nats::Error> {
        let (state, config, submissions) = self.info_without_probes(Stream::Waiting).await?;
        let is_half = |now: u64, max: i64| u64::try_from(max).is_ok_and(|max| now >= max.div_ceil(2));
        Ok(is_half(submissions, config.max_messages) || is_half(state.bytes, config.max_bytes))
    }

    /// Subscribes to the submissions that are handed on. The subscription survives reconnections, but messages that are
    /// published meanwhile are missed.
    ///
    /// # Errors
    /// Returns an error if the client is closed.
    pub async fn handed_on_languages(&self) -> Result<HandedOnLanguages, SubscribeError> {
        self.client.subscribe(ALL_WAITING).await.map(HandedOnLanguages)
    }
}

impl HandedOnLanguages {
    /// Returns the language of the next submission that is handed on, possibly before it is stored; `None` once the
    /// client is closed. Cancel safe.
    pub async fn next(&mut self) -> Option<LanguageId> {
        loop {
            if let Some(language) = topology::waiting_language(&self.0.next().await?.subject) {
                return Some(language);
            }
        }
    }
}
