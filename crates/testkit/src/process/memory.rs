//! The memory of a process.

/// Reads how much memory a process has, in KiB: `VmRSS` (resident now), `VmHWM` (the peak of that) or another field of
/// `/proc/PID/status`. Returns `None` if the process has exited.
#[must_use]
pub fn memory_kib(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}
