//! One run: put files in place, start, watch the clocks, end everything, read the meters, clear away.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, ResolveFlags, fchmod, flistxattr_query, fstat, open, openat2, sendfile};
use rustix::io::Errno;

use super::launch::{self, Launch, Streams};
use super::meter::Meter;
use super::reap::{Children, Ended, own_peak_bytes};
use super::root::{self, Mounts};
use super::{collect, ipc, tidy};
use crate::protocol::channel::{Channel, ChannelError};
use crate::protocol::ids::Ids;
use crate::protocol::wire::{
    Caps, Collected, End, FileSpec, Order, Place, Report, Setup, Step, StepError, StoppedBy, ToInit,
};
use crate::spawn::ChildStack;

/// The working directory of programs, in the box.
const WORK: &str = "work";
/// Where `/tmp` and `/dev/shm` lead, in the box.
const TMP: &str = "tmp";
/// Where the program's own file system is mounted, in the box.
const PROGRAM: &str = "program";
/// Files that may stay charged while the init works at the limit, in bytes.
const ROOM_BYTES: u64 = 1 << 20;
/// How much the init may grow while it serves, in bytes.
const SLACK_BYTES: u64 = 1 << 20;
/// The shortest wait for CPU time to be used up: readings are no finer than the kernel's tick.
const MIN_TICK: Duration = Duration::from_millis(1);

/// What the init holds between runs.
pub(super) struct Runner {
    uid: u32,
    ids: Ids,
    processors: u32,
    meter: Meter,
    children: Children,
    stack: ChildStack,
    /// The root of the box.
    boxed: OwnedFd,
    mounts: Mounts,
    /// The init's own largest resident set, in bytes.
    own_bytes: u64,
    /// Free inodes of the box while it is clean.
    free_inodes: u64,
    /// Bytes of the loaded program.
    loaded_bytes: u64,
}

impl Runner {
    pub(super) fn new(setup: &Setup, mounts: Mounts, fds: Vec<OwnedFd>) -> Result<Self, StepError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let boxed = open(root::BOX, flags, Mode::empty()).step(|| "open the box".to_owned())?;
        let meter = Meter::new(setup, fds, &mounts.proc, &boxed);
        let mut runner = Self {
            uid: setup.uid,
            ids: setup.ids,
            processors: rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count().max(1)),
            meter: meter.step(|| "read what the slot uses".to_owned())?,
            children: Children::new().step(|| "watch for ended children".to_owned())?,
            stack: ChildStack::new(),
            boxed,
            mounts,
            own_bytes: 0,
            free_inodes: 0,
            loaded_bytes: 0,
        };
        runner.wipe().and_then(|()| runner.renew()).step(|| "make the box's directories".to_owned())?;
        runner.free_inodes = tidy::free_inodes(&runner.boxed).step(|| "measure the box".to_owned())?;
        runner.own_bytes = own_peak_bytes().saturating_add(SLACK_BYTES);
        Ok(runner)
    }

    /// Removes the loaded program.
    pub(super) fn wipe(&mut self) -> Result<(), Errno> {
        self.loaded_bytes = 0;
        tidy::empty(self.mounts.program.as_fd())
    }

    /// Runs one order to its end. `None` where the judge is gone.
    pub(super) fn run(
        &mut self,
        channel: &Channel,
        order: &Order,
        fds: Vec<OwnedFd>,
    ) -> Option<(Report, Option<OwnedFd>)> {
        let started = Instant::now();
        let mut report = Report {
            end: End::NoRoom,
            stopped_by: StoppedBy::Nothing,
            out_of_memory: false,
            cpu_ns: 0,
            wall_ns: 0,
            memory_bytes: 0,
            collected: Collected::NotAsked,
            spent: false,
        };
        let mut file = None;
        match self.attempt(channel, order, fds, &mut report) {
            Ok(()) => {}
            Err(Stop::JudgeGone) => return None,
            Err(Stop::NotStarted(end)) => report.end = end,
        }
        if report.wall_ns == 0 {
            report.wall_ns = nanoseconds(started.elapsed());
        }
        if let Some(collect) = order.collect.as_ref().filter(|_| report.end == End::Exited(0)) {
            (report.collected, file) = collect::open_artefact(self.boxed.as_fd(), WORK, collect);
        }
        report.spent |= !self.clear(file.is_some());
        Some((report, file))
    }

    fn attempt(
        &mut self,
        channel: &Channel,
        order: &Order,
        fds: Vec<OwnedFd>,
        report: &mut Report,
    ) -> Result<(), Stop> {
        let mut fds = fds.into_iter();
        let (Some(stdin), Some(stdout), Some(stderr)) = (fds.next(), fds.next(), fds.next()) else {
            return Err(Stop::NotStarted(End::NotStarted(libc::EBADF)));
        };
        self.place(&order.files, fds.as_slice()).map_err(Stop::errno)?;
        self.meter.limit(&order.caps, self.loaded_bytes).map_err(|errno| Stop::NotStarted(no_room(errno)))?;
        self.meter.start().map_err(Stop::errno)?;
        let started = Instant::now();
        let main = {
            let (argv, env) = (texts(&order.argv), texts(&order.env));
            let streams = Streams { stdin: stdin.as_fd(), stdout: stdout.as_fd(), stderr: stderr.as_fd() };
            let (uid, caps, proc) = (self.uid, order.caps, self.mounts.proc.as_fd());
            let extra = self.meter.process_limits(&caps, self.ids);
            let directory = c"/box/work";
            let launch =
                Launch { argv: &argv, env: &env, directory, uid, caps, extra: &extra, proc, streams };
            launch::start(&mut self.stack, &launch)
        };
        drop((stdin, stdout, stderr, fds));
        let main = main.map_err(|error| Stop::NotStarted(not_started(&error)))?;
        let mut ended = Ended::new(main);
        let watched = self.watch(channel, &mut ended, started, order.caps);
        let elapsed = started.elapsed();
        Children::end_all(&mut ended);
        self.make_room().map_err(Stop::errno)?;
        report.stopped_by = watched?;
        report.wall_ns = nanoseconds(elapsed);
        report.end = ended.end();
        // A child counts the init's own memory as its own until it has executed: below that nothing is known.
        let largest = if ended.largest_bytes > self.own_bytes { ended.largest_bytes } else { 0 };
        let reading = self.meter.finish(&ended, largest).map_err(Stop::errno)?;
        report.cpu_ns = reading.cpu_ns;
        report.memory_bytes = reading.memory_bytes;
        report.out_of_memory = reading.out_of_memory;
        Ok(())
    }

    /// Waits for the program's end or for a limit.
    fn watch(
        &mut self,
        channel: &Channel,
        ended: &mut Ended,
        started: Instant,
        caps: Caps,
    ) -> Result<StoppedBy, Stop> {
        let wall = started + Duration::from_nanos(caps.wall_ns);
        let mut due = started + self.soonest(caps.cpu_ns);
        loop {
            if self.children.reap(ended) {
                return Ok(StoppedBy::Nothing);
            }
            let now = Instant::now();
            if now >= wall {
                return Ok(StoppedBy::WallLimit);
            }
            if now >= due {
                let (used, too_much) = self.meter.look(ended).map_err(Stop::errno)?;
                if too_much {
                    return Ok(StoppedBy::MemoryLimit);
                }
                if used >= caps.cpu_ns {
                    return Ok(StoppedBy::CpuLimit);
                }
                due = now + self.soonest(caps.cpu_ns - used);
            }
            if self.wait(channel, wall.min(due).saturating_duration_since(now))? {
                return Ok(StoppedBy::Judge);
            }
        }
    }

    /// When to look again: the soonest that this much CPU time can have been used, on all processors at once.
    fn soonest(&self, cpu_ns: u64) -> Duration {
        let soonest = Duration::from_nanos(cpu_ns / u64::from(self.processors)).max(MIN_TICK);
        soonest.min(self.meter.longest_step())
    }

    /// Waits for a child's end, the judge's word or the time; whether the judge said stop.
    fn wait(&mut self, channel: &Channel, at_most: Duration) -> Result<bool, Stop> {
        let mut polled = [PollFd::new(channel, PollFlags::IN), PollFd::new(&self.children, PollFlags::IN)];
        let timeout = Timespec::try_from(at_most).ok();
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Stop::errno(errno)),
        }
        if polled[0].revents().is_empty() {
            return Ok(false);
        }
        match channel.recv::<ToInit>() {
            Ok((ToInit::Stop, _)) => Ok(true),
            Err(ChannelError::Socket(Errno::INTR)) => Ok(false),
            _ => Err(Stop::JudgeGone),
        }
    }

    /// Puts the order's files in place.
    fn place(&mut self, files: &[FileSpec], contents: &[OwnedFd]) -> Result<(), Errno> {
        if files.is_empty() {
            return Ok(());
        }
        self.wipe()?;
        for (spec, content) in files.iter().zip(contents) {
            let (root, path) = match spec.place {
                Place::Work => (&self.boxed, format!("{WORK}/{}", spec.name)),
                Place::Program => (&self.mounts.program, spec.name.clone()),
            };
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(0o600);
            let file = openat2(root, path, flags, mode, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)?;
            let size = u64::try_from(fstat(content)?.st_size).unwrap_or(0);
            let mut offset = 0;
            while offset < size {
                let left = usize::try_from(size - offset).unwrap_or(usize::MAX);
                if sendfile(&file, content, Some(&mut offset), left)? == 0 {
                    return Err(Errno::IO);
                }
            }
            fchmod(&file, Mode::from_raw_mode(spec.mode))?;
            if spec.place == Place::Program {
                self.loaded_bytes += size.next_multiple_of(4096);
            }
        }
        Ok(())
    }

    /// Makes the slot as it was before the run. Whether that is certain.
    fn clear(&mut self, file_held: bool) -> bool {
        let renewed = ipc::purge() && self.renew().is_ok();
        // A file that is being handed out still holds its inode.
        let expected = self.free_inodes.saturating_sub(u64::from(file_held));
        renewed && tidy::free_inodes(&self.boxed).is_ok_and(|free| free >= expected)
    }

    /// Files stay charged when their program is dead. With no other process left to be killed, the init itself
    /// must not meet the limit while it removes them.
    fn make_room(&mut self) -> Result<(), Errno> {
        if tidy::held_bytes(&self.boxed)? > ROOM_BYTES { self.meter.make_room() } else { Ok(()) }
    }

    fn renew(&self) -> Result<(), Errno> {
        if self.ids == Ids::One {
            self.renew_the_box_itself()?;
        }
        tidy::renew(self.boxed.as_fd(), WORK, self.uid, 0o700)?;
        tidy::renew(self.boxed.as_fd(), TMP, self.uid, 0o700)
    }

    /// Where programs have the init's own id, the box's top directory is theirs as well.
    fn renew_the_box_itself(&self) -> Result<(), Errno> {
        tidy::empty_but(self.boxed.as_fd(), PROGRAM)?;
        fchmod(&self.boxed, Mode::from_raw_mode(0o755))?;
        // What it cannot be rid of costs the slot.
        match flistxattr_query(&self.boxed) {
            Ok(0) | Err(Errno::NOTSUP) => Ok(()),
            Ok(_) => Err(Errno::NOTEMPTY),
            Err(errno) => Err(errno),
        }
    }
}

/// Why an attempt ended without an end of the program.
enum Stop {
    JudgeGone,
    NotStarted(End),
}

impl Stop {
    fn errno(errno: Errno) -> Self {
        Self::NotStarted(End::NotStarted(errno.raw_os_error()))
    }
}

/// The memory limit was refused: because it is too small, or for a reason of ours.
fn no_room(errno: Errno) -> End {
    if errno == Errno::BUSY { End::NoRoom } else { End::NotStarted(errno.raw_os_error()) }
}

/// Starting takes memory, too: a limit below that is the program's, not a fault.
fn not_started(error: &std::io::Error) -> End {
    match error.raw_os_error() {
        Some(libc::ENOMEM) => End::NoRoom,
        errno => End::NotStarted(errno.unwrap_or(libc::EIO)),
    }
}

fn texts(texts: &[String]) -> Vec<CString> {
    texts.iter().filter_map(|text| CString::new(text.as_str()).ok()).collect()
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
