//! The time that a run is charged with: the elapsed time without the time in which the run was runnable and waited for
//! a CPU that others used (`docs/adr/0010-charged-time.md`).

use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::time::{ClockId, clock_gettime};

use super::cpu_times::{CpuTimes, CpuTimesReader};
use super::processes::ThreadReading;

/// What the run does at one moment.
pub(super) struct Sample {
    pub(super) threads: Vec<ThreadReading>,
    /// Whether its output fills a pipe that the judge has not read.
    pub(super) is_output_full: bool,
}

/// Time off the CPU that is worth a look at the threads.
const NOTABLE_TIME: Duration = Duration::from_millis(1);
/// Sleep of a run that has ended that is worth a look at the CPU, whose times have this resolution.
const NOTABLE_SLEEP: Duration = Duration::from_millis(10);
/// The longest time between two samples, as a multiple of what the last one cost: many threads take long to read.
const MAX_SAMPLE_SPACING: u32 = 32;

/// Measures the charged time of one run.
pub(super) struct RunClock {
    started: Instant,
    limit: Duration,
    /// The time and the CPU time of the run at the last sample.
    sampled: Instant,
    sampled_cpu_ns: u64,
    /// No sample before this time, unless the run reaches its limit.
    next_sample: Instant,
    waiting: Waiting,
    cpu_times: Option<Rc<CpuTimesReader>>,
    /// The times of the slot's CPU at the first sample, and the CPU time of the run until then, in nanoseconds.
    first: Option<(CpuTimes, u64)>,
}

/// The time of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RunTime {
    pub(super) charged: Duration,
    pub(super) waited: Duration,
}

impl RunClock {
    /// A clock that starts now. `limit` is the wall time limit; `cpu_times` reads the times of the slot's CPU.
    pub(super) fn start(limit: Duration, cpu_times: Option<Rc<CpuTimesReader>>) -> Self {
        let started = Instant::now();
        let (sampled, next_sample) = (started, started);
        let (waiting, first) = (Waiting::default(), None);
        Self { started, limit, sampled, sampled_cpu_ns: 0, next_sample, waiting, cpu_times, first }
    }

    /// The time until `now`. The time since the last sample is charged.
    pub(super) fn time(&self, now: Instant) -> RunTime {
        let elapsed = now.saturating_duration_since(self.started);
        let waited = self.waiting.total().min(elapsed);
        RunTime { charged: elapsed.saturating_sub(waited), waited }
    }

    /// Looks at the run if the run was off the CPU since the last sample. `cpu_ns` is the CPU time of the run until
    /// `now`. If the run has reached its memory limit, so that there is no memory for the sample, a later one decides.
    pub(super) fn update(
        &mut self,
        now: Instant,
        cpu_ns: u64,
        look: impl FnOnce() -> Result<Sample, Errno>,
    ) -> Result<(), Errno> {
        let off_cpu = self.off_cpu(now, cpu_ns);
        if off_cpu >= NOTABLE_TIME && (now >= self.next_sample || self.time(now).charged >= self.limit) {
            let before = own_cpu_time();
            match look() {
                Ok(sample) => self.waiting.add(off_cpu, sample),
                Err(Errno::NOMEM) => return Ok(()),
                Err(errno) => return Err(errno),
            }
            let cost = own_cpu_time().saturating_sub(before);
            (self.sampled, self.sampled_cpu_ns) = (now, cpu_ns);
            self.next_sample = now + random_part(cost * MAX_SAMPLE_SPACING);
            if self.first.is_none() {
                self.first = self.cpu_times.as_ref().and_then(|times| Some((times.read()?, cpu_ns)));
            }
        }
        if self.time(now).charged >= self.limit {
            self.look_for_stolen_time(cpu_ns);
        }
        Ok(())
    }

    /// Updates what was stolen from the run. Only a run that would exceed its limit and one that has ended need it.
    fn look_for_stolen_time(&mut self, cpu_ns: u64) {
        let (Some((first, first_cpu_ns)), Some(times)) = (&self.first, &self.cpu_times) else { return };
        if let Some(now) = times.read() {
            let used = Duration::from_nanos(cpu_ns.saturating_sub(*first_cpu_ns));
            self.waiting.stolen = now.stolen_from(first, used);
        }
    }

    /// The time of the whole run, which ended at `now` after this CPU time.
    pub(super) fn finish(mut self, now: Instant, cpu_ns: u64) -> RunTime {
        self.waiting.finish(self.off_cpu(now, cpu_ns));
        if self.waiting.asleep >= NOTABLE_SLEEP {
            self.look_for_stolen_time(cpu_ns);
        }
        self.time(now)
    }

    /// The time since the last sample in which the run used no CPU.
    fn off_cpu(&self, now: Instant, cpu_ns: u64) -> Duration {
        let used = Duration::from_nanos(cpu_ns.saturating_sub(self.sampled_cpu_ns));
        now.saturating_duration_since(self.sampled).saturating_sub(used)
    }
}

/// Between half of this time and all of it, at random: a program must not be able to be runnable at each check and
/// asleep between them.
pub(super) fn random_part(longest: Duration) -> Duration {
    let mut random = [0_u8];
    // Without a random byte, it is half.
    let _ = getrandom(&mut random, GetRandomFlags::NONBLOCK);
    let half = longest / 2;
    half + half * u32::from(random[0]) / 255
}

/// CPU time of the init itself.
pub(super) fn own_cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Decides how much of the time off the CPU was waiting.
///
/// The kernel adds a wait to a thread's run delay when the wait ends. Until then, time off the CPU is undecided as
/// long as each sample finds a runnable thread; then it is a wait as far as run delays grew, and sleep otherwise. The
/// run delays of a thread that exits are lost: if it was runnable at the last sample, what is undecided was its wait.
/// So it was if the judge, which may itself wait for a CPU, has not read the run's output.
///
/// Threads that wait at the same time, also for each other, have run delays that are longer together than the wait of
/// the run. So the sum of run delays counts only if a thread is runnable at the sample, and that of one thread if all
/// sleep: otherwise many threads that wake together for an instant would turn the sleep before it into a wait.
///
/// What is left was sleep, unless a hypervisor took the CPU: then a thread looks as if it ran, or wakes late. As much of
/// the sleep was a wait as was stolen from the run since the first sample. Of what was stolen from the CPU that is the
/// run's share of the CPU time that was used there: a CPU that sleeps is not stolen.
#[derive(Default)]
struct Waiting {
    decided: Duration,
    undecided: Duration,
    asleep: Duration,
    /// What was stolen from the run after the first sample, as far as is known.
    stolen: Duration,
    /// The threads at the last sample.
    threads: Vec<ThreadReading>,
}

impl Waiting {
    /// The time that is not charged, as far as is known.
    fn total(&self) -> Duration {
        self.decided + self.undecided + self.stolen.min(self.asleep)
    }

    /// Takes a sample. `off_cpu` is the time since the last sample in which the run used no CPU.
    fn add(&mut self, off_cpu: Duration, sample: Sample) {
        let Sample { mut threads, is_output_full } = sample;
        threads.sort_unstable_by_key(|thread| thread.id);
        self.undecided += off_cpu;
        let is_runnable = threads.iter().any(|thread| thread.is_runnable);
        let grown = threads.iter().map(|thread| {
            let before = find(&self.threads, thread.id).map_or(0, |before| before.waited_ns);
            thread.waited_ns.saturating_sub(before)
        });
        let grown_ns =
            if is_runnable { grown.fold(0, u64::saturating_add) } else { grown.max().unwrap_or(0) };
        let exited = self.threads.iter().any(|it| it.is_runnable && find(&threads, it.id).is_none());
        let all = exited || is_output_full;
        self.decide(if all { self.undecided } else { Duration::from_nanos(grown_ns) });
        if !is_runnable {
            self.asleep += std::mem::take(&mut self.undecided);
        }
        self.threads = threads;
    }

    /// Decides about the time since the last sample of a run that has ended.
    fn finish(&mut self, off_cpu: Duration) {
        if self.threads.iter().any(|thread| thread.is_runnable) {
            self.undecided += off_cpu;
        } else {
            self.asleep += off_cpu;
        }
        self.decide(self.undecided);
    }

    /// At most this much of what is undecided was waiting.
    fn decide(&mut self, waited: Duration) {
        let waited = waited.min(self.undecided);
        self.decided += waited;
        self.undecided = self.undecided.saturating_sub(waited);
    }
}

/// Finds a thread in a list that is sorted by id.
fn find(threads: &[ThreadReading], id: i32) -> Option<&ThreadReading> {
    threads.binary_search_by_key(&id, |thread| thread.id).ok().map(|at| &threads[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn thread(id: i32, waited_ms: u64, is_runnable: bool) -> ThreadReading {
        ThreadReading { id, waited_ns: waited_ms * 1_000_000, is_runnable }
    }

    fn sample(threads: &[ThreadReading]) -> Sample {
        Sample { threads: threads.to_vec(), is_output_full: false }
    }

    fn waited(samples: &[(u32, &[ThreadReading])]) -> Waiting {
        let mut waiting = Waiting::default();
        for (off_cpu_ms, threads) in samples {
            waiting.add(MS * *off_cpu_ms, sample(threads));
        }
        waiting
    }

    #[test]
    fn sleep_is_charged() {
        let asleep = [thread(2, 0, false)];
        assert_eq!(waited(&[(10, &asleep), (10, &asleep)]).total(), Duration::ZERO);
    }

    #[test]
    fn wait_counts_from_its_start_before_the_kernel_has_recorded_it() {
        let waiting = [thread(2, 3, true)];
        let mut pending = waited(&[(5, &waiting), (10, &waiting), (10, &waiting)]);
        assert_eq!(pending.total(), MS * 25);
        // It waited for 22 ms of them, ran, and sleeps.
        pending.add(MS * 4, sample(&[thread(2, 22, false)]));
        assert_eq!(pending.total(), MS * 22);
    }

    #[test]
    fn sleep_before_a_recorded_wait_is_charged() {
        let found = waited(&[(10, &[thread(2, 0, false)]), (10, &[thread(2, 4, false)])]);
        assert_eq!(found.total(), MS * 4);
    }

    #[test]
    fn threads_that_compete_with_each_other_do_not_wait_longer_than_the_run() {
        let many: Vec<_> = (2..66).map(|id| thread(id, 630, true)).collect();
        let asleep: Vec<_> = (2..66).map(|id| thread(id, 640, false)).collect();
        assert_eq!(waited(&[(0, &many), (0, &asleep), (10, &asleep)]).total(), Duration::ZERO);
        assert_eq!(waited(&[(2, &many)]).total(), MS * 2);
    }

    #[test]
    fn sleep_of_many_threads_is_charged_except_for_the_wait_of_one() {
        let asleep = |waited_ms| (2..66).map(|id| thread(id, waited_ms, false)).collect::<Vec<_>>();
        let (before, after) = (asleep(5), asleep(6));
        assert_eq!(waited(&[(0, &before), (10, &after)]).total(), MS);
    }

    #[test]
    fn random_part_is_at_least_half() {
        let parts: Vec<_> = (0..100).map(|_| random_part(MS * 10)).collect();
        assert!(parts.iter().all(|part| (MS * 5..=MS * 10).contains(part)), "{parts:?}");
        assert!(parts.iter().any(|part| *part != parts[0]), "{parts:?}");
    }

    #[test]
    fn last_wait_of_a_thread_that_exited_counts() {
        let parent = thread(2, 0, false);
        let found = waited(&[(5, &[parent, thread(3, 0, true)]), (8, &[parent])]);
        assert_eq!(found.total(), MS * 13);
        let slept = waited(&[(5, &[parent, thread(3, 0, false)]), (8, &[parent])]);
        assert_eq!(slept.total(), Duration::ZERO);
    }

    #[test]
    fn time_until_the_judge_reads_the_output_is_not_charged() {
        let mut waiting = waited(&[(10, &[thread(2, 0, false)])]);
        waiting.add(MS * 10, Sample { is_output_full: true, ..sample(&[thread(2, 0, false)]) });
        assert_eq!(waiting.total(), MS * 10);
    }

    #[test]
    fn sleep_counts_as_a_wait_as_far_as_the_hypervisor_took_the_cpu() {
        let mut waiting = waited(&[(20, &[thread(2, 0, false)])]);
        waiting.stolen = MS * 30;
        assert_eq!(waiting.total(), MS * 20, "at most what it slept");
        waiting.add(MS * 40, sample(&[thread(2, 0, false)]));
        assert_eq!(waiting.total(), MS * 30, "at most what was stolen");
        waiting.add(MS * 5, sample(&[thread(2, 0, true)]));
        assert_eq!(waiting.total(), MS * 35, "undecided");
        waiting.finish(MS * 2);
        assert_eq!(waiting.total(), MS * 37);
    }

    #[test]
    fn end_of_a_run_that_was_runnable_is_not_charged_for_its_last_wait() {
        for (is_runnable, expected) in [(true, MS * 13), (false, Duration::ZERO)] {
            let mut waiting = waited(&[(5, &[thread(2, 0, is_runnable)])]);
            waiting.finish(MS * 8);
            assert_eq!(waiting.total(), expected);
        }
    }

    #[test]
    fn run_is_sampled_only_if_it_was_off_its_cpu() {
        let mut clock = RunClock::start(Duration::from_secs(1), None);
        let now = clock.started + MS * 20;
        clock.update(now, 19_500_000, || panic!("sampled")).unwrap();
        assert_eq!(clock.time(now), RunTime { charged: MS * 20, waited: Duration::ZERO });
        clock.update(now, 10_000_000, || Err(Errno::NOMEM)).unwrap();
        assert_eq!(clock.time(now).waited, Duration::ZERO, "no memory for a sample");
        clock.update(now, 10_000_000, || Ok(sample(&[thread(2, 9, false)]))).unwrap();
        assert_eq!(clock.time(now), RunTime { charged: MS * 11, waited: MS * 9 });
        assert_eq!(clock.finish(now + MS * 3, 10_000_000).charged, MS * 14);
    }
}
