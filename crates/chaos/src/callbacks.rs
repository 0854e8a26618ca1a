//! The callbacks that Convex received for one submission, by generation, and checks of their order and content.

use std::sync::Arc;
use std::time::Instant;

use gavel_mock_convex::{Purpose, ReceivedCall, Status};
use serde_json::Value;

use crate::programs::Program;

/// A callback that Convex received.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedCallback {
    pub(crate) number: u64,
    pub(crate) kind: Callback,
    pub(crate) generation: u64,
    pub(crate) received: Instant,
    /// When it took effect, or `None` if it did not.
    pub(crate) applied: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Callback {
    Running,
    Result(Arc<Value>),
}

/// The violations found for a submission, by the field of [`Summary`](crate::Summary) that counts them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Violations {
    pub(crate) lost: Vec<String>,
    pub(crate) conflicting: Vec<String>,
}

impl ReceivedCallback {
    /// Returns `None` if the call is not a signed callback. Its id contains the generation.
    pub(crate) fn from_call(call: &ReceivedCall) -> Option<Self> {
        let kind = match call.endpoint.purpose {
            Purpose::TestCases => return None,
            Purpose::Running => Callback::Running,
            Purpose::Result => Callback::Result(Arc::clone(&call.body)),
        };
        let generation = generation(call.header("webhook-id")?)?;
        Some(Self {
            number: call.number,
            kind,
            generation,
            received: call.received_at,
            applied: call.applied_at(),
        })
    }
}

/// Parses a callback id: `result-s12` for generation 1, `result-s12~2e3` for generation 3.
fn generation(id: &str) -> Option<u64> {
    id.split_once("~2e").map_or(Some(1), |(_, generation)| generation.parse().ok())
}

/// Checks that each generation up to the newest was reported with exactly one verdict, the expected one; that no
/// generation was reported, or took effect, after a later one; and that Convex shows the newest.
pub(crate) fn check(
    callbacks: &[ReceivedCallback],
    newest: u64,
    program: &Program,
    shown: Option<Status>,
) -> Violations {
    let mut found = Violations::default();
    let results = || callbacks.iter().filter_map(|call| Some((call, result(call)?)));
    for generation in 1..=newest {
        let mut bodies = results().filter(|(call, _)| call.generation == generation).map(|(_, body)| body);
        let Some(first) = bodies.next() else {
            found.lost.push(format!("generation {generation} of {newest} was never reported"));
            continue;
        };
        if let Some(other) = bodies.find(|other| *other != first) {
            found.conflicting.push(format!("generation {generation} was reported as {first} and as {other}"));
        }
        found.conflicting.extend(program.violation(first, generation));
    }
    if let Some((call, _)) = results().find(|(call, _)| call.generation > newest) {
        found.conflicting.push(format!("generation {} was reported but never begun", call.generation));
    }
    let mut by_arrival: Vec<_> = results().map(|(call, _)| (call.received, call.generation)).collect();
    let mut by_effect: Vec<_> =
        results().filter_map(|(call, _)| Some((call.applied?, call.generation))).collect();
    for (order, verb) in [(&mut by_arrival, "was reported"), (&mut by_effect, "took effect")] {
        order.sort_unstable();
        if let Some(pair) = order.windows(2).find(|pair| pair[0].1 > pair[1].1) {
            found.conflicting.push(format!("generation {} {verb} after generation {}", pair[1].1, pair[0].1));
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
                    "Convex shows {shown}; generation {generation:?} of {newest}, reported last, is {expected:?}"
                ));
            }
        }
        other => found.lost.push(format!("Convex shows {other:?}")),
    }
    found
}

/// Returns the `running` callbacks after a result of the same or a later generation, each with that result, by the
/// times that `at` returns.
pub(crate) fn running_after_result(
    callbacks: &[ReceivedCallback],
    at: impl Fn(&ReceivedCallback) -> Option<Instant>,
) -> Vec<(&ReceivedCallback, &ReceivedCallback)> {
    let late = callbacks.iter().filter(|call| call.kind == Callback::Running).filter_map(|running| {
        let running_at = at(running)?;
        let before = callbacks
            .iter()
            .filter(|call| result(call).is_some() && call.generation >= running.generation)
            .find(|call| at(call).is_some_and(|result_at| result_at < running_at));
        Some((running, before?))
    });
    late.collect()
}

fn result(call: &ReceivedCallback) -> Option<&Value> {
    match &call.kind {
        Callback::Running => None,
        Callback::Result(body) => Some(body),
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

    /// Callbacks, each with the times, in seconds, at which it was received and took effect.
    struct Calls(Instant, Vec<ReceivedCallback>);

    impl Calls {
        fn new() -> Self {
            Self(Instant::now(), Vec::new())
        }

        fn at(&self, seconds: u64) -> Instant {
            self.0 + Duration::from_secs(seconds)
        }

        fn add(mut self, kind: Callback, generation: u64, received: u64, applied: Option<u64>) -> Self {
            let (number, received) = (self.1.len() as u64, self.at(received));
            let applied = applied.map(|at| self.at(at));
            self.1.push(ReceivedCallback { number, kind, generation, received, applied });
            self
        }

        fn running(self, generation: u64, at: u64) -> Self {
            self.add(Callback::Running, generation, at, Some(at))
        }

        fn result(self, generation: u64, at: u64) -> Self {
            self.add(Callback::Result(body(generation, 3)), generation, at, Some(at))
        }

        fn violations(&self, newest: u64) -> Violations {
            check(&self.1, newest, &PROGRAMS[0], Some(Status::Passed))
        }
    }

    #[test]
    fn generations_in_order_have_no_violations() {
        let calls =
            Calls::new().running(1, 1).result(1, 2).result(1, 3).running(2, 4).result(2, 5).result(3, 6);
        assert_eq!(calls.violations(3), Violations::default());
        assert!(running_after_result(&calls.1, |call| Some(call.received)).is_empty());
    }

    #[test]
    fn generation_is_parsed_from_the_callback_id() {
        let of = |id| generation(id);
        assert_eq!(
            (of("result-s12"), of("last-word-s12~2e3"), of("running-s1~2ex")),
            (Some(1), Some(3), None)
        );
    }

    #[test]
    fn unreported_generation_is_lost() {
        assert_eq!(
            Calls::new().result(1, 1).result(3, 2).violations(3).lost,
            ["generation 2 of 3 was never reported"]
        );
        let found = Calls::new().result(1, 1).violations(2);
        assert_eq!(found.lost.len(), 2, "Convex shows the old one, too: {found:?}");
        let never = Calls::new().violations(1);
        assert_eq!(never.lost.len(), 2, "{never:?}");
    }

    #[test]
    fn generation_without_effect_is_lost() {
        let refused = Calls::new().result(1, 1).add(Callback::Result(body(2, 3)), 2, 2, None);
        assert_eq!(refused.violations(2).lost.len(), 1);
    }

    #[test]
    fn convex_must_show_the_last_reported_result() {
        let calls = Calls::new().result(1, 1);
        for shown in [None, Some(Status::Queued), Some(Status::Running), Some(Status::Failed)] {
            assert_eq!(check(&calls.1, 1, &PROGRAMS[0], shown).lost.len(), 1, "{shown:?}");
        }
    }

    #[test]
    fn two_verdicts_of_a_generation_conflict() {
        let second = || Callback::Result(body(1, 2));
        assert_eq!(Calls::new().result(1, 1).add(second(), 1, 2, Some(2)).violations(1).conflicting.len(), 1);
        let wrong = Calls::new().add(second(), 1, 1, Some(1));
        assert_eq!(wrong.violations(1).conflicting.len(), 1, "not the verdict of the program");
    }

    #[test]
    fn earlier_generation_after_a_later_one_conflicts() {
        let reported = Calls::new().result(1, 1).result(2, 3).add(Callback::Result(body(1, 3)), 1, 4, None);
        assert_eq!(reported.violations(2).conflicting, ["generation 1 was reported after generation 2"]);
        let applied = Calls::new().add(Callback::Result(body(1, 3)), 1, 1, Some(9)).result(1, 2).result(2, 3);
        let found = applied.violations(2);
        assert_eq!(found.conflicting, ["generation 1 took effect after generation 2"]);
        assert_eq!(found.lost.len(), 1, "Convex shows the old one");
    }

    #[test]
    fn generation_that_was_never_begun_conflicts() {
        assert_eq!(Calls::new().result(1, 1).result(2, 2).violations(1).conflicting.len(), 1);
    }

    #[test]
    fn running_after_a_result_of_its_generation_or_a_later_one_is_backwards() {
        let numbers = |calls: &Calls| -> Vec<u64> {
            let late = running_after_result(&calls.1, |call| Some(call.received));
            late.into_iter().map(|(running, _)| running.number).collect()
        };
        assert_eq!(numbers(&Calls::new().result(1, 1).running(1, 2)), [1]);
        assert_eq!(numbers(&Calls::new().result(1, 1).running(2, 2).result(2, 3)), [0; 0]);
        assert_eq!(numbers(&Calls::new().result(1, 1).result(2, 3).running(1, 4).running(2, 5)), [2, 3]);
    }

    #[test]
    fn running_without_effect_after_a_result_is_not_backwards_by_effect() {
        let by_effect = |calls: &Calls| running_after_result(&calls.1, |call| call.applied).len();
        assert_eq!(by_effect(&Calls::new().result(1, 1).add(Callback::Running, 1, 2, None)), 0);
        assert_eq!(by_effect(&Calls::new().add(Callback::Running, 1, 1, Some(3)).result(1, 2)), 1);
        let refused = Calls::new().add(Callback::Result(body(1, 3)), 1, 1, None);
        assert_eq!(by_effect(&refused.running(1, 2).result(1, 3)), 0);
    }
}
