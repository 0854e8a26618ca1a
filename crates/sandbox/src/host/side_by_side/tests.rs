//! Tests of the schedule: with slots that only count, and time that passes at once.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Duration;

use gavel_domain::{Outcome, Usage};
use proptest::prelude::*;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::host::slot_count::SlotCount;

/// What happens when a test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    Passes,
    /// The observer stops at it.
    Fails,
    /// The slot fails each time.
    Faults,
    /// The slot fails the first time.
    FaultsOnce,
}
use Behaviour::{Fails, Faults, FaultsOnce, Passes};

#[derive(Clone, Copy, Debug)]
struct Test {
    takes: Duration,
    behaviour: Behaviour,
    output_bytes: usize,
}

fn test(milliseconds: u64, behaviour: Behaviour) -> Test {
    Test { takes: Duration::from_millis(milliseconds), behaviour, output_bytes: 1 }
}

struct FakeSlots<'a> {
    tests: &'a [Test],
    count: SlotCount,
    /// The tests that were started, in this order.
    started: Mutex<Vec<usize>>,
    borrowed: Mutex<usize>,
}

impl<'a> FakeSlots<'a> {
    fn new(tests: &'a [Test], slots: usize) -> Self {
        let count = SlotCount::new(slots);
        Self { tests, count, started: Mutex::default(), borrowed: Mutex::default() }
    }

    fn execution(&self, test: usize) -> Execution {
        let code = i32::from(self.tests[test].behaviour == Fails);
        Execution {
            outcome: Outcome::Exited { code },
            matched_bytes: test,
            stdout: vec![b'x'; self.tests[test].output_bytes],
            stderr: Vec::new(),
            usage: Usage { cpu_time: self.tests[test].takes, ..Usage::default() },
        }
    }

    fn started(&self) -> Vec<usize> {
        self.started.lock().unwrap().clone()
    }

    /// Runs all tests. Returns what was observed, and the fault that ended the job.
    async fn run_all(&self) -> (Vec<Execution>, Option<String>) {
        let own = self.count.acquire().await.unwrap();
        let mut observed = Vec::new();
        let ended = run_in_order(self, own, self.tests.len(), &mut |execution: Execution| {
            let is_success = execution.outcome.is_success();
            observed.push(execution);
            if is_success { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .await;
        (observed, ended.err())
    }
}

impl Slots for FakeSlots<'_> {
    type Slot = OwnedSemaphorePermit;
    type Fault = String;

    async fn run(&self, _: &mut OwnedSemaphorePermit, test: usize) -> Result<Execution, String> {
        let is_first = !self.started().contains(&test);
        self.started.lock().unwrap().push(test);
        sleep(self.tests[test].takes).await;
        match self.tests[test].behaviour {
            Passes | Fails => Ok(self.execution(test)),
            FaultsOnce if !is_first => Ok(self.execution(test)),
            Faults | FaultsOnce => Err(format!("test {test}")),
        }
    }

    fn borrow_idle(&self) -> Option<OwnedSemaphorePermit> {
        let slot = self.count.try_acquire()?;
        *self.borrowed.lock().unwrap() += 1;
        Some(slot)
    }

    async fn slot_is_needed(&self) {
        self.count.is_needed().await;
    }
}

fn behaviours() -> impl Strategy<Value = Behaviour> {
    prop_oneof![12 => Just(Passes), 1 => Just(Fails), 1 => Just(Faults), 2 => Just(FaultsOnce)]
}

fn tests() -> impl Strategy<Value = Vec<Test>> {
    let takes = prop_oneof![0_u64..5, 0_u64..200];
    let test = (takes, behaviours(), prop_oneof![Just(0_usize), Just(1_usize), Just(600_000)]);
    let test = test.prop_map(|(takes, behaviour, output_bytes)| Test {
        takes: Duration::from_millis(takes),
        behaviour,
        output_bytes,
    });
    proptest::collection::vec(test, 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// `others` are submissions with one slot each: when they come, and how long they stay.
    #[test]
    fn observer_sees_one_test_after_the_other(
        tests in tests(),
        slots in 1_usize..6,
        others in proptest::collection::vec((0_u64..300, 0_u64..100), 0..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let fake = FakeSlots::new(&tests, slots);
            let comes = |(at, stays): (u64, u64)| {
                let count = &fake.count;
                async move {
                    sleep(Duration::from_millis(at)).await;
                    let slot = count.acquire().await;
                    sleep(Duration::from_millis(stays)).await;
                    slot.is_some()
                }
            };
            let others = futures::future::join_all(others.iter().copied().map(comes));
            let ((observed, fault), others) = tokio::join!(fake.run_all(), others);
            // One test after the other, in a slot that never fails.
            let first_failure = tests.iter().position(|test| test.behaviour == Fails);
            let end = first_failure.map_or(tests.len(), |failure| failure + 1);
            let expected: Vec<_> = (0..end).map(|test| fake.execution(test)).collect();
            prop_assert_eq!(&observed[..], &expected[..observed.len()]);
            // A fault ends the job where it would end it in one slot.
            match fault {
                None => {
                    prop_assert_eq!(observed.len(), end);
                    prop_assert!(tests[..end].iter().all(|test| test.behaviour != Faults));
                }
                Some(fault) => {
                    prop_assert_eq!(fault, format!("test {}", observed.len()));
                    prop_assert!(matches!(tests[observed.len()].behaviour, Faults | FaultsOnce));
                }
            }
            // Nothing is left: every slot is free, and no need is left over.
            prop_assert!(others.iter().all(|had_slot| *had_slot));
            let free: Vec<_> = std::iter::from_fn(|| fake.count.try_acquire()).collect();
            prop_assert_eq!(free.len(), slots);
            prop_assert!(timeout(Duration::from_secs(1), fake.count.is_needed()).await.is_err());
            // Tests start in order, apart from those that run again.
            let mut seen = BTreeSet::new();
            let firsts: Vec<_> = fake.started().into_iter().filter(|test| seen.insert(*test)).collect();
            prop_assert!(firsts.is_sorted(), "{:?}", firsts);
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn tests_share_the_idle_slots() {
    let tests = [test(100, Passes); 10];
    let fake = FakeSlots::new(&tests, 5);
    let began = Instant::now();
    let (observed, fault) = fake.run_all().await;
    assert_eq!((observed.len(), fault), (10, None));
    assert_eq!(began.elapsed().as_millis(), 200);
}

#[tokio::test(start_paused = true)]
async fn one_test_borrows_no_slot() {
    let tests = [test(100, Passes)];
    let fake = FakeSlots::new(&tests, 4);
    assert_eq!(fake.run_all().await.0.len(), 1);
    assert_eq!(*fake.borrowed.lock().unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn waiting_submission_gets_the_slot_of_the_latest_test_at_once() {
    let tests = [test(1_000, Passes), test(1_000, Passes), test(1_000, Passes)];
    let fake = FakeSlots::new(&tests, 3);
    let waits = async {
        sleep(Duration::from_millis(500)).await;
        let asked = Instant::now();
        let slot = fake.count.acquire().await;
        assert_eq!(asked.elapsed(), Duration::ZERO);
        sleep(Duration::from_secs(10)).await;
        drop(slot);
    };
    let began = Instant::now();
    let run = async { (fake.run_all().await, began.elapsed().as_millis()) };
    let (((observed, _), took), ()) = tokio::join!(run, waits);
    assert_eq!((observed.len(), took), (3, 2_000));
    assert_eq!(fake.started(), [0, 1, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn all_waiting_submissions_get_a_slot_at_once() {
    let tests = [test(1_000, Passes); 4];
    let fake = FakeSlots::new(&tests, 4);
    let others = futures::future::join_all([0, 1, 2].map(|_| async {
        sleep(Duration::from_millis(500)).await;
        let asked = Instant::now();
        let slot = fake.count.acquire().await;
        let waited = asked.elapsed();
        sleep(Duration::from_mins(1)).await;
        (slot.is_some(), waited)
    }));
    let ((observed, _), others) = tokio::join!(fake.run_all(), others);
    assert_eq!((observed.len(), others), (4, vec![(true, Duration::ZERO); 3]));
    assert_eq!(fake.started(), [0, 1, 2, 3, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn submission_keeps_a_slot_although_others_wait() {
    let tests = [test(1_000, Passes), test(1_000, Passes)];
    let fake = FakeSlots::new(&tests, 2);
    let others = futures::future::join_all([0, 1, 2].map(|_| async {
        sleep(Duration::from_millis(500)).await;
        let slot = fake.count.acquire().await;
        sleep(Duration::from_mins(1)).await;
        slot.is_some()
    }));
    let began = Instant::now();
    let run = async { (fake.run_all().await, began.elapsed().as_millis()) };
    let (((observed, _), took), others) = tokio::join!(run, others);
    assert_eq!((observed.len(), took, others), (2, 2_000, vec![true; 3]));
}

#[tokio::test(start_paused = true)]
async fn failure_ends_the_runs_of_later_tests_at_once() {
    let tests = [test(10, Fails), test(1_000_000, Passes), test(1_000_000, Passes)];
    let fake = FakeSlots::new(&tests, 3);
    let began = Instant::now();
    assert_eq!(fake.run_all().await.0.len(), 1);
    assert_eq!(began.elapsed().as_millis(), 10);
    let free: Vec<_> = std::iter::from_fn(|| fake.count.try_acquire()).collect();
    assert_eq!(free.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn slot_without_a_test_is_free_for_others() {
    let tests = [test(10, Passes), test(1_000, Passes)];
    let fake = FakeSlots::new(&tests, 2);
    let other = async {
        sleep(Duration::from_millis(500)).await;
        fake.count.try_acquire().is_some()
    };
    let ((observed, _), is_free) = tokio::join!(fake.run_all(), other);
    assert_eq!((observed.len(), is_free), (2, true));
    // The test in the borrowed slot was not run again.
    assert_eq!(fake.started(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn fault_next_to_other_runs_is_no_fault_of_the_submission() {
    let tests = [test(50, Passes), test(10, FaultsOnce), test(50, Passes), test(50, Passes)];
    let fake = FakeSlots::new(&tests, 2);
    let began = Instant::now();
    let (observed, fault) = fake.run_all().await;
    assert_eq!((observed.len(), fault), (4, None));
    // From the fault on one at a time.
    assert_eq!((fake.started(), began.elapsed().as_millis()), (vec![0, 1, 1, 2, 3], 160));
}

#[tokio::test(start_paused = true)]
async fn fault_of_the_only_run_ends_the_job() {
    let tests = [test(50, Passes), test(10, FaultsOnce), test(50, Passes)];
    let fake = FakeSlots::new(&tests, 1);
    let (observed, fault) = fake.run_all().await;
    assert_eq!((observed.len(), fault.as_deref()), (1, Some("test 1")));
}

#[tokio::test(start_paused = true)]
async fn much_output_holds_back_later_tests() {
    let large = |milliseconds| Test { output_bytes: MAX_WAITING_BYTES, ..test(milliseconds, Passes) };
    let tests: Vec<_> = std::iter::once(1_000).chain([10; 20]).map(large).collect();
    let fake = FakeSlots::new(&tests, 3);
    let during = async {
        sleep(Duration::from_millis(900)).await;
        fake.started()
    };
    let ((observed, _), started) = tokio::join!(fake.run_all(), during);
    assert_eq!((observed.len(), started), (21, vec![0, 1, 2]));
}
