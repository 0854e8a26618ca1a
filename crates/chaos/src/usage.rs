//! The resources of processes: memory, file descriptors, child processes.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use gavel_testkit::process::memory_kib;
use gavel_testkit::wait_until;

use crate::pipeline::Pipeline;
use crate::plan::Target;

/// How long a process may take to release resources. Idle connections are closed after 90 s.
const RELEASE_TIMEOUT: Duration = Duration::from_mins(3);
/// How much more a service may use than before the first fault. Allocators and pools keep pages and connections for
/// a while, and a judge reaps the process of a slot when it makes the next one. A leak with each fault or
/// submission exceeds this in a long run.
const SERVICE_ALLOWANCE: Usage = Usage { memory_kib: 48 << 10, descriptors: 24, children: 2 };
/// The same for a NATS server, whose garbage collection is late.
const SERVER_ALLOWANCE: Usage = Usage { memory_kib: 192 << 10, descriptors: 48, children: 0 };

/// The resources that one process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    memory_kib: u64,
    descriptors: u64,
    children: u64,
}

impl Usage {
    /// Returns the current usage of a process, or `None` if it has exited.
    fn of(pid: u32) -> Option<Self> {
        let process = Path::new("/proc").join(pid.to_string());
        let memory_kib = memory_kib(pid, "VmRSS")?;
        let descriptors = fs::read_dir(process.join("fd")).ok()?.count() as u64;
        let threads = fs::read_dir(process.join("task")).ok()?.flatten();
        let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let children = children.map(|line| line.split_whitespace().count() as u64).sum();
        Some(Self { memory_kib, descriptors, children })
    }

    fn is_within(self, normal: Self, allowance: Self) -> bool {
        self.memory_kib <= normal.memory_kib + allowance.memory_kib
            && self.descriptors <= normal.descriptors + allowance.descriptors
            && self.children <= normal.children + allowance.children
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB, {} fds, {} children", self.memory_kib >> 10, self.descriptors, self.children)
    }
}

/// Returns the usage of all processes.
pub(crate) fn all(pipeline: &Pipeline) -> Vec<(Target, Usage)> {
    let services = pipeline.services.iter().map(|service| (service.target, service.process.pid()));
    let servers = pipeline.servers.iter().zip(1..).map(|(server, number)| {
        let target = Target { role: crate::plan::Role::Nats, number };
        (target, server.process().pid())
    });
    services.chain(servers).filter_map(|(target, pid)| Some((target, Usage::of(pid)?))).collect()
}

/// Waits until every process uses about as much as before, and logs the usage.
pub(crate) async fn check(pipeline: &Pipeline, before: &[(Target, Usage)]) {
    for (target, normal) in before {
        let allowance = if target.is_service() { SERVICE_ALLOWANCE } else { SERVER_ALLOWANCE };
        let now = || all(pipeline).into_iter().find(|(other, _)| other == target).map(|(_, usage)| usage);
        let is_normal = async || now().is_some_and(|usage| usage.is_within(*normal, allowance));
        let waited = wait_until("a normal usage", RELEASE_TIMEOUT, is_normal).await;
        let text = now().map_or_else(|| "exited".to_owned(), |usage| format!("{normal} → {usage}"));
        match waited {
            Ok(()) => pipeline.run_log.info(format_args!("{target}: {text}")),
            Err(_) => pipeline
                .run_log
                .violation(format_args!("{target} does not return to its normal usage: {text}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_of_this_process_is_measured() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.memory_kib > 500 && usage.descriptors >= 3, "{usage}");
        assert!(usage.is_within(usage, Usage { memory_kib: 0, descriptors: 0, children: 0 }));
        let less = Usage { descriptors: usage.descriptors - 1, ..usage };
        assert!(!usage.is_within(less, Usage { memory_kib: 0, descriptors: 0, children: 0 }));
    }
}
