//! Fault injection: a table of rules, each of which says which calls fail and how.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use crate::endpoint::Endpoint;

/// How a call fails.
#[derive(Debug, Clone, PartialEq)]
pub enum HttpFault {
    /// Answered with this status; not applied.
    Status {
        /// The HTTP status.
        code: u16,
        /// The value of `Retry-After`, in seconds or as a date.
        retry_after: Option<String>,
        /// The body, sent as plain text.
        body: String,
    },
    /// The connection is reset without an answer; not applied.
    Reset,
    /// Applied, then the connection is reset: the answer is lost.
    ApplyThenReset,
    /// Applied at once, answered after this time.
    Hang(Duration),
    /// Applied and answered after this time, even if the caller has gone.
    ApplyLate(Duration),
    /// Applied at once. The head of the answer is sent at once, its body in small pieces over this time.
    Slow(Duration),
    /// An HTML page with this status, as from a proxy in between; not applied.
    Html(u16),
    /// Applied, but the connection ends after half of the body.
    HalfBody,
    /// Applied, but a proxy in between forwards half of the body as if it were all.
    CutBody,
    /// Applied. The answer is compressed, whether the caller accepts that or not.
    Gzip,
    /// Answered with a compressed body of this many spaces; not applied.
    GzipBomb(u64),
    /// Answered by something else than the app, with this status, media type and body; not applied.
    Foreign(u16, &'static str, String),
    /// Refused by the app's own function with this status; not applied.
    Refused(u16),
    /// Redirected with this status and `Location`; not applied.
    Redirect(u16, String),
}

impl HttpFault {
    /// [`HttpFault::Status`] with an empty body and no `Retry-After`.
    #[must_use]
    pub fn status(code: u16) -> Self {
        Self::Status { code, retry_after: None, body: String::new() }
    }

    /// [`HttpFault::Status`] with `Retry-After` in whole seconds.
    #[must_use]
    pub fn retry_after(code: u16, seconds: u64) -> Self {
        Self::Status { code, retry_after: Some(seconds.to_string()), body: String::new() }
    }

    /// What the platform answers to every path of a deployment without HTTP actions.
    #[must_use]
    pub fn without_http_actions() -> Self {
        let body = "This Convex deployment does not have HTTP actions enabled.".to_owned();
        Self::Status { code: 404, retry_after: None, body }
    }

    /// Whether the request has its effect.
    pub(crate) fn applies(&self) -> bool {
        match self {
            Self::ApplyThenReset
            | Self::Hang(_)
            | Self::ApplyLate(_)
            | Self::Slow(_)
            | Self::HalfBody
            | Self::CutBody
            | Self::Gzip => true,
            Self::Status { .. }
            | Self::Reset
            | Self::Html(_)
            | Self::GzipBomb(_)
            | Self::Foreign(..)
            | Self::Refused(_)
            | Self::Redirect(..) => false,
        }
    }
}

/// Which of the matching calls fail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Nth {
    /// All of them.
    Always,
    /// The first ones, up to this number.
    First(u64),
    /// Only this one, counted from 1.
    Only(u64),
    /// Each with this probability (0 to 1), from the seeded generator.
    Chance(f64),
}

/// Selects the calls of a rule or a hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Matcher {
    /// Only this endpoint.
    pub endpoint: Option<Endpoint>,
    /// Only this submission, or this question at a test case endpoint.
    pub id: Option<String>,
    /// Which of them.
    pub nth: Nth,
}

impl Matcher {
    /// Every call.
    #[must_use]
    pub fn any() -> Self {
        Self { endpoint: None, id: None, nth: Nth::Always }
    }

    /// Every call of one endpoint.
    #[must_use]
    pub fn of(endpoint: Endpoint) -> Self {
        Self { endpoint: Some(endpoint), ..Self::any() }
    }

    /// Only calls about this submission or question.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Only the first `count` of them.
    #[must_use]
    pub fn first(mut self, count: u64) -> Self {
        self.nth = Nth::First(count);
        self
    }

    /// Only the one with this number, counted from 1.
    #[must_use]
    pub fn only(mut self, number: u64) -> Self {
        self.nth = Nth::Only(number);
        self
    }

    /// Each with this probability, 0 to 1.
    #[must_use]
    pub fn chance(mut self, probability: f64) -> Self {
        self.nth = Nth::Chance(probability);
        self
    }

    fn selects(&self, endpoint: Endpoint, id: Option<&str>) -> bool {
        self.endpoint.is_none_or(|wanted| wanted == endpoint)
            && self.id.as_deref().is_none_or(|wanted| Some(wanted) == id)
    }
}

impl From<Endpoint> for Matcher {
    fn from(endpoint: Endpoint) -> Self {
        Self::of(endpoint)
    }
}

/// A matcher that counts matching calls.
#[derive(Debug)]
pub(crate) struct Counted {
    matcher: Matcher,
    seen: u64,
}

impl Counted {
    pub(crate) fn new(matcher: Matcher) -> Self {
        Self { matcher, seen: 0 }
    }

    /// Counts a call and returns whether it is selected.
    pub(crate) fn matches(&mut self, endpoint: Endpoint, id: Option<&str>, random: &mut Random) -> bool {
        if !self.matcher.selects(endpoint, id) {
            return false;
        }
        self.seen += 1;
        match self.matcher.nth {
            Nth::Always => true,
            Nth::First(count) => self.seen <= count,
            Nth::Only(number) => self.seen == number,
            Nth::Chance(probability) => random.0.random_bool(probability.clamp(0.0, 1.0)),
        }
    }
}

/// The generator behind [`Nth::Chance`]; the same seed and the same order of calls give the same faults.
#[derive(Debug)]
pub(crate) struct Random(SmallRng);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }
}

/// Identifies a rule, to remove it or to count its hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FaultId(u64);

#[derive(Debug)]
struct Rule {
    id: FaultId,
    when: Counted,
    fault: HttpFault,
    hits: u64,
}

/// The rules in the order in which they were added. The first that matches a call decides.
#[derive(Debug, Default)]
pub(crate) struct FaultTable {
    rules: Vec<Rule>,
    made: u64,
}

impl FaultTable {
    pub(crate) fn add(&mut self, matcher: Matcher, fault: HttpFault) -> FaultId {
        self.made += 1;
        let id = FaultId(self.made);
        self.rules.push(Rule { id, when: Counted::new(matcher), fault, hits: 0 });
        id
    }

    pub(crate) fn remove(&mut self, id: FaultId) {
        self.rules.retain(|rule| rule.id != id);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn hits(&self, id: FaultId) -> u64 {
        self.rules.iter().find(|rule| rule.id == id).map_or(0, |rule| rule.hits)
    }

    pub(crate) fn pick(
        &mut self,
        endpoint: Endpoint,
        id: Option<&str>,
        random: &mut Random,
    ) -> Option<HttpFault> {
        let rule =
            self.rules.iter_mut().find_map(|rule| rule.when.matches(endpoint, id, random).then_some(rule))?;
        rule.hits += 1;
        Some(rule.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_matching_rule_decides() {
        let mut table = FaultTable::default();
        let mut random = Random::seeded(1);
        let twice = table.add(Matcher::of(Endpoint::RESULT).first(2), HttpFault::status(503));
        let third = table.add(Matcher::any().id("s1").only(1), HttpFault::Reset);
        let mut pick = |endpoint, id| table.pick(endpoint, Some(id), &mut random);
        assert_eq!(pick(Endpoint::RUNNING, "s2"), None);
        assert_eq!(pick(Endpoint::RESULT, "s2"), Some(HttpFault::status(503)));
        assert_eq!(pick(Endpoint::RESULT, "s1"), Some(HttpFault::status(503)));
        assert_eq!(pick(Endpoint::RESULT, "s1"), Some(HttpFault::Reset));
        assert_eq!(pick(Endpoint::RESULT, "s1"), None);
        assert_eq!((table.hits(twice), table.hits(third)), (2, 1));
        table.remove(twice);
        assert_eq!(table.hits(twice), 0);
    }

    #[test]
    fn same_seed_repeats_the_same_faults() {
        let run = |seed| {
            let mut table = FaultTable::default();
            let mut random = Random::seeded(seed);
            table.add(Matcher::any().chance(0.3), HttpFault::Reset);
            (0..200).map(|_| table.pick(Endpoint::RESULT, None, &mut random).is_some()).collect::<Vec<_>>()
        };
        let hits = run(7).iter().filter(|hit| **hit).count();
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        assert!((30..=90).contains(&hits), "{hits} of 200 at 30 %");
    }
}
