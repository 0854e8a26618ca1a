//! Plans the faults. They may overlap, but never two on one process.

use std::collections::HashMap;
use std::time::Duration;

use gavel_bus::topology::Stream;
use gavel_mock_convex::{HttpFault, Purpose};
use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::programs;

use super::{ConvexFault, InjectedFault, PlannedFault, Role, RunOptions, Target};

/// The time between two faults on the same process, so that a fault also hits it at work.
const RECOVERY_TIME: Duration = Duration::from_millis(700);
/// The longest time for which a process is frozen, except for [`LONG_FREEZE_MS`].
const FREEZE_MS: u64 = 4_000;
/// How long a reporter is frozen so that the window of its `running` call, the margin and the linger pass meanwhile.
pub(crate) const LONG_FREEZE_MS: std::ops::Range<u64> = 10_000..12_000;
/// How long such a reporter is left alone afterwards, so that it can send the result again. To be killed before
/// that is a case that ADR 0002 does not cover.
const RESEND_TIME: Duration = Duration::from_secs(40);
/// The time that a run must have left for a long freeze.
const MIN_TIME_AFTER_LONG_FREEZE: Duration = Duration::from_secs(20);
/// The longest delay with which Convex applies a result, although the reporter has given up the call.
pub(crate) const LATE_RESULT_MS: u64 = 6_000;

/// How many slow clients there are at a time: more than the ingress has connections.
const SLOW_CONNECTIONS: usize = 1_500;

/// The state of planning.
struct Timeline<'a> {
    random: &'a mut SmallRng,
    targets: Vec<Target>,
    /// When the next fault may act on a process.
    free_from: HashMap<Target, Duration>,
    /// The same for the streams, and for Convex by purpose.
    stream_free_from: Duration,
    convex_free_from: HashMap<Purpose, Duration>,
    end: Duration,
}

pub(super) fn faults(options: &RunOptions, random: &mut SmallRng) -> Vec<PlannedFault> {
    let mut timeline = Timeline {
        random,
        targets: Target::all(options.cluster),
        free_from: HashMap::new(),
        stream_free_from: Duration::ZERO,
        convex_free_from: HashMap::new(),
        end: options.duration,
    };
    let mut planned = Vec::new();
    let mut at = Duration::from_millis(300);
    while at < options.duration {
        planned.extend(timeline.next(at));
        at += Duration::from_millis(timeline.random.random_range(150..1_000));
    }
    planned
}

impl Timeline<'_> {
    /// Returns a fault that begins now, unless another fault acts on its target.
    fn next(&mut self, at: Duration) -> Option<PlannedFault> {
        match self.random.random_range(0..100) {
            0..24 => self.on_process(at, 100..2_500, InjectedFault::Kill, |_| true),
            24..32 => self.on_process(at, 100..2_500, InjectedFault::Terminate, |_| true),
            32..46 => self.freeze(at),
            46..54 => {
                self.on_process(at, 0..1, InjectedFault::Disconnect, |target| target.role != Role::Nats)
            }
            54..64 => {
                self.on_process(at, 300..7_000, InjectedFault::Partition, |target| target.role != Role::Nats)
            }
            64..70 => self.fill(at),
            70..72 => {
                self.on_process(at, 500..4_000, InjectedFault::FullDisk, |target| target.role == Role::Nats)
            }
            72..91 => self.convex_fault(at),
            91..94 => {
                let expected = programs::CORRECTIONS[self.random.random_range(0..2)];
                Some(PlannedFault { at, lasts: Duration::ZERO, fault: InjectedFault::Correct(expected) })
            }
            94..97 => {
                let lasts = Duration::from_millis(self.random.random_range(500..6_000));
                Some(PlannedFault { at, lasts, fault: InjectedFault::SlowConnections(SLOW_CONNECTIONS) })
            }
            _ => {
                let fault = InjectedFault::MalformedMessages(self.random.random());
                Some(PlannedFault { at, lasts: Duration::ZERO, fault })
            }
        }
    }

    fn on_process(
        &mut self,
        at: Duration,
        ms: std::ops::Range<u64>,
        fault: impl Fn(Target) -> InjectedFault,
        is_fit: impl Fn(Target) -> bool,
    ) -> Option<PlannedFault> {
        let target = self.pick_target(at, is_fit)?;
        let lasts = Duration::from_millis(self.random.random_range(ms));
        self.free_from.insert(target, at + lasts + RECOVERY_TIME);
        Some(PlannedFault { at, lasts, fault: fault(target) })
    }

    fn freeze(&mut self, at: Duration) -> Option<PlannedFault> {
        let is_long = self.random.random_bool(0.15) && at + MIN_TIME_AFTER_LONG_FREEZE < self.end;
        if !is_long {
            return self.on_process(at, 200..FREEZE_MS, InjectedFault::Freeze, |_| true);
        }
        let planned = self
            .on_process(at, LONG_FREEZE_MS, InjectedFault::Freeze, |target| target.role == Role::Reporter)?;
        if let InjectedFault::Freeze(target) = planned.fault {
            self.free_from.insert(target, at + planned.lasts + RESEND_TIME);
        }
        Some(planned)
    }

    fn fill(&mut self, at: Duration) -> Option<PlannedFault> {
        // The others would discard messages instead of refusing them.
        let streams: Vec<_> = Stream::ALL.into_iter().filter(|stream| !stream.discards_oldest()).collect();
        let stream = streams[self.random.random_range(0..streams.len())];
        let lasts = Duration::from_millis(self.random.random_range(300..3_000));
        if at < self.stream_free_from {
            return None;
        }
        self.stream_free_from = at + lasts + RECOVERY_TIME;
        Some(PlannedFault { at, lasts, fault: InjectedFault::Fill(stream) })
    }

    fn convex_fault(&mut self, at: Duration) -> Option<PlannedFault> {
        let purposes = [Purpose::TestCases, Purpose::Running, Purpose::Result, Purpose::Result];
        let purpose = purposes[self.random.random_range(0..purposes.len())];
        let fault = self.http_fault(purpose);
        let chance = [0.3, 0.6, 1.0][self.random.random_range(0..3)];
        let lasts = Duration::from_millis(self.random.random_range(500..3_500));
        if self.convex_free_from.get(&purpose).is_some_and(|free| at < *free) {
            return None;
        }
        self.convex_free_from.insert(purpose, at + lasts);
        Some(PlannedFault { at, lasts, fault: InjectedFault::Convex(ConvexFault { purpose, fault, chance }) })
    }

    /// Returns a fault whose delay may be shorter or longer than the timeout of the call. But `running` is never
    /// applied later than the linger allows (see [`crate::service`]), and no result later than [`crate::operator`]
    /// waits before the next generation.
    fn http_fault(&mut self, purpose: Purpose) -> HttpFault {
        let late = if purpose == Purpose::Result { 100..LATE_RESULT_MS } else { 100..2_500 };
        let mut ms = |range| Duration::from_millis(self.random.random_range(range));
        let (hang, apply_late, slow) = (ms(100..5_000), ms(late), ms(100..4_000));
        match self.random.random_range(0..10) {
            0 | 1 => HttpFault::status(503),
            2 => HttpFault::status(500),
            3 => HttpFault::retry_after(429, 1),
            4 => HttpFault::Reset,
            5 => HttpFault::ApplyThenReset,
            6 => HttpFault::Hang(hang),
            7 => HttpFault::ApplyLate(apply_late),
            8 => HttpFault::Slow(slow),
            _ => HttpFault::Html(502),
        }
    }

    /// Picks a process that fits and on which no fault acts. Two servers of three are seldom down together, because
    /// the pipeline stands still then.
    fn pick_target(&mut self, at: Duration, is_fit: impl Fn(Target) -> bool) -> Option<Target> {
        let is_free = |target: &Target| self.free_from.get(target).is_none_or(|free| at >= *free);
        let servers = self.targets.iter().filter(|target| target.role == Role::Nats);
        let (all, free) = (servers.clone().count(), servers.filter(|target| is_free(target)).count());
        let skips_servers = all > 1 && free < all && self.random.random_bool(0.75);
        let fit: Vec<Target> = self
            .targets
            .iter()
            .copied()
            .filter(|target| is_free(target) && is_fit(*target))
            .filter(|target| target.role != Role::Nats || !skips_servers)
            .collect();
        if fit.is_empty() { None } else { Some(fit[self.random.random_range(0..fit.len())]) }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;
    use crate::plan::CallbackOrder;

    fn plan(seed: u64, cluster: bool) -> Vec<PlannedFault> {
        let (duration, order) = (Duration::from_mins(10), CallbackOrder::Strict);
        let options = RunOptions { seed, duration, submissions: 0, cluster, order, previous: None };
        faults(&options, &mut SmallRng::seed_from_u64(seed))
    }

    #[test]
    fn process_has_one_fault_at_a_time() {
        for seed in 0..20 {
            let mut until: HashMap<Target, Duration> = HashMap::new();
            for planned in plan(seed, seed % 2 == 0) {
                let Some(target) = planned.fault.target() else { continue };
                let before = until.insert(target, planned.at + planned.lasts);
                assert!(
                    before.is_none_or(|end| end + RECOVERY_TIME <= planned.at),
                    "{planned} at {:?}",
                    planned.at
                );
            }
        }
    }

    #[test]
    fn every_process_meets_every_signal_in_an_hour() {
        for cluster in [false, true] {
            let mut seen = std::collections::HashSet::new();
            for planned in (0..6).flat_map(|seed| plan(seed, cluster)) {
                let signal = planned.to_string().split(' ').next().unwrap().to_owned();
                seen.extend(planned.fault.target().map(|target| (signal, target)));
            }
            for target in Target::all(cluster) {
                for signal in ["SIGKILL", "SIGTERM", "SIGSTOP"] {
                    assert!(seen.contains(&(signal.to_owned(), target)), "{signal} {target}");
                }
            }
        }
    }

    #[test]
    fn hour_has_every_fault_without_a_process() {
        let planned: Vec<_> = (0..6).flat_map(|seed| plan(seed, false)).collect();
        let has = |matches: fn(&InjectedFault) -> bool| planned.iter().any(|planned| matches(&planned.fault));
        assert!(has(|fault| matches!(fault, InjectedFault::Fill(_))));
        assert!(has(|fault| matches!(fault, InjectedFault::Convex(_))));
        assert!(has(|fault| matches!(fault, InjectedFault::Correct(_))));
        assert!(has(|fault| matches!(fault, InjectedFault::SlowConnections(_))));
        assert!(has(|fault| matches!(fault, InjectedFault::MalformedMessages(_))));
    }

    #[test]
    fn reporter_is_left_alone_after_a_long_freeze() {
        let mut long_freezes = 0;
        for seed in 0..20 {
            let mut alone_until: HashMap<Target, Duration> = HashMap::new();
            for planned in plan(seed, false) {
                let Some(target) = planned.fault.target() else { continue };
                assert!(alone_until.get(&target).is_none_or(|until| planned.at >= *until), "{planned}");
                if planned.lasts >= Duration::from_millis(LONG_FREEZE_MS.start) {
                    assert_eq!(target.role, Role::Reporter);
                    alone_until.insert(target, planned.at + planned.lasts + RESEND_TIME);
                    long_freezes += 1;
                }
            }
        }
        assert!(long_freezes > 0);
    }
}
