//! One of our binaries (or any other program) as a test runs it: its own environment, its log in memory, signals,
//! and no life beyond the test's.

mod child;
mod logs;
mod spawn;

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub use self::logs::{LogLine, Mark};
pub use rustix::process::Signal;

use self::{child::Child, logs::Logs};
use crate::{TEST_TIMEOUT, wait::WaitError};

/// What to run, and how.
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
}

impl Builder {
    /// The name in messages; the program's file name unless set.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the environment, which otherwise holds `PATH` alone. The last setting counts.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.envs.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets several.
    #[must_use]
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(self, envs: impl IntoIterator<Item = (K, V)>) -> Self {
        envs.into_iter().fold(self, |builder, (name, value)| builder.env(name, value))
    }

    /// The working directory; the test's own unless set.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// Whatever starting a process says, such as a program that is not there.
    pub fn start(self) -> io::Result<Process> {
        let logs = Arc::new(Logs::default());
        let child = Child::start(self.command(), &logs)?;
        Ok(Process { builder: self, logs, child: Mutex::new(Arc::new(child)) })
    }

    /// Starts it, waits for its exit, and returns its exit code and what it wrote.
    ///
    /// # Panics
    /// Panics if it cannot be started or does not exit within [`TEST_TIMEOUT`].
    pub async fn output(self) -> (Option<i32>, String) {
        let name = self.name.clone();
        let process = self.start().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let status = process.wait_exit(TEST_TIMEOUT).await.unwrap_or_else(|error| panic!("{error}"));
        let lines: Vec<String> = process.log().into_iter().map(|line| line.text).collect();
        (status.code(), lines.join("\n"))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear();
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.envs(self.envs.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }
}

/// A process that ends with the test. Dropping it kills and reaps it and, if the test is failing, prints its log.
#[derive(Debug)]
pub struct Process {
    builder: Builder,
    logs: Arc<Logs>,
    child: Mutex<Arc<Child>>,
}

impl Process {
    /// A process of this program, to be described and started.
    #[must_use]
    pub fn builder(program: impl AsRef<Path>) -> Builder {
        let program = program.as_ref().to_owned();
        let name = program.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Builder { name, program, args: Vec::new(), envs: Vec::new(), directory: None }
    }

    /// Its id; that of the last one, if it has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child().pid()
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child().exit_status()
    }

    /// Sends a signal. Returns after [`Signal::STOP`] only once it is stopped; one that has ended gets nothing.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.child().signal(signal)
    }

    /// Stops it in its tracks, as a machine that hangs would (SIGSTOP).
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn freeze(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn thaw(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Kills it (SIGKILL) and returns once it is gone.
    ///
    /// # Errors
    /// Whatever the system says.
    pub async fn kill(&self) -> io::Result<ExitStatus> {
        let child = self.child();
        child.signal(Signal::KILL)?;
        Ok(child.exited().await)
    }

    /// Asks it to end (SIGTERM); see [`Process::wait_exit`].
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`]; it then still runs.
    pub async fn wait_exit(&self, timeout: Duration) -> Result<ExitStatus, WaitError> {
        let child = self.child();
        let exited = tokio::time::timeout(timeout, child.drained()).await;
        exited.map_err(|_| self.timed_out("the end", timeout))
    }

    /// Starts the same again, after a kill if it still runs. The log goes on where it was.
    ///
    /// # Errors
    /// Whatever killing and starting say.
    pub async fn restart(&self) -> io::Result<()> {
        self.kill().await?;
        let child = Child::start(self.builder.command(), &self.logs)?;
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(child);
        Ok(())
    }

    /// The lines it has written, within the last 20,000 and the last 16 MiB.
    #[must_use]
    pub fn log(&self) -> Vec<LogLine> {
        self.logs.lines_after(Mark::default())
    }

    /// The kept lines after a mark.
    #[must_use]
    pub fn log_after(&self, mark: Mark) -> Vec<LogLine> {
        self.logs.lines_after(mark)
    }

    /// Where its log ends now, to wait for what comes after.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.logs.mark()
    }

    /// Waits for a line of its log, the kept ones included. `what` names it in the error.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], and [`WaitError::Exited`] if it has ended without it.
    pub async fn wait_log(
        &self,
        what: &str,
        timeout: Duration,
        wanted: impl FnMut(&LogLine) -> bool,
    ) -> Result<LogLine, WaitError> {
        self.wait_log_after(Mark::default(), what, timeout, wanted).await
    }

    /// Waits for a line of its log after a mark.
    ///
    /// # Errors
    /// As [`Process::wait_log`].
    pub async fn wait_log_after(
        &self,
        mark: Mark,
        what: &str,
        timeout: Duration,
        mut wanted: impl FnMut(&LogLine) -> bool,
    ) -> Result<LogLine, WaitError> {
        let child = self.child();
        let finding = async {
            tokio::select! {
                line = self.logs.find(mark, &mut wanted) => Ok(line),
                status = child.drained() => Err(status),
            }
        };
        match tokio::time::timeout(timeout, finding).await {
            Ok(Ok(line)) => Ok(line),
            // Its last words may have come between the last look and its end.
            Ok(Err(status)) => self.logs.find_now(mark, &mut wanted).ok_or_else(|| self.exited(what, status)),
            Err(_) => Err(self.timed_out(what, timeout)),
        }
    }

    fn child(&self) -> Arc<Child> {
        Arc::clone(&self.child.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn timed_out(&self, what: &str, after: Duration) -> WaitError {
        WaitError::TimedOut {
            what: format!("{what} of {}", self.builder.name),
            after,
            seen: self.logs.tail(20),
        }
    }

    fn exited(&self, what: &str, status: ExitStatus) -> WaitError {
        WaitError::Exited {
            what: format!("{what} of {}", self.builder.name),
            status,
            seen: self.logs.tail(20),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child();
        child.end();
        if std::thread::panicking() {
            eprintln!(
                "--- log of {} (process {}){}\n---",
                self.builder.name,
                child.pid(),
                self.logs.tail(200)
            );
        }
    }
}

/// Where cargo put a binary of this workspace: beside the directory of the running test's own.
///
/// # Errors
/// Not found: it has to be built before (`cargo build -p <its package>`), since cargo builds for a test only the
/// binaries of its own package.
pub fn built_binary(name: &str) -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let candidates = own.ancestors().skip(1).take(2).map(|directory| directory.join(name));
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        let text = format!("there is no {name} near {}; build it first", own.display());
        io::Error::new(io::ErrorKind::NotFound, text)
    })
}
