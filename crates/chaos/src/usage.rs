//! What processes hold: memory, descriptors, children.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use gavel_testkit::wait_until;

use crate::plan::Target;
use crate::world::World;

/// How long a process may take to give back what it took. Idle connections are closed after 90 s.
const PATIENCE: Duration = Duration::from_mins(3);
/// What a service may hold on top of what it held before anything went wrong. Pages and connections are kept for a
/// while by every allocator and pool, and a judge reaps the process of a slot with the next slot that it makes; what
/// leaks with each fault or submission exceeds this in a long run.
const SERVICE: Usage = Usage { memory_kib: 48 << 10, descriptors: 24, children: 2 };
/// The same for a server, whose garbage is collected late.
const SERVER: Usage = Usage { memory_kib: 192 << 10, descriptors: 48, children: 0 };

/// What one process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    memory_kib: u64,
    descriptors: u64,
    children: u64,
}

impl Usage {
    /// What a process holds now; nothing where it is gone.
    fn of(pid: u32) -> Option<Self> {
        let process = Path::new("/proc").join(pid.to_string());
        let status = fs::read_to_string(process.join("status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let memory_kib = resident.split_whitespace().next()?.parse().ok()?;
        let descriptors = fs::read_dir(process.join("fd")).ok()?.count() as u64;
        let threads = fs::read_dir(process.join("task")).ok()?.flatten();
        let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let children = children.map(|line| line.split_whitespace().count() as u64).sum();
        Some(Self { memory_kib, descriptors, children })
    }

    fn is_within(self, normal: Self, spare: Self) -> bool {
        self.memory_kib <= normal.memory_kib + spare.memory_kib
            && self.descriptors <= normal.descriptors + spare.descriptors
            && self.children <= normal.children + spare.children
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB, {} fds, {} children", self.memory_kib >> 10, self.descriptors, self.children)
    }
}

/// What all processes hold.
pub(crate) fn all(world: &World) -> Vec<(Target, Usage)> {
    let services = world.services.iter().map(|service| (service.target, service.process.pid()));
    let servers = world.servers.iter().zip(1..).map(|(server, number)| {
        let target = Target { role: crate::plan::Role::Nats, number };
        (target, server.process().pid())
    });
    services.chain(servers).filter_map(|(target, pid)| Some((target, Usage::of(pid)?))).collect()
}

/// Waits until every process holds about what it held before, and says what it holds.
pub(crate) async fn check(world: &World, before: &[(Target, Usage)]) {
    for (target, normal) in before {
        let spare = if target.is_service() { SERVICE } else { SERVER };
        let now = || all(world).into_iter().find(|(other, _)| other == target).map(|(_, usage)| usage);
        let normal_again = async || now().is_some_and(|usage| usage.is_within(*normal, spare));
        let waited = wait_until("a normal size", PATIENCE, normal_again).await;
        let text = now().map_or_else(|| "is gone".to_owned(), |usage| format!("{normal} → {usage}"));
        match waited {
            Ok(()) => world.journal.say(format_args!("{target}: {text}")),
            Err(_) => world.journal.wrong(format_args!("{target} does not get back to normal: {text}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_holds_something() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.memory_kib > 500 && usage.descriptors >= 3, "{usage}");
        assert!(usage.is_within(usage, Usage { memory_kib: 0, descriptors: 0, children: 0 }));
        let less = Usage { descriptors: usage.descriptors - 1, ..usage };
        assert!(!usage.is_within(less, Usage { memory_kib: 0, descriptors: 0, children: 0 }));
    }
}
