//! Running a program on the tests of a submission, side by side while slots are idle (ADR 13).
//!
//! What the caller observes is what one slot would do with one test after the other. A submission always keeps one slot,
//! whichever it is; the others are borrowed, and one of them is given back whenever another submission needs it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;

use futures::future::select_all;
use gavel_domain::Execution;
use gavel_domain::engine::Observer;

use crate::host::error::SandboxError;
use crate::host::pool::Pool;
use crate::host::program::Program;
use crate::host::workspace::Workspace;
use crate::protocol::limits::RunLimits;

/// No test is started while executions that cannot be passed on yet hold this much output, in bytes.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// One test: what the program gets, its limits, and what it is expected to print.
#[derive(Clone, Debug)]
pub struct TestRun<'a> {
    /// Standard input.
    pub stdin: Cow<'a, [u8]>,
    /// The limits of the run.
    pub limits: RunLimits,
    /// The expected standard output. See [`Workspace::run_expecting`].
    pub expected: &'a [u8],
}

/// Where tests run: the sandbox, or what a test of the schedule has in its place.
trait Slots: Sync {
    /// A slot that this submission has until it drops it.
    type Slot: Send;
    /// Why a run has no execution.
    type Fault: std::fmt::Display + Send;

    /// Runs one test. Dropping the future stops the run.
    fn run(
        &self,
        slot: &mut Self::Slot,
        test: usize,
    ) -> impl Future<Output = Result<Execution, Self::Fault>> + Send;

    /// Borrows an idle slot. Returns `None` if no slot is idle.
    fn borrow_idle(&self) -> Option<Self::Slot>;

    /// Waits until another submission needs a slot. The caller must then give back one.
    fn slot_is_needed(&self) -> impl Future<Output = ()> + Send;
}

/// The end of a run: its slot and its result.
type Ended<S> = (<S as Slots>::Slot, Result<Execution, <S as Slots>::Fault>);

/// A test in progress.
struct Run<'a, S: Slots> {
    test: usize,
    ended: Pin<Box<dyn Future<Output = Ended<S>> + Send + 'a>>,
}

/// The tests of one submission.
struct Schedule<'a, S: Slots> {
    slots: &'a S,
    /// How many executions the observer has seen.
    observed: usize,
    /// The tests to run, those of stopped and failed runs included.
    unstarted: BTreeSet<usize>,
    running: Vec<Run<'a, S>>,
    /// A slot without a run.
    free: Option<S::Slot>,
    /// Executions of later tests than the one that is observed next.
    waiting: BTreeMap<usize, Execution>,
    /// Whether the tests run one at a time, because a run failed.
    one_at_a_time: bool,
}

impl Workspace {
    /// Runs the program on each test and passes the executions to `observer`, in order, until it breaks. Runs tests side
    /// by side in idle slots, which has no effect on what is passed.
    ///
    /// # Errors
    /// Returns a [`SandboxError`] if the sandbox fails on the test that is observed next.
    pub async fn run_tests(
        self,
        program: &Program,
        tests: &[TestRun<'_>],
        observer: &mut Observer<'_>,
    ) -> Result<(), SandboxError> {
        let slots = SandboxSlots { pool: Arc::clone(self.pool()), program, tests };
        run_in_order(&slots, self, tests.len(), observer).await
    }
}

/// The slots of the sandbox, and what to run in them.
struct SandboxSlots<'a> {
    pool: Arc<Pool>,
    program: &'a Program,
    tests: &'a [TestRun<'a>],
}

impl Slots for SandboxSlots<'_> {
    type Slot = Workspace;
    type Fault = SandboxError;

    async fn run(&self, workspace: &mut Workspace, test: usize) -> Result<Execution, SandboxError> {
        let TestRun { stdin, limits, expected } = &self.tests[test];
        workspace.run_expecting(self.program, stdin, limits, expected).await
    }

    fn borrow_idle(&self) -> Option<Workspace> {
        let (permit, available) = self.pool.borrow_idle()?;
        Some(Workspace::new(Arc::clone(&self.pool), permit, available))
    }

    async fn slot_is_needed(&self) {
        self.pool.slot_is_needed().await;
    }
}

/// Runs tests 0 to `count` and passes their executions to `observer`, in order, until it breaks. `own` is the slot of the
/// submission.
async fn run_in_order<S: Slots>(
    slots: &S,
    own: S::Slot,
    count: usize,
    observer: &mut Observer<'_>,
) -> Result<(), S::Fault> {
    let mut schedule = Schedule {
        slots,
        observed: 0,
        unstarted: (0..count).collect(),
        running: Vec::new(),
        free: Some(own),
        waiting: BTreeMap::new(),
        one_at_a_time: false,
    };
    while schedule.observed < count {
        schedule.start_runs();
        let is_sharing = schedule.running.len() > 1;
        tokio::select! {
            biased;
            ((slot, result), ended, _) = select_all(schedule.running.iter_mut().map(|run| &mut run.ended)) => {
                let Run { test, .. } = schedule.running.remove(ended);
                schedule.end_run(test, slot, result)?;
            }
            () = slots.slot_is_needed(), if is_sharing => schedule.give_back(),
        }
        while let Some(execution) = schedule.waiting.remove(&schedule.observed) {
            schedule.observed += 1;
            if observer(execution).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

impl<S: Slots> Schedule<'_, S> {
    /// Starts as many tests as there are slots for, in order. Returns a slot that is left over, unless it is the last.
    fn start_runs(&mut self) {
        while let Some(test) = self.next_test() {
            let Some(mut slot) = self.free.take().or_else(|| self.slots.borrow_idle()) else { break };
            self.unstarted.remove(&test);
            let slots = self.slots;
            let ended = Box::pin(async move {
                let result = slots.run(&mut slot, test).await;
                (slot, result)
            });
            self.running.push(Run { test, ended });
        }
        if !self.running.is_empty() {
            self.free = None;
        }
    }

    /// The test to start next. The one that is observed next can always be started.
    fn next_test(&self) -> Option<usize> {
        let next = *self.unstarted.first()?;
        let kept = |execution: &Execution| execution.stdout.len() + execution.stderr.len();
        let may_share =
            !self.one_at_a_time && self.waiting.values().map(kept).sum::<usize>() < MAX_WAITING_BYTES;
        (self.running.is_empty() || may_share).then_some(next)
    }

    /// Takes the result of a run. Returns the fault of a run that one slot alone would have made.
    fn end_run(
        &mut self,
        test: usize,
        slot: S::Slot,
        result: Result<Execution, S::Fault>,
    ) -> Result<(), S::Fault> {
        let is_alone = self.running.is_empty();
        match result {
            Ok(execution) => {
                self.waiting.insert(test, execution);
                self.free = Some(slot);
            }
            Err(fault) if is_alone && test == self.observed => return Err(fault),
            Err(fault) => {
                tracing::warn!(%fault, test, "a run next to others failed; the tests run one at a time");
                self.unstarted.insert(test);
                self.one_at_a_time = true;
                // The slot may be what is broken.
                self.free = is_alone.then_some(slot);
            }
        }
        Ok(())
    }

    /// Stops the run of the latest test and gives its slot back.
    fn give_back(&mut self) {
        let latest = (0..self.running.len()).max_by_key(|run| self.running[*run].test);
        if let Some(latest) = latest {
            let stopped = self.running.remove(latest);
            self.unstarted.insert(stopped.test);
        }
    }
}

#[cfg(test)]
mod tests;
