//! The memory of each process, idle and at full load, and what a submission costs each of them in CPU time. The processes
//! are the real programs. A second judge, whose engine answers at once, keeps the others busy: programs in the sandbox
//! would be the limit.

use std::time::Duration;

use gavel_mock_convex::Endpoint;
use gavel_testkit::process::memory_kib;
use gavel_testkit::{NatsServer, ServiceProcess};

use super::load::posts;
use super::report::{Bar, Report};
use super::services::{convex, service, waiting_judge};
use crate::Options;

/// The pause before the memory of an idle process is read.
const IDLE_TIME: Duration = Duration::from_secs(5);
const RUN_TIMEOUT: Duration = Duration::from_mins(5);
/// This process: the clients and mock Convex.
const LOAD: &str = "load";
/// Most megabytes of a service.
const MAX_IDLE_MB: f64 = 25.0;
const MAX_LOADED_MB: f64 = 80.0;

pub(crate) async fn run(options: &Options, report: &mut Report) {
    let (nats, convex) = (NatsServer::start().await, convex().await);
    convex.count_only();
    let mut services = Vec::new();
    for name in ["ingress", "fetcher", "judge", "reporter"] {
        services.push((name, service(name, &nats, &convex, &[]).await));
    }
    tokio::time::sleep(IDLE_TIME).await;
    for (name, service) in &services {
        report.value(&format!("{name}_idle_mb"), resident_mb(service.pid()), Bar::AtMost(MAX_IDLE_MB));
    }
    report.value("nats-server_idle_mb", resident_mb(nats.process().pid()), None);

    let address = services[0].1.address();
    let fast = waiting_judge(Duration::ZERO, 16, &nats, &convex).await;
    posts(address, "warm", 16, 1_000).await;
    convex.wait_final_count(1_000, RUN_TIMEOUT).await.unwrap();
    let processes = || {
        let named = services.iter().map(|(name, service): &(_, ServiceProcess)| (*name, service.pid()));
        let others = [
            ("instant-judge", fast.pid()),
            ("nats-server", nats.process().pid()),
            (LOAD, std::process::id()),
        ];
        named.chain(others).collect::<Vec<_>>()
    };
    let cpu_times = CpuTimes::start(processes());
    let done = convex.call_count(Endpoint::RESULT);
    posts(address, "m", 64, options.submissions as usize).await;
    convex.wait_final_count(1_000 + u64::from(options.submissions), RUN_TIMEOUT).await.unwrap();
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let count = (convex.call_count(Endpoint::RESULT) - done) as f64;
    cpu_times.report(count, report);
    for (name, pid) in processes().into_iter().filter(|(name, _)| *name != LOAD) {
        let is_service = services.iter().any(|(service, _)| *service == name);
        let bar = is_service.then_some(Bar::AtMost(MAX_LOADED_MB));
        report.value(&format!("{name}_peak_mb"), peak_mb(pid), bar);
    }
    report.finish("memory", "");
}

/// The resident memory of a process, in megabytes.
pub(crate) fn resident_mb(pid: u32) -> f64 {
    mb(pid, "VmRSS")
}

/// The most memory that a process has had, in megabytes.
fn peak_mb(pid: u32) -> f64 {
    mb(pid, "VmHWM")
}

fn mb(pid: u32, field: &str) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let kib = memory_kib(pid, field).unwrap() as f64;
    kib * 1024.0 / 1e6
}

/// The CPU times of processes since a moment.
pub(crate) struct CpuTimes(Vec<(&'static str, u32, f64)>);

impl CpuTimes {
    /// Begins to measure processes, which have names and ids.
    pub(crate) fn start(processes: impl IntoIterator<Item = (&'static str, u32)>) -> Self {
        Self(processes.into_iter().map(|(name, pid)| (name, pid, cpu_seconds(pid))).collect())
    }

    /// Reports the CPU time of each process per submission, in microseconds.
    pub(crate) fn report(self, submissions: f64, report: &mut Report) {
        for (name, pid, before) in self.0 {
            let us = (cpu_seconds(pid) - before) / submissions * 1e6;
            report.value(&format!("{name}_cpu_us"), us, None);
        }
    }
}

/// The CPU time that a process has used, in seconds.
fn cpu_seconds(pid: u32) -> f64 {
    // The name, in parentheses, may contain spaces. The 14th and 15th fields are the time in user and kernel mode, in
    // hundredths of a second on every Linux.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}
