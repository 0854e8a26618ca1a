//! What becomes of some submissions besides being judged: judged again, refused by Convex for long, or deadly to judges.

use std::collections::HashMap;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;

use super::timeline::LATE_RESULT_MS;
use super::{Asked, Submission};
use crate::programs;

/// Submissions of a hundred that are judged again.
const REJUDGED_PERCENT: usize = 8;
/// One of so many is refused by Convex with each of [`REFUSALS`].
const REFUSED_OF: usize = 100;
/// What Convex answers for long. A 500 is tried again; the others make dead letters.
const REFUSALS: [u16; 5] = [500, 422, 401, 403, 400];
/// The longest time that 500 is answered: the pauses between tries grow with it, and a run waits for the last one.
const MAX_REFUSED: Duration = Duration::from_secs(20);
/// How late the first result of some is applied: after a reporter's `REQUEST_TIMEOUT_MS`.
const LATE_MS: std::ops::Range<u64> = 3_500..LATE_RESULT_MS;
/// A run that is shorter has no time for a poison, which takes a judge's restart and `ACK_WAIT_MS` a delivery. A longer one
/// has one: with two of them, whoever kills the judges of the one would meet the retry of the other.
const ROOM_FOR_POISON: Duration = Duration::from_secs(30);

/// What is done to a submission.
#[derive(Debug, Default, PartialEq)]
pub enum Fate {
    /// It is judged, and that is all.
    #[default]
    Plain,
    /// It is judged again, one time after the other.
    Rejudged {
        /// Each time.
        again: Vec<Again>,
        /// How late Convex applies the first call of its result, if it does. The reporter has given it up by then.
        late: Option<Duration>,
    },
    /// Convex answers each of its results with this status, for as long as it says or until that has made a dead
    /// letter, which is then retried.
    Refused {
        /// The status.
        status: u16,
        /// For how long, where it makes no dead letter.
        lasts: Duration,
        /// After how long the first retry is killed, if it is.
        cut_off: Option<Duration>,
    },
    /// Each judge that runs it is killed, until it is given up; then it is retried on judges that live.
    Poison,
}

/// A time that a submission is judged again.
#[derive(Debug, PartialEq)]
pub struct Again {
    /// How long after its 202, or after the time before.
    pub after: Duration,
    /// After how long the first command is killed, if it is. The same command must complete it.
    pub cut_off: Option<Duration>,
}

/// Gives fates to a few submissions.
pub(super) fn give(asked: &Asked, submissions: &mut [Submission], random: &mut SmallRng) {
    let mut places: Vec<usize> = (0..submissions.len()).collect();
    places.shuffle(random);
    let count = submissions.len();
    let refused = (count / REFUSED_OF).max(1);
    let mut fates: Vec<Fate> = Vec::new();
    for status in REFUSALS {
        fates.extend((0..refused).map(|_| refusal(asked, status, random)));
    }
    if asked.lasts >= ROOM_FOR_POISON {
        fates.push(Fate::Poison);
    }
    fates.extend((0..(count * REJUDGED_PERCENT / 100).max(2)).map(|_| rejudged(random)));
    let given: HashMap<usize, Fate> = places.into_iter().zip(fates).collect();
    for (place, fate) in given {
        let submission = &mut submissions[place];
        if fate == Fate::Poison {
            submission.program = programs::POISON;
        }
        submission.fate = fate;
    }
}

fn refusal(asked: &Asked, status: u16, random: &mut SmallRng) -> Fate {
    let longest = MAX_REFUSED.min(asked.lasts / 2);
    Fate::Refused { status, lasts: longest.mul_f64(random.random_range(0.3..1.0)), cut_off: cut_off(random) }
}

fn rejudged(random: &mut SmallRng) -> Fate {
    let again = |random: &mut SmallRng| Again {
        after: Duration::from_millis(random.random_range(0..6_000)),
        cut_off: cut_off(random),
    };
    let again = (0..random.random_range(1..=2)).map(|_| again(random)).collect();
    let late = random.random_bool(0.4).then(|| Duration::from_millis(random.random_range(LATE_MS)));
    Fate::Rejudged { again, late }
}

/// A command takes some tens of milliseconds on a slow machine.
fn cut_off(random: &mut SmallRng) -> Option<Duration> {
    random.random_bool(0.3).then(|| Duration::from_millis(random.random_range(5..150)))
}

#[cfg(test)]
mod tests {
    use super::super::Plan;
    use super::*;

    fn fates(lasts: Duration, submissions: usize) -> Vec<Fate> {
        let plan = Plan::of(&Asked { seed: 7, lasts, submissions, cluster: false });
        plan.submissions.into_iter().map(|submission| submission.fate).collect()
    }

    #[test]
    fn a_run_has_some_of_each_fate_and_most_have_none() {
        let long = fates(Duration::from_mins(5), 1_200);
        let refusals = |fates: &[Fate], wanted: u16| {
            let is_it = |fate: &&Fate| matches!(fate, Fate::Refused { status, .. } if *status == wanted);
            fates.iter().filter(is_it).count()
        };
        for status in REFUSALS {
            assert_eq!(refusals(&long, status), 12, "{status}");
        }
        let again =
            |fates: &[Fate]| fates.iter().filter(|fate| matches!(fate, Fate::Rejudged { .. })).count();
        let poisons = |fates: &[Fate]| fates.iter().filter(|fate| **fate == Fate::Poison).count();
        assert_eq!((again(&long), poisons(&long)), (96, 1));
        let short = fates(Duration::from_secs(10), 40);
        assert_eq!((again(&short), poisons(&short)), (3, 0));
        assert!(REFUSALS.iter().all(|status| refusals(&short, *status) == 1));
        assert!(short.iter().filter(|fate| **fate == Fate::Plain).count() > 30);
    }

    #[test]
    fn a_plan_of_a_few_submissions_is_one_too() {
        assert_eq!(fates(Duration::from_secs(10), 3).len(), 3);
        assert!(fates(Duration::from_mins(1), 0).is_empty());
    }

    #[test]
    fn only_a_poison_has_the_poisons_program() {
        let asked = Asked { seed: 9, lasts: Duration::from_mins(5), submissions: 1_000, cluster: true };
        for submission in Plan::of(&asked).submissions {
            assert_eq!(submission.fate == Fate::Poison, submission.program == programs::POISON);
        }
    }
}
