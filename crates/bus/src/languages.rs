//! The languages whose waiting submissions a consumer loop should look for.

use std::collections::VecDeque;

use gavel_domain::LanguageId;
use tokio::sync::watch;

/// How many waiting submissions a loop takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// One.
    One,
    /// All, in turns with other work.
    All,
}

/// The languages in the order of their turns. The handler's side adds languages that submissions wait for; the consumer
/// loop takes them.
#[derive(Debug)]
pub struct LanguageTurns(watch::Sender<VecDeque<(LanguageId, Take)>>);

impl Default for LanguageTurns {
    fn default() -> Self {
        Self(watch::Sender::new(VecDeque::new()))
    }
}

impl LanguageTurns {
    /// Adds a turn of a language, unless it has one already.
    pub fn add(&self, language: LanguageId, take: Take) {
        self.0.send_if_modified(|turns| {
            let is_new = turns.iter().all(|(other, _)| *other != language);
            if is_new {
                turns.push_back((language, take));
            }
            is_new
        });
    }

    /// Removes the next turn.
    pub(crate) fn next(&self) -> Option<(LanguageId, Take)> {
        let mut next = None;
        self.0.send_if_modified(|turns| {
            next = turns.pop_front();
            false
        });
        next
    }

    /// Whether a language has a turn.
    pub(crate) fn is_any(&self) -> bool {
        !self.0.borrow().is_empty()
    }

    /// Waits until a language has a turn.
    pub(crate) async fn wait(&self) {
        // It cannot fail: the sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(|turns| !turns.is_empty()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_take_turns_and_each_has_one() {
        let turns = LanguageTurns::default();
        for id in [83, 70, 83] {
            turns.add(LanguageId(id), Take::All);
        }
        assert!(turns.is_any());
        let taken: Vec<_> = std::iter::from_fn(|| turns.next()).map(|(language, _)| language.0).collect();
        assert_eq!((taken, turns.is_any()), (vec![83, 70], false));
    }
}
