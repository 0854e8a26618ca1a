//! A program as a test runs it: with its own environment, its log in memory, signals, and never longer than the test.

mod child;
mod logs;
mod memory;
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
pub use self::memory::memory_kib;
pub use rustix::process::Signal;

use self::{child::Child, logs::Logs};
use crate::{TEST_TIMEOUT, wait::WaitError};

/// Configures a process.
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
}

impl Builder {
    /// Sets the name in messages; the program's file name unless set.
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

    /// Sets an environment variable. Otherwise the environment contains only `PATH`. The last setting of a name counts.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.envs.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets several environment variables.
    #[must_use]
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(self, envs: impl IntoIterator<Item = (K, V)>) -> Self {
        envs.into_iter().fold(self, |builder, (name, value)| builder.env(name, value))
    }

    /// Sets the working directory; the test's own unless set.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Starts the process.
    ///
    /// # Errors
    /// Returns an error if it cannot be started, for instance because the program does not exist.
    pub fn start(self) -> io::Result<Process> {
        let logs = Arc::new(Logs::default());
        let child = Child::start(self.command(), &logs)?;
        Ok(Process { builder: self, logs, child: Mutex::new(Arc::new(child)) })
    }

    /// Starts the process, waits for its exit, and returns its exit code and its output.
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

/// A process that ends with the test. Dropping it kills and reaps it, and prints its log if the test is failing.
#[derive(Debug)]
pub struct Process {
    builder: Builder,
    logs: Arc<Logs>,
    child: Mutex<Arc<Child>>,
}

impl Process {
    /// Configures a process of this program.
    #[must_use]
    pub fn builder(program: impl AsRef<Path>) -> Builder {
        let program = program.as_ref().to_owned();
        let name = program.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Builder { name, program, args: Vec::new(), envs: Vec::new(), directory: None }
    }

    /// The process id; that of the last run if it has exited.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child().pid()
    }

    /// The exit status, or `None` while it runs.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child().exit_status()
    }

    /// Sends a signal. After [`Signal::STOP`] it returns only once the process is stopped. A process that has exited
    /// gets no signal.
    ///
    /// # Errors
    /// Returns an error if the system rejects the signal.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.child().signal(signal)
    }

    /// Suspends the process (SIGSTOP), as if its machine hung.
    ///
    /// # Errors
    /// Returns an error if the system rejects the signal.
    pub fn freeze(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Resumes the process (SIGCONT).
    ///
    /// # Errors
    /// Returns an error if the system rejects the signal.
    pub fn thaw(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Kills the process (SIGKILL) and returns once it has exited.
    ///
    /// # Errors
    /// Returns an error if the system rejects the signal.
    pub async fn kill(&self) -> io::Result<ExitStatus> {
        let child = self.child();
        child.signal(Signal::KILL)?;
        Ok(child.exited().await)
    }

    /// Asks the process to exit (SIGTERM); see [`Process::wait_exit`].
    ///
    /// # Errors
    /// Returns an error if the system rejects the signal.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Waits until the process has exited and its output is in the log.
    ///
    /// # Errors
    /// Returns [`WaitError::TimedOut`] after `timeout`. The process still runs then.
    pub async fn wait_exit(&self, timeout: Duration) -> Result<ExitStatus, WaitError> {
        let child = self.child();
        let exited = tokio::time::timeout(timeout, child.drained()).await;
        exited.map_err(|_| self.timed_out("the exit", timeout))
    }

    /// Starts the same program again, after killing it if it still runs. The log continues.
    ///
    /// # Errors
    /// Returns an error if it cannot be killed or started.
    pub async fn restart(&self) -> io::Result<()> {
        self.kill().await?;
        let child = Child::start(self.builder.command(), &self.logs)?;
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(child);
        Ok(())
    }

    /// The lines of its output; at most the last 20,000 and the last 16 MiB.
    #[must_use]
    pub fn log(&self) -> Vec<LogLine> {
        self.logs.lines_after(Mark::default())
    }

    /// The lines after a mark.
    #[must_use]
    pub fn log_after(&self, mark: Mark) -> Vec<LogLine> {
        self.logs.lines_after(mark)
    }

    /// Marks the current end of its log, to wait for later lines.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.logs.mark()
    }

    /// Waits for a line of its log and returns it; earlier lines count. `what` names the line in the error.
    ///
    /// # Errors
    /// Returns [`WaitError::TimedOut`] after `timeout`, and [`WaitError::Exited`] if the process exits without it.
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
            // The line may have been written between the last check and the exit.
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

/// Finds a binary of this workspace in cargo's target directory.
///
/// # Errors
/// Returns an error if it does not exist. For a test cargo builds only the binaries of the same package, so build it
/// first (`cargo build -p <its package>`).
pub fn built_binary(name: &str) -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let candidates = own.ancestors().skip(1).take(2).map(|directory| directory.join(name));
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        let text = format!("cannot find {name} near {}: build it first", own.display());
        io::Error::new(io::ErrorKind::NotFound, text)
    })
}
