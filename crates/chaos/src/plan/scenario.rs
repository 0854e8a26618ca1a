//! Scenarios for some submissions: being rejudged, being refused by Convex for a while, or killing their judges.

use std::collections::HashMap;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;

use super::timeline::LATE_RESULT_MS;
use super::{RunOptions, Submission};
use crate::programs;

/// How many submissions of a hundred are rejudged.
const REJUDGED_PERCENT: usize = 8;
/// For each of [`REFUSAL_STATUSES`], Convex refuses one of this many submissions.
const SUBMISSIONS_PER_REFUSAL: usize = 100;
/// The statuses with which Convex refuses results. After a 500 the result is retried; the others make dead letters.
const REFUSAL_STATUSES: [u16; 5] = [500, 422, 401, 403, 400];
/// The longest time for which Convex answers 500. The delays between attempts grow with it, and a run waits for the
/// last.
const MAX_REFUSAL_TIME: Duration = Duration::from_secs(20);
/// How late Convex applies the first result of some submissions: after the reporter's `REQUEST_TIMEOUT_MS`.
const LATE_MS: std::ops::Range<u64> = 3_500..LATE_RESULT_MS;
/// Shorter runs have no poison: each of its deliveries takes the restart of a judge and `ACK_WAIT_MS`. Longer runs
/// have one only, because killing the judges of one poison would disturb the retry of another.
const MIN_DURATION_FOR_POISON: Duration = Duration::from_secs(30);

/// What happens to a submission besides being sent.
#[derive(Debug, Default, PartialEq)]
pub enum Scenario {
    /// It is only judged.
    #[default]
    Plain,
    /// It is rejudged, once or several times in sequence.
    Rejudged {
        /// The rejudgings, in order.
        rejudgings: Vec<Rejudging>,
        /// How late Convex applies the first call of its result, if it is late. The call has timed out by then.
        late_by: Option<Duration>,
    },
    /// Convex refuses its results with this status, for a while or until there is a dead letter, which is then
    /// retried.
    Refused {
        /// The HTTP status.
        status: u16,
        /// For how long, if the status makes no dead letter.
        lasts: Duration,
        /// After how long the first retry command is killed, if it is.
        kill_after: Option<Duration>,
    },
    /// Each judge that runs it is killed until it is given up. Then it is retried, and judges are left alone.
    Poison,
}

/// A planned `gavel rejudge`.
#[derive(Debug, PartialEq)]
pub struct Rejudging {
    /// The delay after the 202 or after the previous rejudging.
    pub after: Duration,
    /// After how long the first command is killed, if it is. The same command, run again, must complete the
    /// rejudging.
    pub kill_after: Option<Duration>,
}

/// Assigns scenarios to a few submissions.
pub(super) fn assign(options: &RunOptions, submissions: &mut [Submission], random: &mut SmallRng) {
    let mut indexes: Vec<usize> = (0..submissions.len()).collect();
    indexes.shuffle(random);
    let count = submissions.len();
    let refused = (count / SUBMISSIONS_PER_REFUSAL).max(1);
    let mut scenarios: Vec<Scenario> = Vec::new();
    for status in REFUSAL_STATUSES {
        scenarios.extend((0..refused).map(|_| refusal(options, status, random)));
    }
    if options.duration >= MIN_DURATION_FOR_POISON {
        scenarios.push(Scenario::Poison);
    }
    scenarios.extend((0..(count * REJUDGED_PERCENT / 100).max(2)).map(|_| rejudged(random)));
    let assigned: HashMap<usize, Scenario> = indexes.into_iter().zip(scenarios).collect();
    for (index, scenario) in assigned {
        let submission = &mut submissions[index];
        if scenario == Scenario::Poison {
            submission.program = programs::POISON;
        }
        submission.scenario = scenario;
    }
}

fn refusal(options: &RunOptions, status: u16, random: &mut SmallRng) -> Scenario {
    let longest = MAX_REFUSAL_TIME.min(options.duration / 2);
    Scenario::Refused {
        status,
        lasts: longest.mul_f64(random.random_range(0.3..1.0)),
        kill_after: kill_after(random),
    }
}

fn rejudged(random: &mut SmallRng) -> Scenario {
    let rejudging = |random: &mut SmallRng| Rejudging {
        after: Duration::from_millis(random.random_range(0..6_000)),
        kill_after: kill_after(random),
    };
    let rejudgings = (0..random.random_range(1..=2)).map(|_| rejudging(random)).collect();
    let late_by = random.random_bool(0.4).then(|| Duration::from_millis(random.random_range(LATE_MS)));
    Scenario::Rejudged { rejudgings, late_by }
}

/// Returns after how long a command is killed, if it is. A command takes tens of milliseconds on a slow machine.
fn kill_after(random: &mut SmallRng) -> Option<Duration> {
    random.random_bool(0.3).then(|| Duration::from_millis(random.random_range(5..150)))
}

#[cfg(test)]
mod tests {
    use super::super::Plan;
    use super::*;
    use crate::plan::CallbackOrder;

    fn scenarios(duration: Duration, submissions: usize) -> Vec<Scenario> {
        let order = CallbackOrder::Strict;
        let plan =
            Plan::new(&RunOptions { seed: 7, duration, submissions, cluster: false, order, previous: None });
        plan.submissions.into_iter().map(|submission| submission.scenario).collect()
    }

    #[test]
    fn run_has_each_scenario_and_mostly_plain_submissions() {
        let long = scenarios(Duration::from_mins(5), 1_200);
        let refusals = |scenarios: &[Scenario], wanted: u16| {
            let matches =
                |it: &&Scenario| matches!(it, Scenario::Refused { status, .. } if *status == wanted);
            scenarios.iter().filter(matches).count()
        };
        for status in REFUSAL_STATUSES {
            assert_eq!(refusals(&long, status), 12, "{status}");
        }
        let rejudged = |scenarios: &[Scenario]| {
            scenarios.iter().filter(|scenario| matches!(scenario, Scenario::Rejudged { .. })).count()
        };
        let poisons = |scenarios: &[Scenario]| {
            scenarios.iter().filter(|scenario| **scenario == Scenario::Poison).count()
        };
        assert_eq!((rejudged(&long), poisons(&long)), (96, 1));
        let short = scenarios(Duration::from_secs(10), 40);
        assert_eq!((rejudged(&short), poisons(&short)), (3, 0));
        assert!(REFUSAL_STATUSES.iter().all(|status| refusals(&short, *status) == 1));
        assert!(short.iter().filter(|scenario| **scenario == Scenario::Plain).count() > 30);
    }

    #[test]
    fn plan_can_have_few_submissions_or_none() {
        assert_eq!(scenarios(Duration::from_secs(10), 3).len(), 3);
        assert!(scenarios(Duration::from_mins(1), 0).is_empty());
    }

    #[test]
    fn only_poison_submissions_have_the_poison_program() {
        let (duration, order) = (Duration::from_mins(5), CallbackOrder::Strict);
        let options =
            RunOptions { seed: 9, duration, submissions: 1_000, cluster: true, order, previous: None };
        for submission in Plan::new(&options).submissions {
            assert_eq!(submission.scenario == Scenario::Poison, submission.program == programs::POISON);
        }
    }
}
