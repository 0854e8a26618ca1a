//! The consumers of the languages that submissions wait for, as far as a loop reads them now.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gavel_domain::LanguageId;
use tracing::info;

use super::workers::Workers;
use crate::handler::{Cause, Handler};
use crate::languages::{LanguageTurns, Take};
use crate::pull::{Lost, Puller};
use crate::settle::{Settlement, settle};
use crate::topology::ConsumerId;

/// The turns of the languages, and their consumers while messages come from them.
pub(super) struct Languages {
    turns: Option<Arc<LanguageTurns>>,
    open: BTreeMap<LanguageId, Puller>,
}

impl Languages {
    pub(super) fn of<H: Handler>(work: &Workers<H>) -> Self {
        Self { turns: work.handler.language_turns(), open: BTreeMap::new() }
    }

    /// Whether submissions may wait for a language.
    pub(super) fn are_due(&self) -> bool {
        self.turns.as_ref().is_some_and(|turns| turns.is_any())
    }

    /// Waits until submissions may wait for a language.
    pub(super) async fn until_due(&self) {
        match &self.turns {
            Some(turns) => turns.wait().await,
            None => std::future::pending().await,
        }
    }

    /// Starts the work on up to `free` submissions that wait for the language whose turn it is. If all are to be taken and
    /// there was one, it has a further turn.
    pub(super) async fn serve<H: Handler>(&mut self, work: &mut Workers<H>, free: usize) {
        let Some(turns) = &self.turns else { return };
        let Some((language, take)) = turns.next() else { return };
        let limit = if take == Take::One { 1 } else { free };
        let puller = match self.open.remove(&language) {
            Some(puller) => Ok(puller),
            None => Puller::open(&work.bus, ConsumerId::Language(language)).await,
        };
        let served = match puller {
            Ok(mut puller) => {
                let served = serve_available(&mut puller, work, language, limit).await;
                if take == Take::All && matches!(served, Ok(1..)) {
                    turns.add(language, take);
                    self.open.insert(language, puller);
                } else {
                    close(puller).await;
                }
                served
            }
            Err(lost) => Err(lost),
        };
        // The next turn comes with the next look for waiting submissions.
        if let Err(lost) = served {
            info!(%language, reason = %Cause::from(lost), "cannot take the submissions that wait for a language");
        }
    }

    pub(super) async fn close(self) {
        for puller in self.open.into_values() {
            close(puller).await;
        }
    }
}

/// Starts the work on the messages that are there now, and returns their number.
async fn serve_available<H: Handler>(
    puller: &mut Puller,
    work: &mut Workers<H>,
    language: LanguageId,
    limit: usize,
) -> Result<usize, Lost> {
    puller.request_available(limit).await?;
    let (settings, mut served) = (work.settings.clone(), 0);
    while puller.outstanding() > 0 {
        let next = tokio::select! {
            next = puller.next() => next?,
            () = settings.stopped() => break,
        };
        if let Some(message) = next {
            work.start(ConsumerId::Language(language), puller.ack_wait(), message);
            served += 1;
        }
    }
    Ok(served)
}

async fn close(puller: Puller) {
    for message in puller.close().await {
        settle(&message, Settlement::HandBack(Duration::ZERO)).await;
    }
}
