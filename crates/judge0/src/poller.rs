//! One poll for all that is in flight, of all submissions of a judge.
//!
//! It reads the batch endpoint: the answer to a single `GET` is cached by Judge0 for a second. A test is looked at
//! early, then at intervals that grow with its age; whoever is nearly due is taken along in the same call.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::call::{CallError, chain};
use crate::judge0::{Pace, Shared};
use crate::report::Report;

/// How many calls one look may make at once, where more is in flight than a batch may have.
const CALLS_AT_ONCE: usize = 4;

/// The status of what waits for a worker.
const IN_QUEUE: u64 = 1;

/// What became of a test in flight.
#[derive(Debug)]
pub(crate) enum Sighting {
    /// It is over.
    Final(Report),
    /// Judge0 does not know the token, or began with it and has not ended it in all the time it had.
    Lost(&'static str),
    /// Judge0 could not be asked for too long, or has not begun with it in all that time; why.
    Unseen(String),
}

/// A test in flight. Whoever drops the receiver is not interested any more: it is no longer looked at.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) token: String,
    /// When it was sent.
    pub(crate) sent: Instant,
    /// When it counts as lost.
    pub(crate) until: Instant,
    pub(crate) landed: oneshot::Sender<Sighting>,
}

struct Watched {
    flight: Flight,
    due: Instant,
}

/// Runs until every sender of flights is gone.
pub(crate) async fn poll(shared: Arc<Shared>, mut flights: mpsc::Receiver<Flight>) {
    let mut sky = Sky { watched: HashMap::new(), failures: 0, failing_since: None };
    loop {
        let due = sky.due();
        tokio::select! {
            biased;
            flight = flights.recv() => match flight {
                Some(flight) => sky.take(flight, &shared.pace),
                None => return,
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => sky.look(&shared).await,
        }
    }
}

struct Sky {
    watched: HashMap<String, Watched>,
    /// Looks in a row that failed.
    failures: u64,
    failing_since: Option<Instant>,
}

impl Sky {
    fn take(&mut self, flight: Flight, pace: &Pace) {
        let due = flight.sent + pace.first_look;
        self.watched.insert(flight.token.clone(), Watched { flight, due });
    }

    fn due(&self) -> Option<Instant> {
        self.watched.values().map(|watched| watched.due).min()
    }

    async fn look(&mut self, shared: &Shared) {
        self.watched.retain(|_, watched| !watched.flight.landed.is_closed());
        let tokens = self.nearly_due(&shared.pace);
        let batch = shared.limits.borrow().map_or(1, |limits| limits.max_batch);
        let looks: Vec<_> = stream::iter(tokens.chunks(batch).map(<[String]>::to_vec))
            .map(|tokens| async move {
                let seen = look(shared, &tokens).await;
                shared.breaker.note(&seen);
                (tokens, seen)
            })
            .buffer_unordered(CALLS_AT_ONCE)
            .collect()
            .await;
        for (tokens, seen) in looks {
            match seen {
                Ok(reports) => self.saw(&tokens, reports, shared),
                Err(error) => self.failed(&tokens, &error, &shared.pace),
            }
        }
    }

    /// What is due, and what will be before half of its interval is over, oldest first.
    fn nearly_due(&self, pace: &Pace) -> Vec<String> {
        let now = Instant::now();
        let nearly = |watched: &&Watched| watched.due <= now + interval(watched.flight.sent, now, pace) / 2;
        let mut due: Vec<_> =
            self.watched.values().filter(nearly).map(|it| (it.flight.sent, &it.flight.token)).collect();
        due.sort();
        due.into_iter().map(|(_, token)| token.clone()).collect()
    }

    fn saw(&mut self, tokens: &[String], reports: Vec<Option<Report>>, shared: &Shared) {
        (self.failures, self.failing_since) = (0, None);
        let now = Instant::now();
        let _all_at_once = shared.telling();
        for (token, report) in tokens.iter().zip(reports) {
            let sighting = match report {
                Some(report) if report.is_final() => Sighting::Final(report),
                None => Sighting::Lost("a token that it has forgotten"),
                Some(report) => {
                    let Some(watched) = self.watched.get_mut(token) else { continue };
                    if now < watched.flight.until {
                        watched.due = now + interval(watched.flight.sent, now, &shared.pace);
                        continue;
                    }
                    if report.status == Some(IN_QUEUE) {
                        // Another token would only wait behind this one.
                        Sighting::Unseen("Judge0 does not get round to what is in its queue".to_owned())
                    } else {
                        Sighting::Lost("a test that it has not ended in time")
                    }
                }
            };
            self.land(token, sighting);
        }
    }

    fn failed(&mut self, tokens: &[String], error: &CallError, pace: &Pace) {
        self.failures += 1;
        let now = Instant::now();
        let since = *self.failing_since.get_or_insert(now);
        let pause =
            pace.retry.delay(self.failures, rand::random()).max(error.retry_after().unwrap_or_default());
        debug!(cause = chain(error), retry_in_ms = pause.as_millis(), "cannot look at what is in flight");
        let is_over = now + pause > since + pace.patience || matches!(error, CallError::Refused { .. });
        for token in tokens {
            if is_over {
                self.land(token, Sighting::Unseen(chain(error)));
            } else if let Some(watched) = self.watched.get_mut(token) {
                watched.due = now + pause;
            }
        }
    }

    fn land(&mut self, token: &str, sighting: Sighting) {
        if let Some(watched) = self.watched.remove(token) {
            // Nobody may be waiting any more.
            let _ = watched.flight.landed.send(sighting);
        }
    }
}

/// Looks at some; at fewer at a time where the answer would be too large.
async fn look(shared: &Shared, tokens: &[String]) -> Result<Vec<Option<Report>>, CallError> {
    let all: Vec<&str> = tokens.iter().map(String::as_str).collect();
    match shared.client.look(&all).await {
        Err(CallError::TooLarge { .. }) if all.len() > 1 => {
            let mut seen = Vec::with_capacity(all.len());
            for token in all {
                seen.extend(shared.client.look(&[token]).await?);
            }
            Ok(seen)
        }
        seen => seen,
    }
}

/// Until the next look at a test: it grows with the age of the test, so that a quick one is seen at once, and a slow
/// one costs few looks and is seen late by a part of what it took.
fn interval(sent: Instant, now: Instant, pace: &Pace) -> Duration {
    (now.saturating_duration_since(sent) / 2).clamp(pace.first_look, pace.longest_look)
}
