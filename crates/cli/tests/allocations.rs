//! How many allocations the busiest steps of the pipeline need, with limits. Time depends on the machine and its load; the
//! number of allocations hardly does, so a step that has become expensive fails here, on any machine.
//!
//! A limit is a quarter above what was counted. Raise it only for a reason that the commit names.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use gavel_bus::topology::{Durable, TopologySettings};
use gavel_bus::{
    Bus, Cause, ConsumeSettings, ConsumerState, Delivery, Failure, Handler, Outgoing, Trace, consume,
};
use gavel_domain::event::{Queued, Stage};
use gavel_domain::{
    Comparison, Generation, LanguageId, QuestionId, Submission, SubmissionId, SubmissionKind,
};
use gavel_proto::WireEvent as _;
use gavel_sandbox::{Compilation, Languages, RunLimits, Sandbox, SandboxConfig};
use gavel_testkit::{NatsServer, TEST_TIMEOUT, rig};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How often a step is repeated; its allocations are the mean.
const TIMES: u32 = 200;
const C: LanguageId = LanguageId(50);

fn main() -> ExitCode {
    // This executable is also the init of the sandbox.
    gavel_sandbox::init::enter_if_asked();
    let trials = vec![
        limited("decoding_an_event", 4, decode),
        limited("comparing_outputs", 0, compare),
        limited("publishing_an_event", 43, publish),
        limited("consuming_and_settling_an_event", 40, consume_and_settle),
        limited("running_a_program_in_the_sandbox", 36, run_in_sandbox),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A test that fails if a step allocates more often than `limit`.
fn limited(name: &str, limit: u64, count: fn() -> u64) -> Trial {
    Trial::test(format!("{name}_allocates_at_most_{limit}_times"), move || {
        let counted = count();
        println!("{counted} allocations");
        if counted <= limit {
            Ok(())
        } else {
            Err(Failed::from(format!("{counted} allocations exceed {limit}")))
        }
    })
}

/// The allocations of one of [`TIMES`] repetitions, on this thread.
fn mean(repeat: impl FnOnce()) -> u64 {
    allocation_counter::measure(repeat).count_total.div_ceil(TIMES.into())
}

/// A runtime that does everything on this thread, so that it is counted.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn queued(n: u32) -> Queued {
    let submission = Submission {
        id: SubmissionId::new(format!("s{n}")).unwrap(),
        question_id: QuestionId::new("q").unwrap(),
        language: C,
        kind: SubmissionKind::Standard,
        accepted_at_ms: 1,
        generation: Generation::FIRST,
    };
    Queued { submission, source: "x".repeat(1_800) }
}

fn decode() -> u64 {
    let bytes = queued(1).encode();
    mean(|| (0..TIMES).for_each(|_| drop(Queued::decode(&bytes).unwrap())))
}

/// Outputs that match only after trimming.
fn compare() -> u64 {
    let comparison = Comparison { trim_outputs: true, normalize_whitespace: true, case_sensitive: true };
    let (actual, expected) = ("12  34 \n".repeat(1_000), "12 34\n".repeat(1_000));
    mean(|| (0..TIMES).for_each(|_| assert!(comparison.accepts(actual.as_bytes(), &expected))))
}

/// A server with streams, and a connection to it.
async fn bus() -> (NatsServer, Bus) {
    let nats = NatsServer::start().await;
    let bus = rig::connect(&nats, TopologySettings::default()).await;
    bus.ensure_topology().await;
    (nats, bus)
}

async fn publish_all(bus: &Bus, ids: std::ops::Range<u32>) {
    for n in ids {
        bus.publish(&Outgoing::from(&queued(n)), &Trace::default(), TEST_TIMEOUT).await.unwrap();
    }
}

fn publish() -> u64 {
    let runtime = runtime();
    let (_nats, bus) = runtime.block_on(bus());
    runtime.block_on(publish_all(&bus, 0..10));
    mean(|| runtime.block_on(publish_all(&bus, 10..10 + TIMES)))
}

/// Adds a permit for each event.
struct Counting(Arc<Semaphore>);

impl Handler for Counting {
    type Event = Queued;
    const STAGE: Stage = Stage::Fetcher;

    async fn handle(&self, _: &Delivery<Queued>) -> Result<Vec<Outgoing>, Failure> {
        self.0.add_permits(1);
        Ok(Vec::new())
    }

    fn give_up(&self, _: &Queued, _: &Cause) -> Vec<Outgoing> {
        Vec::new()
    }
}

fn consume_and_settle() -> u64 {
    let runtime = runtime();
    let (_nats, bus) = runtime.block_on(bus());
    runtime.block_on(publish_all(&bus, 0..TIMES));
    let (handled, stop) = (Arc::new(Semaphore::new(0)), CancellationToken::new());
    let settings = ConsumeSettings {
        durable: Durable::Fetcher,
        slots: 16,
        max_deliveries: None,
        stop: stop.clone(),
        abort: CancellationToken::new(),
    };
    let work =
        Box::pin(consume(bus, Arc::new(Counting(Arc::clone(&handled))), settings, ConsumerState::new(false)));
    mean(|| {
        runtime.block_on(async {
            let all = async {
                let _ = handled.acquire_many(TIMES).await.unwrap();
                stop.cancel();
            };
            tokio::time::timeout(TEST_TIMEOUT, async { tokio::join!(work, all) }).await.unwrap()
        });
    })
}

fn run_in_sandbox() -> u64 {
    let runtime = runtime();
    let config =
        SandboxConfig { slots: 1, languages: Languages::default().only(&[C.0]), ..SandboxConfig::default() };
    let sandbox = runtime.block_on(Sandbox::start(config)).unwrap();
    let mut workspace = runtime.block_on(sandbox.workspace()).unwrap();
    let compiled = runtime.block_on(workspace.compile(C, b"int main(void) { return 0; }")).unwrap();
    let Compilation::Ready(program) = compiled else { panic!("the program does not compile") };
    let limits = RunLimits { wall_time: Duration::from_secs(10), ..RunLimits::default() };
    mean(|| {
        runtime.block_on(async {
            for _ in 0..TIMES {
                workspace.run(&program, bytes::Bytes::new(), &limits).await.unwrap();
            }
        });
    })
}
