//! Runs together with other work on the same CPU: waiting for it is not charged, anything else is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gavel_domain::engine::EngineFault;
use gavel_domain::{Clock, Execution, Outcome};
use gavel_sandbox::{Program, RunLimits, SandboxError};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::support::{C, Fixture, PYTHON, limits, printed};

/// Threads that compete with a run for its CPU.
const COMPETITORS: usize = 8;
/// Computes for 0.3 s of CPU time.
const COMPUTES: &str =
    "#include <time.h>\nint main(){ while (clock() < CLOCKS_PER_SEC * 3 / 10); return 0; }";
/// The same in processes of which each lives for a millisecond or less.
const FORKS: &str = "import os
while sum(os.times()[:4]) < 0.3:
    pid = os.fork()
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)
";
/// The same in threads that compete with each other.
const THREADS: &str = "#include <pthread.h>
#include <time.h>
void *work(void *x){ while (clock() < CLOCKS_PER_SEC * 3 / 10); return 0; }
int main(){
    pthread_t t[40];
    for (int i = 0; i < 40; i++) if (pthread_create(t + i, 0, work, 0)) return 1;
    for (int i = 0; i < 40; i++) pthread_join(t[i], 0);
    return 0;
}";
/// Sleeps until it is ended, and computes a little every few milliseconds.
const SLEEPS: &str = "import time
while True:
    time.sleep(0.01)
    sum(range(1000))
";
/// Threads that sleep until the same moments: each waits for those that wake before it, but the run does not wait for
/// others.
const SLEEPS_IN_THREADS: &str = "#include <pthread.h>
#include <time.h>
static struct timespec start;
static void *sleep_often(void *unused){
    struct timespec at = start;
    for (;;) {
        at.tv_nsec += 10000000;
        if (at.tv_nsec >= 1000000000) { at.tv_sec++; at.tv_nsec -= 1000000000; }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, 0);
    }
}
int main(){
    pthread_t t;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < 60; i++) if (pthread_create(&t, 0, sleep_often, 0)) return 1;
    sleep_often(0);
}";

/// Spins in many sessions: to the scheduler, each may be a separate group.
const SPINS_IN_SESSIONS: &str = "#include <unistd.h>
int main(){
    for (int i = 0; i < 60; i++) if (fork() == 0) { setsid(); for (;;); }
    for (;;);
}";
/// The same in one process.
const SPINS: &str = "int main(){ for (;;); }";

/// A process in a separate session that never sleeps, on one CPU.
struct BusyProcess(std::process::Child);

impl BusyProcess {
    fn start(cpu: usize) -> Self {
        let spin = ["sh", "-c", "while :; do :; done"];
        let child = std::process::Command::new("setsid").args(spin).spawn().unwrap();
        let mut set = CpuSet::new();
        set.set(cpu);
        let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
        sched_setaffinity(pid, &set).unwrap();
        Self(child)
    }

    /// The CPU time that it has used: the first number of its `schedstat`.
    fn cpu_time(&self) -> Duration {
        let text = std::fs::read_to_string(format!("/proc/{}/schedstat", self.0.id())).unwrap();
        Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
    }
}

impl Drop for BusyProcess {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Keeps the CPU of a slot busy until it is dropped.
struct BusyCpu {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl BusyCpu {
    /// Finds the CPU of the fixture's slot and starts the competitors there.
    async fn of(fixture: &mut Fixture) -> Self {
        let cpu = cpu_of(fixture).await;
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..COMPETITORS).map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut set = CpuSet::new();
                set.set(cpu);
                sched_setaffinity(None, &set).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        });
        Self { threads: threads.collect(), stop }
    }
}

impl Drop for BusyCpu {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// The CPU of the fixture's slot.
async fn cpu_of(fixture: &mut Fixture) -> usize {
    let run = fixture.python("import os; print(*os.sched_getaffinity(0))").await;
    printed(&run).parse().unwrap()
}

/// Limits whose wall time is soon over if waiting is charged.
fn short_wall() -> RunLimits {
    RunLimits { wall_time: limits().wall_time / 10, max_waiting: Duration::from_mins(2), ..limits() }
}

/// Runs the program next to other work on its CPU. Returns the elapsed time, too.
async fn run_next_to_others(
    fixture: &mut Fixture,
    program: &Program,
    limits: &RunLimits,
) -> Result<(Execution, Duration), SandboxError> {
    let _busy = BusyCpu::of(fixture).await;
    let started = Instant::now();
    let run = fixture.workspace.run(program, Bytes::new(), limits).await?;
    Ok((run, started.elapsed()))
}

#[tokio::test]
async fn waiting_for_a_cpu_is_not_charged() {
    let mut fixture = Fixture::open().await;
    for (language, source) in [(C, COMPUTES), (PYTHON, FORKS), (C, THREADS)] {
        let program = fixture.program(language, source).await;
        let (run, elapsed) = run_next_to_others(&mut fixture, &program, &short_wall()).await.unwrap();
        printed(&run);
        let waited = elapsed.saturating_sub(run.usage.wall_time);
        assert!(waited > Duration::from_millis(150), "{waited:?} {:?}", run.usage);
    }
    fixture.sandbox.shutdown().await;
}

#[tokio::test]
async fn sleeping_next_to_others_is_charged() {
    let mut fixture = Fixture::open().await;
    let program = fixture.program(PYTHON, SLEEPS).await;
    let (run, _) = run_next_to_others(&mut fixture, &program, &short_wall()).await.unwrap();
    assert_eq!(run.outcome, Outcome::TimeLimit { clock: Clock::Wall }, "{:?}", run.usage);
    fixture.sandbox.shutdown().await;
}

#[tokio::test]
async fn sleeping_in_many_threads_is_charged() {
    let mut fixture = Fixture::open().await;
    // If the sleep looked like waiting, the CPU time would reach its limit first.
    let limits = RunLimits { cpu_time: short_wall().wall_time * 7 / 8, ..short_wall() };
    let run = fixture.run(C, SLEEPS_IN_THREADS, &limits).await;
    assert_eq!(run.outcome, Outcome::TimeLimit { clock: Clock::Wall }, "{:?}", run.usage);
    fixture.sandbox.shutdown().await;
}

#[tokio::test]
async fn service_next_to_spinning_sessions_gets_most_of_its_cpu() {
    service_gets_most_of_its_cpu(1).await;
}

#[tokio::test]
async fn program_has_no_share_of_slots_that_are_free() {
    service_gets_most_of_its_cpu(8).await;
}

/// Whether each session has a share of the CPU: only outside of groups with the controller `cpu`.
fn has_autogroups() -> bool {
    let enabled = std::fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled");
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let is_root = |line: &str| line.ends_with(":/") || !(line.contains("cpu") || line.starts_with("0::"));
    enabled.is_ok_and(|text| text.trim() == "1") && groups.lines().all(is_root)
}

/// Runs sessions that spin in one slot of a judge, next to a service on the same CPU.
async fn service_gets_most_of_its_cpu(slots: usize) {
    let mut fixture = Fixture::with_slots(slots).await;
    // Without a group for all processes, each has its own share next to those of the same group or session.
    let is_alone = fixture.sandbox.tier().cgroups.is_none() && !has_autogroups();
    let program = fixture.program(C, if is_alone { SPINS } else { SPINS_IN_SESSIONS }).await;
    let service = BusyProcess::start(cpu_of(&mut fixture).await);
    let limits = RunLimits { cpu_time: Duration::from_millis(200), ..limits() };
    let mut seen = Vec::new();
    // The kernel lets one process of the machine change the priority of its session each 100 ms, so that slots which start
    // together, or next to those of other tests, have that of a service at first.
    for _ in 0..20 {
        let before = service.cpu_time();
        let run = fixture.workspace.run(&program, Bytes::new(), &limits).await.unwrap();
        let service = service.cpu_time().saturating_sub(before);
        assert_eq!(run.outcome, Outcome::TimeLimit { clock: Clock::Cpu }, "{:?}", run.usage);
        if service > run.usage.cpu_time * 2 {
            return fixture.sandbox.shutdown().await;
        }
        seen.push((service, run.usage.cpu_time));
    }
    panic!("the CPU times of the service and the program: {seen:?}");
}

#[tokio::test]
async fn starved_run_is_a_transient_fault() {
    let mut fixture = Fixture::open().await;
    let program = fixture.program(C, COMPUTES).await;
    let soon = RunLimits { max_waiting: Duration::from_millis(20), ..short_wall() };
    let starved = run_next_to_others(&mut fixture, &program, &soon).await;
    if fixture.sandbox.tier().cgroups.is_some() {
        let Err(error @ SandboxError::Starved { .. }) = starved else { panic!("{starved:?}") };
        assert!(matches!(EngineFault::from(error), EngineFault::Transient(_)));
    } else {
        // Without a cgroup, what looks like waiting may be CPU time of processes that no process reaped.
        assert_eq!(starved.unwrap().0.outcome, Outcome::TimeLimit { clock: Clock::Wall });
    }
    let again = fixture.workspace.run(&program, Bytes::new(), &limits()).await.unwrap();
    printed(&again);
    fixture.sandbox.shutdown().await;
}
