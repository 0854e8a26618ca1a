//! The faults of a plan, one after the other and side by side, but never two on one process.

use std::collections::HashMap;
use std::time::Duration;

use gavel_bus::topology::Stream;
use gavel_mock_convex::{Fault as ConvexFault, Purpose};
use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::programs;

use super::{Asked, Fault, Planned, Role, Target, Trouble};

/// Between the end of a fault and the next one on the same process, so that it is hit at work, too.
const REST: Duration = Duration::from_millis(700);
/// The longest time that a process is frozen, but for [`OVERSLEEP_MS`].
const FREEZE_MS: u64 = 4_000;
/// A reporter that is frozen for so long oversleeps the window of its call, the margin and the linger.
pub(crate) const OVERSLEEP_MS: std::ops::Range<u64> = 10_000..12_000;
/// How long it is left alone afterwards: it has amends to make, and to be ended before it has is a remainder that
/// ADR 0002 admits.
const AMENDS: Duration = Duration::from_secs(40);
/// The time that a run must have left for that.
const ROOM_TO_OVERSLEEP: Duration = Duration::from_secs(20);
/// The longest time after which Convex applies a result, whoever has given it up.
pub(crate) const LATE_RESULT_MS: u64 = 6_000;

/// What is planned so far.
struct Timeline<'a> {
    random: &'a mut SmallRng,
    targets: Vec<Target>,
    /// From when on a process may be hit again.
    free_from: HashMap<Target, Duration>,
    /// From when on a stream, or Convex for a purpose, may be.
    stream_free_from: Duration,
    convex_free_from: HashMap<Purpose, Duration>,
    end: Duration,
}

pub(super) fn faults(asked: &Asked, random: &mut SmallRng) -> Vec<Planned> {
    let mut timeline = Timeline {
        random,
        targets: Target::all(asked.cluster),
        free_from: HashMap::new(),
        stream_free_from: Duration::ZERO,
        convex_free_from: HashMap::new(),
        end: asked.lasts,
    };
    let mut planned = Vec::new();
    let mut at = Duration::from_millis(300);
    while at < asked.lasts {
        planned.extend(timeline.next(at));
        at += Duration::from_millis(timeline.random.random_range(150..1_000));
    }
    planned
}

impl Timeline<'_> {
    /// A fault that begins now, if what it would hit is free.
    fn next(&mut self, at: Duration) -> Option<Planned> {
        match self.random.random_range(0..100) {
            0..24 => self.on_process(at, 100..2_500, Fault::Kill, |_| true),
            24..32 => self.on_process(at, 100..2_500, Fault::Terminate, |_| true),
            32..46 => self.freeze(at),
            46..54 => self.on_process(at, 0..1, Fault::Cut, |target| target.role != Role::Nats),
            54..64 => self.on_process(at, 300..7_000, Fault::Silence, |target| target.role != Role::Nats),
            64..72 => self.fill(at),
            72..91 => self.convex(at),
            91..94 => {
                let expected = programs::CORRECTIONS[self.random.random_range(0..2)];
                Some(Planned { at, lasts: Duration::ZERO, fault: Fault::Correct(expected) })
            }
            _ => {
                let fault = Fault::Garbage(self.random.random());
                Some(Planned { at, lasts: Duration::ZERO, fault })
            }
        }
    }

    fn on_process(
        &mut self,
        at: Duration,
        ms: std::ops::Range<u64>,
        fault: impl Fn(Target) -> Fault,
        is_fit: impl Fn(Target) -> bool,
    ) -> Option<Planned> {
        let target = self.pick(at, is_fit)?;
        let lasts = Duration::from_millis(self.random.random_range(ms));
        self.free_from.insert(target, at + lasts + REST);
        Some(Planned { at, lasts, fault: fault(target) })
    }

    fn freeze(&mut self, at: Duration) -> Option<Planned> {
        let is_long = self.random.random_bool(0.15) && at + ROOM_TO_OVERSLEEP < self.end;
        if !is_long {
            return self.on_process(at, 200..FREEZE_MS, Fault::Freeze, |_| true);
        }
        let planned =
            self.on_process(at, OVERSLEEP_MS, Fault::Freeze, |target| target.role == Role::Reporter)?;
        if let Fault::Freeze(target) = planned.fault {
            self.free_from.insert(target, at + planned.lasts + AMENDS);
        }
        Some(planned)
    }

    fn fill(&mut self, at: Duration) -> Option<Planned> {
        let stream = Stream::ALL[self.random.random_range(0..Stream::ALL.len())];
        let lasts = Duration::from_millis(self.random.random_range(300..3_000));
        if at < self.stream_free_from {
            return None;
        }
        self.stream_free_from = at + lasts + REST;
        Some(Planned { at, lasts, fault: Fault::Fill(stream) })
    }

    fn convex(&mut self, at: Duration) -> Option<Planned> {
        let purposes = [Purpose::TestCases, Purpose::Running, Purpose::Result, Purpose::Result];
        let purpose = purposes[self.random.random_range(0..purposes.len())];
        let how = self.trouble(purpose);
        let chance = [0.3, 0.6, 1.0][self.random.random_range(0..3)];
        let lasts = Duration::from_millis(self.random.random_range(500..3_500));
        if self.convex_free_from.get(&purpose).is_some_and(|free| at < *free) {
            return None;
        }
        self.convex_free_from.insert(purpose, at + lasts);
        Some(Planned { at, lasts, fault: Fault::Convex(Trouble { purpose, how, chance }) })
    }

    /// Longer than the callers wait, and shorter; but no running is applied later than the linger allows for, see
    /// [`crate::service`], and no result later than [`crate::operator`] waits before the next generation.
    fn trouble(&mut self, purpose: Purpose) -> ConvexFault {
        let late = if purpose == Purpose::Result { 100..LATE_RESULT_MS } else { 100..2_500 };
        let mut ms = |range| Duration::from_millis(self.random.random_range(range));
        let times = (ms(100..5_000), ms(late), ms(100..4_000));
        match self.random.random_range(0..10) {
            0 | 1 => ConvexFault::status(503),
            2 => ConvexFault::status(500),
            3 => ConvexFault::retry_after(429, 1),
            4 => ConvexFault::Reset,
            5 => ConvexFault::ApplyThenReset,
            6 => ConvexFault::Hang(times.0),
            7 => ConvexFault::ApplyLate(times.1),
            8 => ConvexFault::Slow(times.2),
            _ => ConvexFault::Html(502),
        }
    }

    /// A process that is free and fits. Two servers of three are seldom away at once, since nothing goes on then.
    fn pick(&mut self, at: Duration, is_fit: impl Fn(Target) -> bool) -> Option<Target> {
        let is_free = |target: &Target| self.free_from.get(target).is_none_or(|free| at >= *free);
        let servers = self.targets.iter().filter(|target| target.role == Role::Nats);
        let (all, free) = (servers.clone().count(), servers.filter(|target| is_free(target)).count());
        let spare_servers = all > 1 && free < all && self.random.random_bool(0.75);
        let fit: Vec<Target> = self
            .targets
            .iter()
            .copied()
            .filter(|target| is_free(target) && is_fit(*target))
            .filter(|target| target.role != Role::Nats || !spare_servers)
            .collect();
        if fit.is_empty() { None } else { Some(fit[self.random.random_range(0..fit.len())]) }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn plan(seed: u64, cluster: bool) -> Vec<Planned> {
        let asked = Asked { seed, lasts: Duration::from_mins(10), submissions: 0, cluster };
        faults(&asked, &mut SmallRng::seed_from_u64(seed))
    }

    #[test]
    fn a_process_is_hit_by_one_fault_at_a_time() {
        for seed in 0..20 {
            let mut until: HashMap<Target, Duration> = HashMap::new();
            for planned in plan(seed, seed % 2 == 0) {
                let Some(target) = planned.fault.target() else { continue };
                let before = until.insert(target, planned.at + planned.lasts);
                assert!(before.is_none_or(|end| end + REST <= planned.at), "{planned} at {:?}", planned.at);
            }
        }
    }

    #[test]
    fn every_process_meets_every_signal_in_an_hour() {
        for cluster in [false, true] {
            let mut met = std::collections::HashSet::new();
            for planned in (0..6).flat_map(|seed| plan(seed, cluster)) {
                let word = planned.to_string().split(' ').next().unwrap().to_owned();
                met.extend(planned.fault.target().map(|target| (word, target)));
            }
            for target in Target::all(cluster) {
                for word in ["SIGKILL", "SIGTERM", "SIGSTOP"] {
                    assert!(met.contains(&(word.to_owned(), target)), "{word} {target}");
                }
            }
        }
    }

    #[test]
    fn a_reporter_that_overslept_is_left_alone_to_make_amends() {
        let mut overslept = 0;
        for seed in 0..20 {
            let mut alone_until: HashMap<Target, Duration> = HashMap::new();
            for planned in plan(seed, false) {
                let Some(target) = planned.fault.target() else { continue };
                assert!(alone_until.get(&target).is_none_or(|until| planned.at >= *until), "{planned}");
                if planned.lasts >= Duration::from_millis(OVERSLEEP_MS.start) {
                    assert_eq!(target.role, Role::Reporter);
                    alone_until.insert(target, planned.at + planned.lasts + AMENDS);
                    overslept += 1;
                }
            }
        }
        assert!(overslept > 0);
    }
}
