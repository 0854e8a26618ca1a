//! One run: copy files, start the program, check the limits, kill every process, read the meter, clean the slot.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, ResolveFlags, fchmod, flistxattr_query, fstat, open, openat2, sendfile};
use rustix::io::Errno;

use super::cpu_times::CpuTimesReader;
use super::inherited::Inherited;
use super::launch::{self, Launch, LaunchError, ProgramStreams};
use super::meter::Meter;
use super::reap::{Children, ExitedChildren};
use super::root::{self, InitMounts};
use super::run_clock::{RunClock, Sample};
use super::session::Session;
use super::step::{StepContext, StepError};
use super::{artefact, cleanup, ipc, processes, run_clock};
use crate::protocol::channel::{Channel, ChannelError};
use crate::protocol::ids::IdMapping;
use crate::protocol::limits::ResourceLimits;
use crate::protocol::wire::{
    ArtefactStatus, FileLocation, FileSpec, KillReason, ProcessExit, RunReport, RunRequest, SlotSetup, ToInit,
};
use crate::spawn::ChildStack;

/// The working directory of programs, in the box.
const WORK_DIR: &str = "work";
/// The directory that `/tmp` and `/dev/shm` link to, in the box.
const TMP_DIR: &str = "tmp";
/// Where the program's own file system is mounted, in the box.
const PROGRAM_DIR: &str = "program";
/// How much the init may grow while it handles requests, in bytes.
const INIT_GROWTH_BYTES: u64 = 1 << 20;
/// The shortest time between two checks: readings are no finer than the kernel's tick.
const MIN_CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// What the init holds between runs.
pub(super) struct Runner {
    uid: u32,
    id_mapping: IdMapping,
    /// How many CPUs the run may use.
    cpus: u32,
    meter: Meter,
    children: Children,
    stack: ChildStack,
    /// The box's top directory.
    box_dir: OwnedFd,
    mounts: InitMounts,
    cpu_times: Option<Rc<CpuTimesReader>>,
    session: Session,
    inherited: Inherited,
    /// The init's own largest resident set, in bytes.
    own_bytes: u64,
    /// Free inodes of the box while it is clean.
    free_inodes: u64,
    /// The size of the loaded program, in bytes.
    loaded_bytes: u64,
}

impl Runner {
    pub(super) fn new(
        setup: &SlotSetup,
        mounts: InitMounts,
        cpu_times: Option<Rc<CpuTimesReader>>,
        session: Session,
        fds: Vec<OwnedFd>,
    ) -> Result<Self, StepError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let box_dir = open(root::BOX_DIR, flags, Mode::empty()).step(|| "open the box".to_owned())?;
        let meter = Meter::new(setup, fds, &mounts.proc, &box_dir);
        let children = Children::new().step(|| "watch for exited children".to_owned())?;
        let inherited = Inherited::new(&mounts.proc).step(|| "read its limits and priorities".to_owned())?;
        let mut runner = Self {
            uid: setup.uid,
            id_mapping: setup.id_mapping,
            cpus: 1,
            meter: meter.step(|| "read the usage of the slot".to_owned())?,
            children,
            stack: ChildStack::new(),
            box_dir,
            mounts,
            cpu_times,
            session,
            inherited,
            own_bytes: 0,
            free_inodes: 0,
            loaded_bytes: 0,
        };
        let created = runner.unload_program().and_then(|()| runner.recreate_dirs());
        created.step(|| "create the box's directories".to_owned())?;
        runner.free_inodes = cleanup::free_inodes(&runner.box_dir).step(|| "measure the box".to_owned())?;
        let own_bytes =
            processes::peak_bytes(&runner.mounts.proc).step(|| "read its own memory".to_owned())?;
        runner.own_bytes = own_bytes.saturating_add(INIT_GROWTH_BYTES);
        Ok(runner)
    }

    /// Removes the loaded program.
    pub(super) fn unload_program(&mut self) -> Result<(), Errno> {
        self.loaded_bytes = 0;
        cleanup::remove_contents(self.mounts.program.as_fd())
    }

    /// Handles one request. Returns the report and the artefact, or `None` if the judge has closed the socket.
    pub(super) fn run(
        &mut self,
        channel: &Channel,
        request: &RunRequest,
        fds: Vec<OwnedFd>,
    ) -> Option<(RunReport, Option<OwnedFd>)> {
        let started = Instant::now();
        let mut report = RunReport {
            exit: ProcessExit::MemoryLimitTooLow,
            kill_reason: None,
            out_of_memory: false,
            cpu_ns: 0,
            wall_ns: 0,
            waiting_ns: 0,
            memory_bytes: 0,
            artefact: ArtefactStatus::NotRequested,
            unusable: false,
        };
        let mut artefact_file = None;
        match self.attempt(channel, request, fds, &mut report) {
            Ok(()) => {}
            Err(RunError::JudgeDisconnected) => return None,
            Err(RunError::NotStarted(exit)) => report.exit = exit,
        }
        if report.wall_ns == 0 {
            report.wall_ns = nanoseconds(started.elapsed());
        }
        if let Some(request) = request.artefact.as_ref().filter(|_| report.exit == ProcessExit::Exited(0)) {
            (report.artefact, artefact_file) = artefact::open(self.box_dir.as_fd(), WORK_DIR, request);
        }
        report.unusable |= !self.clean(artefact_file.as_ref(), request.has_spare_cpu);
        Some((report, artefact_file))
    }

    fn attempt(
        &mut self,
        channel: &Channel,
        request: &RunRequest,
        fds: Vec<OwnedFd>,
        report: &mut RunReport,
    ) -> Result<(), RunError> {
        let mut fds = fds.into_iter();
        let (Some(stdin), Some(stdout), Some(stderr)) = (fds.next(), fds.next(), fds.next()) else {
            return Err(RunError::NotStarted(ProcessExit::NotStarted(libc::EBADF)));
        };
        self.cpus = rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count().max(1));
        self.make_room_for_files(&request.files, fds.as_slice()).map_err(RunError::from_errno)?;
        // Before the files are copied: the limit of the run before may be lower than their size.
        self.meter.set_limits(&request.limits, self.loaded_bytes).map_err(RunError::from_errno)?;
        self.copy_files(&request.files, fds.as_slice()).map_err(RunError::from_errno)?;
        self.meter.start().map_err(RunError::from_errno)?;
        let mut clock = RunClock::start(Duration::from_nanos(request.limits.wall_ns), self.cpu_times.clone());
        let main = {
            let (argv, env) = (c_strings(&request.argv), c_strings(&request.env));
            let streams =
                ProgramStreams { stdin: stdin.as_fd(), stdout: stdout.as_fd(), stderr: stderr.as_fd() };
            let (uid, limits, proc) = (self.uid, request.limits, self.mounts.proc.as_fd());
            let extra_limits = &self.meter.process_limits(&limits, self.id_mapping);
            let directory = c"/box/work";
            let (argv, env, inherited) = (&argv, &env, &self.inherited);
            let launch = Launch { argv, env, directory, uid, limits, extra_limits, inherited, proc, streams };
            launch::start(&mut self.stack, &launch)
        };
        drop((stdin, fds));
        let main = main.map_err(|error| RunError::NotStarted(not_started(error)))?;
        let mut exited = ExitedChildren::new(main);
        let outputs = [stdout, stderr];
        let waited = self.wait_for_end(channel, &mut exited, &mut clock, request.limits, &outputs);
        let ended = Instant::now();
        Children::kill_all(&mut exited);
        self.meter.make_room_for_cleanup().map_err(RunError::from_errno)?;
        report.kill_reason = waited?;
        report.exit = exited.main_exit();
        // Until it has executed, a child counts the init's memory as its own: a smaller value says nothing.
        let largest = if exited.largest_bytes > self.own_bytes { exited.largest_bytes } else { 0 };
        let reading = self.meter.finish(&exited, largest).map_err(RunError::from_errno)?;
        let time = clock.finish(ended, reading.cpu_ns);
        (report.wall_ns, report.waiting_ns) = (nanoseconds(time.charged), nanoseconds(time.waited));
        report.cpu_ns = reading.cpu_ns;
        report.memory_bytes = reading.memory_bytes;
        report.out_of_memory = reading.out_of_memory;
        Ok(())
    }

    /// Waits until the program ends, a limit is exceeded or the judge stops the run. Returns the reason to end the run,
    /// or `None` if the program has ended.
    fn wait_for_end(
        &mut self,
        channel: &Channel,
        exited: &mut ExitedChildren,
        clock: &mut RunClock,
        limits: ResourceLimits,
        outputs: &[OwnedFd; 2],
    ) -> Result<Option<KillReason>, RunError> {
        let mut next_check = Instant::now() + self.check_interval(limits.cpu_ns, limits.wall_ns);
        loop {
            if self.children.reap(exited) {
                return Ok(None);
            }
            let now = Instant::now();
            if now >= next_check {
                self.session.lower_priority();
                let (used_ns, memory_exceeded) = self.meter.check(exited).map_err(RunError::from_errno)?;
                if memory_exceeded {
                    return Ok(Some(KillReason::MemoryLimit));
                }
                if used_ns >= limits.cpu_ns {
                    return Ok(Some(KillReason::CpuLimit));
                }
                clock.update(now, used_ns, || self.sample(outputs)).map_err(RunError::from_errno)?;
                let time = clock.time(now);
                let (charged_ns, waited_ns) = (nanoseconds(time.charged), nanoseconds(time.waited));
                if charged_ns >= limits.wall_ns {
                    return Ok(Some(KillReason::WallLimit));
                }
                if waited_ns >= limits.waiting_ns {
                    // What looks like waiting may be CPU time that was not seen.
                    let certain = self.meter.is_complete();
                    return Ok(Some(if certain { KillReason::Starved } else { KillReason::WallLimit }));
                }
                next_check = now + self.check_interval(limits.cpu_ns - used_ns, limits.wall_ns - charged_ns);
            }
            if self.wait(channel, next_check.saturating_duration_since(now))? {
                return Ok(Some(KillReason::StopRequested));
            }
        }
    }

    /// Looks at the run's threads and at the pipes that it writes to.
    fn sample(&self, outputs: &[OwnedFd; 2]) -> Result<Sample, Errno> {
        let mut polled = outputs.each_ref().map(|output| PollFd::new(output, PollFlags::OUT));
        poll(&mut polled, Some(&Timespec::default()))?;
        let is_output_full = polled.iter().any(|output| output.revents().is_empty());
        Ok(Sample { threads: processes::threads(&self.mounts.proc)?, is_output_full })
    }

    /// The time until the next check: the shortest in which all CPUs together can use this much CPU time, or in which
    /// this much wall time can pass.
    fn check_interval(&self, cpu_ns: u64, wall_ns: u64) -> Duration {
        let shortest = Duration::from_nanos(wall_ns.min(cpu_ns / u64::from(self.cpus)));
        shortest.max(MIN_CHECK_INTERVAL).min(run_clock::random_part(self.meter.max_check_interval()))
    }

    /// Waits until a child exits, a message arrives or the time has passed. Returns whether the judge stopped the run.
    fn wait(&mut self, channel: &Channel, at_most: Duration) -> Result<bool, RunError> {
        let mut polled = [PollFd::new(channel, PollFlags::IN), PollFd::new(&self.children, PollFlags::IN)];
        let timeout = Timespec::try_from(at_most).ok();
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(RunError::from_errno(errno)),
        }
        if polled[0].revents().is_empty() {
            return Ok(false);
        }
        match channel.recv::<ToInit>() {
            Ok((ToInit::StopRun, _)) => Ok(true),
            Err(ChannelError::Socket(Errno::INTR)) => Ok(false),
            _ => Err(RunError::JudgeDisconnected),
        }
    }

    /// Removes the loaded program if the request has files, and counts those that become the program.
    fn make_room_for_files(&mut self, files: &[FileSpec], contents: &[OwnedFd]) -> Result<(), Errno> {
        if files.is_empty() {
            return Ok(());
        }
        self.unload_program()?;
        for (spec, content) in files.iter().zip(contents) {
            if spec.location == FileLocation::ProgramDir {
                self.loaded_bytes += size_of_file(content)?.next_multiple_of(4096);
            }
        }
        Ok(())
    }

    /// Copies the files of a request into the box.
    fn copy_files(&self, files: &[FileSpec], contents: &[OwnedFd]) -> Result<(), Errno> {
        for (spec, content) in files.iter().zip(contents) {
            let (root, path) = match spec.location {
                FileLocation::WorkDir => (&self.box_dir, format!("{WORK_DIR}/{}", spec.name)),
                FileLocation::ProgramDir => (&self.mounts.program, spec.name.clone()),
            };
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(0o600);
            let file = openat2(root, path, flags, mode, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)?;
            let size = size_of_file(content)?;
            let mut offset = 0;
            while offset < size {
                let left = usize::try_from(size - offset).unwrap_or(usize::MAX);
                if sendfile(&file, content, Some(&mut offset), left)? == 0 {
                    return Err(Errno::IO);
                }
            }
            fchmod(&file, Mode::from_raw_mode(spec.mode))?;
        }
        Ok(())
    }

    /// Restores the slot to its state before the run. Returns whether that is certain.
    fn clean(&mut self, open_artefact: Option<&OwnedFd>, has_spare_cpu: bool) -> bool {
        let removed = ipc::purge() && self.recreate_dirs().is_ok();
        // An open artefact still holds its memory, its inode and that of its directory.
        let expected = self.free_inodes.saturating_sub(if open_artefact.is_some() { 2 } else { 0 });
        let artefact_bytes = open_artefact.map_or(Ok(0), size_of_file).unwrap_or(0);
        removed
            && cleanup::free_inodes(&self.box_dir).is_ok_and(|free| free >= expected)
            && self.inherited.is_unchanged(has_spare_cpu)
            && self.meter.is_memory_free(self.loaded_bytes.saturating_add(artefact_bytes)).unwrap_or(false)
    }

    /// Recreates the directories that programs can write.
    fn recreate_dirs(&self) -> Result<(), Errno> {
        if self.id_mapping == IdMapping::JudgeOnly {
            self.clean_box_dir()?;
        }
        cleanup::recreate_dir(self.box_dir.as_fd(), WORK_DIR, self.uid, 0o700)?;
        cleanup::recreate_dir(self.box_dir.as_fd(), TMP_DIR, self.uid, 0o700)
    }

    /// Cleans the box's top directory, which programs can write if they have the init's own id.
    fn clean_box_dir(&self) -> Result<(), Errno> {
        cleanup::remove_contents_except(self.box_dir.as_fd(), PROGRAM_DIR)?;
        fchmod(&self.box_dir, Mode::from_raw_mode(0o755))?;
        // An extended attribute that cannot be removed makes the slot unusable.
        match flistxattr_query(&self.box_dir) {
            Ok(0) | Err(Errno::NOTSUP) => Ok(()),
            Ok(_) => Err(Errno::NOTEMPTY),
            Err(errno) => Err(errno),
        }
    }
}

/// Why a run ended without the exit of a program.
enum RunError {
    JudgeDisconnected,
    NotStarted(ProcessExit),
}

impl RunError {
    fn from_errno(errno: Errno) -> Self {
        Self::NotStarted(ProcessExit::NotStarted(errno.raw_os_error()))
    }
}

/// The exit to report if the program could not be started. Starting takes memory, too: if the limit is below that, it
/// is the program's memory limit and not a fault.
fn not_started(error: LaunchError) -> ProcessExit {
    match error {
        LaunchError::Prepare(libc::ENOMEM) | LaunchError::Execute(libc::ENOMEM) => {
            ProcessExit::MemoryLimitTooLow
        }
        // These say nothing about the program: the machine lacks something. ETXTBSY does, since no process writes to
        // the program's own file any more: its interpreter is a file that is open for writing.
        LaunchError::Execute(errno @ (libc::EAGAIN | libc::EMFILE | libc::ENFILE))
        | LaunchError::Prepare(errno) => ProcessExit::NotStarted(errno),
        LaunchError::Execute(errno) => ProcessExit::NotExecuted(errno),
    }
}

/// The size of a file, in bytes.
fn size_of_file(file: &OwnedFd) -> Result<u64, Errno> {
    fstat(file).map(|stat| u64::try_from(stat.st_size).unwrap_or(0))
}

fn c_strings(texts: &[String]) -> Vec<CString> {
    texts.iter().filter_map(|text| CString::new(text.as_str()).ok()).collect()
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
