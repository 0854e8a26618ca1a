//! The plan of a run, made from its seed alone: which submissions are sent when, and which faults are injected when.
//!
//! The plan is always the same for the same seed. How the processes interleave is up to the machine.

mod rollout;
mod scenario;
pub(crate) mod timeline;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use gavel_bus::topology::Stream;
use gavel_mock_convex::{HttpFault, Purpose};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

pub use scenario::{Rejudging, Scenario};

use crate::programs::{self, PROGRAMS};

/// The options of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// The seed of the plan.
    pub seed: u64,
    /// For how long submissions are sent and faults are injected.
    pub duration: Duration,
    /// How many submissions are sent.
    pub submissions: usize,
    /// Use three servers with three replicas instead of one.
    pub cluster: bool,
    /// Who keeps the callbacks in order.
    pub order: CallbackOrder,
    /// Where the programs of the previous release are, for a run that replaces services instead of injecting faults.
    pub previous: Option<PathBuf>,
}

/// A release whose programs a run starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The one that this program belongs to.
    Current,
    /// The one in [`RunOptions::previous`].
    Previous,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Current => "this release",
            Self::Previous => "the previous release",
        })
    }
}

/// Who keeps the callbacks in order at Convex: the value of `CONVEX_ORDER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CallbackOrder {
    /// The reporters; Convex stores whatever arrives last.
    Strict,
    /// Convex ignores calls that are out of date.
    Guarded,
}

impl fmt::Display for CallbackOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Guarded => "guarded",
        })
    }
}

/// The plan of a run.
#[derive(Debug, PartialEq)]
pub struct Plan {
    /// The submissions, in order of time.
    pub submissions: Vec<Submission>,
    /// The faults, in order of time.
    pub faults: Vec<PlannedFault>,
}

/// A planned submission.
#[derive(Debug, PartialEq)]
pub struct Submission {
    /// Its id.
    pub id: String,
    /// When it is sent, from the start of the run.
    pub at: Duration,
    /// Its index in [`PROGRAMS`].
    pub program: usize,
    /// Whether its kind is personalized.
    pub is_personalized: bool,
    /// The times after its 202 at which it is sent again.
    pub repeats: Vec<Duration>,
    /// What happens to it besides being judged.
    pub scenario: Scenario,
}

/// A planned fault.
#[derive(Debug, PartialEq)]
pub struct PlannedFault {
    /// When it begins, from the start of the run.
    pub at: Duration,
    /// How long it lasts before it is undone.
    pub lasts: Duration,
    /// The fault.
    pub fault: InjectedFault,
}

/// A fault that a run injects.
#[derive(Debug, PartialEq)]
pub enum InjectedFault {
    /// SIGKILL; the process is restarted at the end.
    Kill(Target),
    /// SIGTERM; the process is restarted at the end, once it has exited.
    Terminate(Target),
    /// SIGSTOP; SIGCONT at the end.
    Freeze(Target),
    /// The connections of a service to NATS are reset, once.
    Disconnect(Target),
    /// No data passes between a service and NATS, and the connections stay open.
    Partition(Target),
    /// The stream rejects messages because its quota is used up.
    Fill(Stream),
    /// The disk of the server is full; at the end there is room again, and the server is restarted.
    FullDisk(Target),
    /// Convex fails.
    Convex(ConvexFault),
    /// Malformed messages are published; the number is their seed.
    MalformedMessages(u64),
    /// This many clients of the ingress send or read slowly.
    SlowConnections(usize),
    /// The author of a question changes its expected output to this.
    Correct(&'static str),
    /// Services are stopped and started with the program of another release, one at a time.
    Rollout(Vec<(Target, Release)>),
}

impl InjectedFault {
    /// Returns the process that the fault acts on, or `None` if it does not act on a process.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        match self {
            Self::Kill(target)
            | Self::Terminate(target)
            | Self::Freeze(target)
            | Self::Disconnect(target)
            | Self::Partition(target)
            | Self::FullDisk(target) => Some(*target),
            Self::Fill(_)
            | Self::Convex(_)
            | Self::MalformedMessages(_)
            | Self::SlowConnections(_)
            | Self::Correct(_)
            | Self::Rollout(_) => None,
        }
    }
}

/// A fault of Convex.
#[derive(Debug, PartialEq)]
pub struct ConvexFault {
    /// The calls it applies to, of either submission kind.
    pub purpose: Purpose,
    /// What happens to them.
    pub fault: HttpFault,
    /// The share of calls that it applies to, from 0 to 1.
    pub chance: f64,
}

/// A process of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// Its role.
    pub role: Role,
    /// Its number among those of the role, from 1.
    pub number: usize,
}

/// The role of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Accepts submissions.
    Ingress,
    /// Fetches test cases.
    Fetcher,
    /// Runs programs.
    Judge,
    /// Sends callbacks to Convex.
    Reporter,
    /// A nats-server.
    Nats,
}

impl Role {
    /// Returns the name of the role.
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
    /// Returns all processes of a run.
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

impl fmt::Display for PlannedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.lasts.as_millis();
        match &self.fault {
            InjectedFault::Kill(target) => write!(f, "SIGKILL {target}, restarted after {ms} ms"),
            InjectedFault::Terminate(target) => write!(f, "SIGTERM {target}, restarted after {ms} ms"),
            InjectedFault::Freeze(target) => write!(f, "SIGSTOP {target} for {ms} ms"),
            InjectedFault::Disconnect(target) => write!(f, "disconnect {target} from NATS"),
            InjectedFault::Partition(target) => write!(f, "partition {target} from NATS for {ms} ms"),
            InjectedFault::FullDisk(target) => {
                write!(f, "the disk of {target} is full for {ms} ms, then {target} is restarted")
            }
            InjectedFault::Fill(stream) => write!(f, "{} is full for {ms} ms", stream.name()),
            InjectedFault::Convex(ConvexFault { purpose, fault, chance }) => {
                write!(f, "Convex, {purpose:?}: {fault:?} for {:.0} % during {ms} ms", chance * 100.0)
            }
            InjectedFault::SlowConnections(count) => {
                write!(f, "{count} slow connections to the ingress for {ms} ms")
            }
            InjectedFault::MalformedMessages(_) => f.write_str("malformed messages"),
            InjectedFault::Correct(expected) => write!(f, "a question expects {expected:?} from now on"),
            InjectedFault::Rollout(steps) => {
                write!(f, "{} services are replaced within {ms} ms", steps.len())
            }
        }
    }
}

impl Plan {
    /// Makes the plan for these options.
    #[must_use]
    pub fn new(options: &RunOptions) -> Self {
        let mut random = SmallRng::seed_from_u64(options.seed);
        let mut submissions = submissions(options, &mut random);
        if options.previous.is_some() {
            return Self { submissions, faults: vec![rollout::plan(options)] };
        }
        scenario::assign(options, &mut submissions, &mut random);
        Self { submissions, faults: timeline::faults(options, &mut random) }
    }
}

/// Plans the submissions over the first nine tenths of the time, so that the last ones meet faults, too.
fn submissions(options: &RunOptions, random: &mut SmallRng) -> Vec<Submission> {
    let mut times: Vec<Duration> =
        (0..options.submissions).map(|_| options.duration.mul_f64(random.random_range(0.0..0.9))).collect();
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
                scenario: Scenario::Plain,
            }
        })
        .collect()
}

/// Returns one submission of each program for the time before the first fault. The poison is left out because it
/// takes long.
#[must_use]
pub fn warm_up() -> Vec<Submission> {
    let programs = (0..PROGRAMS.len()).filter(|program| *program != programs::POISON);
    let each = programs.map(|program| Submission {
        id: format!("w{program}"),
        at: Duration::ZERO,
        program,
        is_personalized: false,
        repeats: Vec::new(),
        scenario: Scenario::Plain,
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: RunOptions = RunOptions {
        seed: 7,
        duration: Duration::from_mins(5),
        submissions: 500,
        cluster: false,
        order: CallbackOrder::Strict,
        previous: None,
    };

    #[test]
    fn plan_depends_on_the_seed_alone() {
        assert_eq!(Plan::new(&OPTIONS), Plan::new(&OPTIONS));
        assert_ne!(Plan::new(&OPTIONS), Plan::new(&RunOptions { seed: 8, ..OPTIONS }));
    }

    #[test]
    fn submissions_are_in_time_order_and_have_distinct_ids() {
        let plan = Plan::new(&OPTIONS);
        assert_eq!(plan.submissions.len(), 500);
        assert!(plan.submissions.is_sorted_by_key(|submission| submission.at));
        assert!(plan.submissions.iter().all(|submission| submission.at < OPTIONS.duration));
        let ids: std::collections::HashSet<_> = plan.submissions.iter().map(|each| &each.id).collect();
        assert_eq!(ids.len(), 500);
        let programs: std::collections::HashSet<_> =
            plan.submissions.iter().map(|each| each.program).collect();
        assert_eq!(programs.len(), PROGRAMS.len());
    }
}
