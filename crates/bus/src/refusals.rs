//! What the server has forbidden us: it says so beside the request, which then merely has no answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::{Event, ServerError};

/// How long a refusal shows. What is tried all the time is refused again within this.
const SHOWN_FOR: Duration = Duration::from_mins(1);

/// The last refusal. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Refusals(Arc<Mutex<Option<(Instant, String)>>>);

impl Refusals {
    /// Keeps the event if it is a refusal, and says so.
    pub(crate) fn note(&self, event: &Event) -> bool {
        let Some(text) = refusal(event) else { return false };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), text.to_owned()));
        true
    }

    /// The last one, for a minute.
    pub(crate) fn last(&self) -> Option<String> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| at.elapsed() < SHOWN_FOR).map(|(_, text)| text.clone())
    }
}

/// The text of a refusal. The protocol has nothing but the text to know it by.
fn refusal(event: &Event) -> Option<&str> {
    match event {
        Event::ServerError(ServerError::Other(text))
            if text.to_ascii_lowercase().starts_with("permissions violation") =>
        {
            Some(text)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_forbidden_is_kept() {
        let refusals = Refusals::default();
        for other in [Event::Connected, Event::ServerError(ServerError::Other("stale connection".into()))] {
            assert!(!refusals.note(&other));
        }
        assert_eq!(refusals.last(), None);
        let text = "Permissions Violation for Publish to \"x\"";
        assert!(refusals.note(&Event::ServerError(ServerError::Other(text.into()))));
        assert_eq!(refusals.clone().last().as_deref(), Some(text));
    }
}
