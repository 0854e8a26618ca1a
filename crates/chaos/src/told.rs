//! What Convex was told of one submission, generation by generation, and whether that is as it must be.

use std::sync::Arc;
use std::time::Instant;

use gavel_mock_convex::{Call, Purpose, Status};
use serde_json::Value;

use crate::programs::Program;

/// A call about a submission.
#[derive(Clone, Debug)]
pub(crate) struct CallbackKind {
    pub(crate) number: u64,
    pub(crate) what: What,
    pub(crate) generation: u64,
    pub(crate) received: Instant,
    /// When it took effect, if it did.
    pub(crate) applied: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Running,
    Result(Arc<Value>),
}

/// What is wrong with a submission, in the words of the last line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) lost: Vec<String>,
    pub(crate) conflicting: Vec<String>,
}

impl CallbackKind {
    /// Nothing where it is no callback; the id of the call says which generation it is of.
    pub(crate) fn of(call: &Call) -> Option<Self> {
        let what = match call.endpoint.purpose {
            Purpose::TestCases => return None,
            Purpose::Running => What::Running,
            Purpose::Result => What::Result(Arc::clone(&call.body)),
        };
        let generation = generation(call.header("webhook-id")?)?;
        Some(Self {
            number: call.number,
            what,
            generation,
            received: call.received_at,
            applied: call.applied_at(),
        })
    }
}

/// Ids are `result-s12` and, of the third generation, `result-s12~2e3`.
fn generation(id: &str) -> Option<u64> {
    id.split_once("~2e").map_or(Some(1), |(_, generation)| generation.parse().ok())
}

/// Each generation up to the newest was told, with one verdict, which is right; no earlier one was told after a later one,
/// nor took effect after it; and the newest is what Convex shows.
pub(crate) fn findings(
    told: &[CallbackKind],
    newest: u64,
    program: &Program,
    shown: Option<Status>,
) -> Findings {
    let mut found = Findings::default();
    let results = || told.iter().filter_map(|call| Some((call, result(call)?)));
    for generation in 1..=newest {
        let mut of_it = results().filter(|(call, _)| call.generation == generation).map(|(_, body)| body);
        let Some(first) = of_it.next() else {
            found.lost.push(format!("generation {generation} of {newest} was never told"));
            continue;
        };
        if let Some(other) = of_it.find(|other| *other != first) {
            found.conflicting.push(format!("generation {generation} was told as {first} and as {other}"));
        }
        found.conflicting.extend(program.fault_of(first, generation));
    }
    if let Some((call, _)) = results().find(|(call, _)| call.generation > newest) {
        found.conflicting.push(format!("generation {} was told and never begun", call.generation));
    }
    let mut by_arrival: Vec<_> = results().map(|(call, _)| (call.received, call.generation)).collect();
    let mut by_effect: Vec<_> =
        results().filter_map(|(call, _)| Some((call.applied?, call.generation))).collect();
    for (order, how) in [(&mut by_arrival, "was told"), (&mut by_effect, "took effect")] {
        order.sort_unstable();
        if let Some(pair) = order.windows(2).find(|pair| pair[0].1 > pair[1].1) {
            found.conflicting.push(format!("generation {} {how} after generation {}", pair[1].1, pair[0].1));
        }
    }
    let last = results().filter(|(call, _)| call.applied.is_some()).max_by_key(|(call, _)| call.applied);
    let expected = last.and_then(|(_, body)| body["status"].as_str());
    match shown {
        Some(shown) if shown.is_final() => {
            let is_newest = last.is_some_and(|(call, _)| call.generation == newest);
            if !is_newest || expected != Some(shown.as_str()) {
                let generation = last.map(|(call, _)| call.generation);
                found.lost.push(format!(
                    "Convex shows {shown}; generation {generation:?} of {newest}, told last, is {expected:?}"
                ));
            }
        }
        other => found.lost.push(format!("Convex shows {other:?}")),
    }
    found
}

/// Calls of running that were received after a result of their own or a later generation, each with that result.
pub(crate) fn backwards(told: &[CallbackKind]) -> Vec<(&CallbackKind, &CallbackKind)> {
    let late = told.iter().filter(|call| call.what == What::Running).filter_map(|running| {
        let before = told
            .iter()
            .filter(|call| result(call).is_some())
            .find(|call| call.generation >= running.generation && call.received < running.received);
        Some((running, before?))
    });
    late.collect()
}

fn result(call: &CallbackKind) -> Option<&Value> {
    match &call.what {
        What::Running => None,
        What::Result(body) => Some(body),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::programs::PROGRAMS;

    fn body(generation: u64, passed: u64) -> Arc<Value> {
        let mut body = json!({
            "submissionId": "s1", "status": "passed", "passedCount": passed, "totalCount": 3, "durationMs": 5,
        });
        if generation > 1 {
            body["firstFailure"] = json!({});
            body["stderr"] = json!("");
            body["compileOutput"] = json!("");
        }
        Arc::new(body)
    }

    /// Calls, each at its time in seconds, with the time at which it took effect.
    struct Calls(Instant, Vec<CallbackKind>);

    impl Calls {
        fn new() -> Self {
            Self(Instant::now(), Vec::new())
        }

        fn at(&self, seconds: u64) -> Instant {
            self.0 + Duration::from_secs(seconds)
        }

        fn add(mut self, what: What, generation: u64, received: u64, applied: Option<u64>) -> Self {
            let (number, received) = (self.1.len() as u64, self.at(received));
            let applied = applied.map(|at| self.at(at));
            self.1.push(CallbackKind { number, what, generation, received, applied });
            self
        }

        fn running(self, generation: u64, at: u64) -> Self {
            self.add(What::Running, generation, at, Some(at))
        }

        fn result(self, generation: u64, at: u64) -> Self {
            self.add(What::Result(body(generation, 3)), generation, at, Some(at))
        }

        fn found(&self, newest: u64) -> Findings {
            findings(&self.1, newest, &PROGRAMS[0], Some(Status::Passed))
        }
    }

    #[test]
    fn generations_one_after_the_other_are_right() {
        let calls =
            Calls::new().running(1, 1).result(1, 2).result(1, 3).running(2, 4).result(2, 5).result(3, 6);
        assert_eq!(calls.found(3), Findings::default());
        assert!(backwards(&calls.1).is_empty());
    }

    #[test]
    fn the_id_of_a_call_says_its_generation() {
        let of = |id| generation(id);
        assert_eq!(
            (of("result-s12"), of("last-word-s12~2e3"), of("running-s1~2ex")),
            (Some(1), Some(3), None)
        );
    }

    #[test]
    fn a_generation_that_was_not_told_is_lost() {
        assert_eq!(
            Calls::new().result(1, 1).result(3, 2).found(3).lost,
            ["generation 2 of 3 was never told"]
        );
        let found = Calls::new().result(1, 1).found(2);
        assert_eq!(found.lost.len(), 2, "and Convex shows the old one: {found:?}");
        let never = Calls::new().found(1);
        assert_eq!(never.lost.len(), 2, "{never:?}");
    }

    #[test]
    fn one_that_was_told_and_did_not_take_effect_is_lost() {
        let refused = Calls::new().result(1, 1).add(What::Result(body(2, 3)), 2, 2, None);
        assert_eq!(refused.found(2).lost.len(), 1);
    }

    #[test]
    fn what_convex_shows_must_be_what_was_told_last() {
        let calls = Calls::new().result(1, 1);
        for shown in [None, Some(Status::Queued), Some(Status::Running), Some(Status::Failed)] {
            assert_eq!(findings(&calls.1, 1, &PROGRAMS[0], shown).lost.len(), 1, "{shown:?}");
        }
    }

    #[test]
    fn two_verdicts_of_a_generation_conflict() {
        let second = || What::Result(body(1, 2));
        assert_eq!(Calls::new().result(1, 1).add(second(), 1, 2, Some(2)).found(1).conflicting.len(), 1);
        let wrong = Calls::new().add(second(), 1, 1, Some(1));
        assert_eq!(wrong.found(1).conflicting.len(), 1, "one that is not the program's");
    }

    #[test]
    fn an_earlier_generation_after_a_later_one_conflicts() {
        let told = Calls::new().result(1, 1).result(2, 3).add(What::Result(body(1, 3)), 1, 4, None);
        assert_eq!(told.found(2).conflicting, ["generation 1 was told after generation 2"]);
        let applied = Calls::new().add(What::Result(body(1, 3)), 1, 1, Some(9)).result(1, 2).result(2, 3);
        let found = applied.found(2);
        assert_eq!(found.conflicting, ["generation 1 took effect after generation 2"]);
        assert_eq!(found.lost.len(), 1, "Convex shows the old one");
    }

    #[test]
    fn a_generation_that_nobody_began_conflicts() {
        assert_eq!(Calls::new().result(1, 1).result(2, 2).found(1).conflicting.len(), 1);
    }

    #[test]
    fn running_after_a_result_of_its_generation_or_a_later_one_is_backwards() {
        let numbers = |calls: &Calls| -> Vec<u64> {
            backwards(&calls.1).into_iter().map(|(running, _)| running.number).collect()
        };
        assert_eq!(numbers(&Calls::new().result(1, 1).running(1, 2)), [1]);
        assert_eq!(numbers(&Calls::new().result(1, 1).running(2, 2).result(2, 3)), [0; 0]);
        assert_eq!(numbers(&Calls::new().result(1, 1).result(2, 3).running(1, 4).running(2, 5)), [2, 3]);
    }
}
