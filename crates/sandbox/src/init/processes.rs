//! The slot's processes and threads, read from the init's own `/proc`.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;

use rustix::fs::{Dir, Mode, OFlags, openat};
use rustix::io::{Errno, read};

/// What is known of a thread at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ThreadReading {
    pub(super) id: i32,
    /// The time in which it was runnable and waited for a CPU, in nanoseconds, without a wait that is not over.
    pub(super) waited_ns: u64,
    /// Whether it is on a CPU or waits for one.
    pub(super) is_runnable: bool,
}

/// Every process of the slot except the init.
pub(super) fn pids(proc: impl AsFd) -> Result<Vec<i32>, Errno> {
    Ok(numbers(proc)?.into_iter().filter(|pid| *pid != 1).collect())
}

/// CPU time of the children that the process has reaped and their reaped children, in ticks of the kernel's clock, or
/// `None` if the process is gone.
pub(super) fn reaped_cpu_ticks(proc: impl AsFd, pid: i32) -> Option<u64> {
    let mut buffer = [0_u8; 512];
    reaped_ticks(content(proc, &format!("{pid}/stat"), &mut buffer)?)
}

/// The largest resident set of this process so far, in bytes. `getrusage` would count the judge's, too: its value is kept
/// when the init is executed.
pub(super) fn peak_bytes(proc: impl AsFd) -> Result<u64, Errno> {
    let file = openat(proc, "self/status", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut status = String::new();
    File::from(file)
        .read_to_string(&mut status)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    peak(&status).ok_or(Errno::IO)
}

/// Every thread of the slot except the init. A thread that exits at this moment may be missing.
pub(super) fn threads(proc: impl AsFd) -> Result<Vec<ThreadReading>, Errno> {
    let mut threads = Vec::new();
    for pid in pids(&proc)? {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(tasks) = openat(&proc, format!("{pid}/task"), flags, Mode::empty()) else { continue };
        let ids = numbers(&tasks).unwrap_or_default();
        threads.extend(ids.into_iter().filter_map(|id| thread(&tasks, id)));
    }
    Ok(threads)
}

/// The entries of a directory whose names are numbers.
fn numbers(directory: impl AsFd) -> Result<Vec<i32>, Errno> {
    let mut numbers = Vec::new();
    for entry in Dir::read_from(directory)? {
        numbers.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(numbers)
}

/// Reads one thread, or returns `None` if it has exited.
fn thread(tasks: impl AsFd, id: i32) -> Option<ThreadReading> {
    let mut buffer = [0_u8; 512];
    let state = state(content(&tasks, &format!("{id}/stat"), &mut buffer)?)?;
    // A kernel without CONFIG_SCHED_INFO has no such file: then a thread never waits.
    let waited_ns = content(&tasks, &format!("{id}/schedstat"), &mut buffer).and_then(run_delay).unwrap_or(0);
    Some(ThreadReading { id, waited_ns, is_runnable: state == 'R' })
}

fn content<'b>(directory: impl AsFd, path: &str, buffer: &'b mut [u8; 512]) -> Option<&'b str> {
    let file = openat(directory, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let length = read(file, &mut buffer[..]).ok()?;
    // The name of a program may be any bytes; what follows is ASCII.
    let after_name = buffer[..length].iter().rposition(|byte| *byte == b')').map_or(0, |at| at + 1);
    std::str::from_utf8(&buffer[after_name..length]).ok()
}

/// The state in the text that follows the name in `/proc/<pid>/stat`.
fn state(after_name: &str) -> Option<char> {
    after_name.trim_start().chars().next()
}

/// `cutime` and `cstime` together: fields 16 and 17, of which the third is the first after the name.
fn reaped_ticks(after_name: &str) -> Option<u64> {
    let mut fields = after_name.split_ascii_whitespace().skip(13);
    fields.next()?.parse::<u64>().ok()?.checked_add(fields.next()?.parse().ok()?)
}

/// `VmHWM` in `/proc/<pid>/status`, which is in KiB.
fn peak(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    value.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The second number of `/proc/<pid>/schedstat`: the time spent waiting on a run queue, in nanoseconds.
fn run_delay(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_threads_are_read() {
        let proc = File::open("/proc/self/task").unwrap();
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        assert!(numbers(&proc).unwrap().contains(&own));
        let reading = thread(&proc, own).unwrap();
        assert_eq!((reading.id, reading.is_runnable), (own, true));
        assert_eq!(thread(&proc, 1 << 22), None);
    }

    #[test]
    fn peak_is_that_of_this_process() {
        let proc = File::open("/proc").unwrap();
        let before = peak_bytes(&proc).unwrap();
        let memory = std::hint::black_box(vec![1_u8; 32 << 20]);
        assert!(peak_bytes(&proc).unwrap() >= before.max(memory.len().try_into().unwrap()));
        assert_eq!(peak("Name:\ta\nVmHWM:\t    2048 kB\nVmRSS:\t  1024 kB\n"), Some(2 << 20));
        assert_eq!(peak("Name:\ta\n"), None);
    }

    #[test]
    fn state_follows_the_last_bracket_of_any_name() {
        let mut buffer = [0_u8; 512];
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("stat"), b"7 (a) R (\xff) S 1 7 7").unwrap();
        let directory = File::open(folder.path()).unwrap();
        assert_eq!(state(content(&directory, "stat", &mut buffer).unwrap()), Some('S'));
        let fields = " S 1 7 7 0 -1 4194304 1 2 3 4 50 60 70 80 20 0 1";
        assert_eq!(reaped_ticks(fields), Some(150));
        assert_eq!(run_delay("240418 1807795 2\n"), Some(1_807_795));
    }
}
