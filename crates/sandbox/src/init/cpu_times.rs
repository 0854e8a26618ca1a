//! What the slot's CPU did, from the host's `/proc/stat`: how long it was used, and for how long a hypervisor gave it to
//! other machines while it had work.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// Longer than any line for a CPU: ten numbers of at most 20 digits.
const MAX_LINE_BYTES: usize = 256;

/// Times since the start of the machine, in steps of 10 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CpuTimes {
    /// It ran processes or handled interrupts.
    pub(super) busy: Duration,
    /// It had work, and a hypervisor did not let it run.
    pub(super) stolen: Duration,
}

impl CpuTimes {
    /// The time that was stolen since `first` from a run that used this much CPU time since then.
    pub(super) fn stolen_from(&self, first: &Self, used: Duration) -> Duration {
        let busy = self.busy.saturating_sub(first.busy).max(used);
        let stolen = self.stolen.saturating_sub(first.stolen);
        if busy.is_zero() { Duration::ZERO } else { stolen.mul_f64(used.div_duration_f64(busy)) }
    }
}

/// Reads the times of one CPU.
pub(super) struct CpuTimesReader {
    stat: File,
    /// What the line of the CPU begins with.
    label: String,
    /// The length of everything up to that line.
    max_bytes: usize,
}

impl CpuTimesReader {
    /// Opens the host's `/proc/stat`, which must still be mounted. Returns `None` if the slot is not pinned to a CPU or
    /// the file cannot be read: then no time counts as stolen.
    pub(super) fn open(cpu: Option<usize>) -> Option<Self> {
        let cpu = cpu?;
        let stat = File::open("/proc/stat").ok()?;
        // The first line is the sum of all CPUs.
        let reader = Self { stat, label: format!("cpu{cpu} "), max_bytes: (cpu + 2) * MAX_LINE_BYTES };
        reader.read().is_some().then_some(reader)
    }

    /// Reads them. The kernel writes the whole file for each read, which takes 10 µs with two CPUs and longer with more.
    pub(super) fn read(&self) -> Option<CpuTimes> {
        let mut buffer = vec![0; self.max_bytes];
        let length = self.stat.read_at(&mut buffer, 0).ok()?;
        times(std::str::from_utf8(&buffer[..length]).ok()?, &self.label)
    }
}

/// The times in the line of a CPU: user, nice, system, idle, waiting for input or output, interrupts, software interrupts,
/// stolen.
fn times(stat: &str, label: &str) -> Option<CpuTimes> {
    let line = stat.lines().find_map(|line| line.strip_prefix(label))?;
    let mut ticks = [0_u64; 8];
    let mut fields = line.split_ascii_whitespace();
    for tick in &mut ticks {
        *tick = fields.next()?.parse().ok()?;
    }
    let [user, nice, system, _, _, interrupts, software_interrupts, stolen] = ticks;
    let tick_ns = 1_000_000_000 / rustix::param::clock_ticks_per_second();
    let duration = |ticks: u64| Duration::from_nanos(ticks.saturating_mul(tick_ns));
    let busy = [user, nice, system, interrupts, software_interrupts].map(duration).iter().sum();
    Some(CpuTimes { busy, stolen: duration(stolen) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn times_are_those_of_the_cpu() {
        let stat = "cpu  1 2 3 4 5 6 7 900 9 10\ncpu1 1 2 3 4 5 6 7 300 9 10\ncpu10 1 2 3 4 5 6 7 600 9 10\nintr 5\n";
        let busy = MS * 190;
        assert_eq!(times(stat, "cpu1 "), Some(CpuTimes { busy, stolen: MS * 3_000 }));
        assert_eq!(times(stat, "cpu10 "), Some(CpuTimes { busy, stolen: MS * 6_000 }));
        assert_eq!(times(stat, "cpu2 "), None);
        assert_eq!(times("cpu1 1 2 3\n", "cpu1 "), None);
    }

    #[test]
    fn run_is_stolen_from_by_its_share_of_the_cpu() {
        let first = CpuTimes { busy: MS * 50, stolen: MS * 70 };
        let now = CpuTimes { busy: MS * 250, stolen: MS * 170 };
        assert_eq!(now.stolen_from(&first, MS * 200), MS * 100, "alone on the CPU");
        assert_eq!(now.stolen_from(&first, MS * 400), MS * 100, "ticks are late");
        assert_eq!(now.stolen_from(&first, MS * 50), MS * 25, "next to others");
        assert_eq!(now.stolen_from(&first, Duration::ZERO), Duration::ZERO, "asleep");
        assert_eq!(first.stolen_from(&first, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn machine_has_a_line_for_each_cpu() {
        let cpus = crate::host::cpus::allowed();
        assert!(!cpus.is_empty());
        for cpu in cpus {
            let reader = CpuTimesReader::open(Some(cpu)).unwrap();
            let first = reader.read().unwrap();
            assert!(reader.read().unwrap().stolen >= first.stolen && !first.busy.is_zero());
        }
        assert!(CpuTimesReader::open(None).is_none());
        assert!(CpuTimesReader::open(Some(100_000)).is_none());
    }
}
