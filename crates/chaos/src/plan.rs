//! What a run does, made from its seed alone: which submissions come when, and what goes wrong when.
//!
//! How the processes interleave is the machine's; the plan is the same for the same seed, always.

mod fate;
pub(crate) mod timeline;

use std::fmt;
use std::time::Duration;

use gavel_bus::topology::Stream;
use gavel_mock_convex::{Fault as ConvexFault, Purpose};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

pub use fate::{Again, Fate};

use crate::programs::{self, PROGRAMS};

/// What a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Everything follows from it.
    pub seed: u64,
    /// For how long submissions come and faults are injected.
    pub lasts: Duration,
    /// How many submissions come.
    pub submissions: usize,
    /// Three servers with three replicas instead of one.
    pub cluster: bool,
}

/// A whole run.
#[derive(Debug, PartialEq)]
pub struct Plan {
    /// In the order of time.
    pub submissions: Vec<Submission>,
    /// In the order of time.
    pub faults: Vec<Planned>,
}

/// A submission to come.
#[derive(Debug, PartialEq)]
pub struct Submission {
    /// Its id.
    pub id: String,
    /// When it comes.
    pub at: Duration,
    /// Its place in [`PROGRAMS`].
    pub program: usize,
    /// Whether it is of the personalized kind.
    pub is_personalized: bool,
    /// How long after its 202 it is sent again, each time.
    pub repeats: Vec<Duration>,
    /// What else is done to it.
    pub fate: Fate,
}

/// A fault to come.
#[derive(Debug, PartialEq)]
pub struct Planned {
    /// When it begins.
    pub at: Duration,
    /// When what was broken is mended.
    pub lasts: Duration,
    /// What it is.
    pub fault: Fault,
}

/// What can go wrong.
#[derive(Debug, PartialEq)]
pub enum Fault {
    /// SIGKILL; started again when it is over.
    Kill(Target),
    /// SIGTERM; started again when it is over and the process has ended.
    Terminate(Target),
    /// SIGSTOP; SIGCONT when it is over.
    Freeze(Target),
    /// The connections of a service to NATS are reset, once.
    Cut(Target),
    /// Nothing passes between a service and NATS, and neither is told.
    Silence(Target),
    /// The stream takes nothing more, since its quota is used up.
    Fill(Stream),
    /// Convex misbehaves.
    Convex(Trouble),
    /// Malformed messages appear on the subjects; the number seeds them.
    Garbage(u64),
    /// The author of a question changes what it expects: what a program must print.
    Correct(&'static str),
}

impl Fault {
    /// The process that it is about, if it is about one.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        match self {
            Self::Kill(target)
            | Self::Terminate(target)
            | Self::Freeze(target)
            | Self::Cut(target)
            | Self::Silence(target) => Some(*target),
            Self::Fill(_) | Self::Convex(_) | Self::Garbage(_) | Self::Correct(_) => None,
        }
    }
}

/// How Convex misbehaves.
#[derive(Debug, PartialEq)]
pub struct Trouble {
    /// For which calls, of either kind.
    pub purpose: Purpose,
    /// What becomes of them.
    pub how: ConvexFault,
    /// Of how many, 0 to 1.
    pub chance: f64,
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// What it is.
    pub role: Role,
    /// Which of them, from 1.
    pub number: usize,
}

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Takes submissions.
    Ingress,
    /// Fetches test cases.
    Fetcher,
    /// Runs programs.
    Judge,
    /// Calls Convex.
    Reporter,
    /// A nats-server.
    Nats,
}

impl Role {
    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Fetcher => "fetcher",
            Self::Judge => "judge",
            Self::Reporter => "reporter",
            Self::Nats => "nats",
        }
    }
}

impl Target {
    /// All processes of a run.
    #[must_use]
    pub fn all(cluster: bool) -> Vec<Self> {
        let servers = if cluster { 3 } else { 1 };
        let counts = [
            (Role::Ingress, 1),
            (Role::Fetcher, 2),
            (Role::Judge, 2),
            (Role::Reporter, 2),
            (Role::Nats, servers),
        ];
        let numbered = |(role, count)| (1..=count).map(move |number| Self { role, number });
        counts.into_iter().flat_map(numbered).collect()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.role.name(), self.number)
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.lasts.as_millis();
        match &self.fault {
            Fault::Kill(target) => write!(f, "SIGKILL {target}, back after {ms} ms"),
            Fault::Terminate(target) => write!(f, "SIGTERM {target}, back after {ms} ms"),
            Fault::Freeze(target) => write!(f, "SIGSTOP {target} for {ms} ms"),
            Fault::Cut(target) => write!(f, "cut {target} from NATS"),
            Fault::Silence(target) => write!(f, "silence between {target} and NATS for {ms} ms"),
            Fault::Fill(stream) => write!(f, "{} is full for {ms} ms", stream.name()),
            Fault::Convex(Trouble { purpose, how, chance }) => {
                write!(f, "Convex, {purpose:?}: {how:?} for {:.0} % during {ms} ms", chance * 100.0)
            }
            Fault::Garbage(_) => f.write_str("malformed messages"),
            Fault::Correct(expected) => write!(f, "a question expects {expected:?} from now on"),
        }
    }
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(asked: &Asked) -> Self {
        let mut random = SmallRng::seed_from_u64(asked.seed);
        let mut submissions = submissions(asked, &mut random);
        fate::give(asked, &mut submissions, &mut random);
        Self { submissions, faults: timeline::faults(asked, &mut random) }
    }
}

/// They come over the first nine tenths of the time, so that the last ones meet faults, too.
fn submissions(asked: &Asked, random: &mut SmallRng) -> Vec<Submission> {
    let mut times: Vec<Duration> =
        (0..asked.submissions).map(|_| asked.lasts.mul_f64(random.random_range(0.0..0.9))).collect();
    times.sort_unstable();
    let numbered = times.into_iter().enumerate();
    numbered
        .map(|(n, at)| {
            let repeats = if random.random_bool(0.25) { random.random_range(1..=3) } else { 0 };
            Submission {
                id: format!("s{n}"),
                at,
                program: programs::pick(random.random_range(0..programs::total_weight())),
                is_personalized: random.random_bool(0.2),
                repeats: (0..repeats).map(|_| Duration::from_millis(random.random_range(0..4_000))).collect(),
                fate: Fate::Plain,
            }
        })
        .collect()
}

/// One submission of each program, which come before anything goes wrong; but no poison, which takes long.
#[must_use]
pub fn warm_up() -> Vec<Submission> {
    let harmless = (0..PROGRAMS.len()).filter(|program| *program != programs::POISON);
    let each = harmless.map(|program| Submission {
        id: format!("w{program}"),
        at: Duration::ZERO,
        program,
        is_personalized: false,
        repeats: Vec::new(),
        fate: Fate::Plain,
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked = Asked { seed: 7, lasts: Duration::from_mins(5), submissions: 500, cluster: false };

    #[test]
    fn the_same_seed_makes_the_same_plan_and_another_seed_another() {
        assert_eq!(Plan::of(&ASKED), Plan::of(&ASKED));
        assert_ne!(Plan::of(&ASKED), Plan::of(&Asked { seed: 8, ..ASKED }));
    }

    #[test]
    fn all_submissions_come_in_time_with_ids_of_their_own() {
        let plan = Plan::of(&ASKED);
        assert_eq!(plan.submissions.len(), 500);
        assert!(plan.submissions.is_sorted_by_key(|submission| submission.at));
        assert!(plan.submissions.iter().all(|submission| submission.at < ASKED.lasts));
        let ids: std::collections::HashSet<_> = plan.submissions.iter().map(|each| &each.id).collect();
        assert_eq!(ids.len(), 500);
        let programs: std::collections::HashSet<_> =
            plan.submissions.iter().map(|each| each.program).collect();
        assert_eq!(programs.len(), PROGRAMS.len());
    }
}
