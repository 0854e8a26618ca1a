//! A real nats-server that belongs to one test.

mod binary;
mod cluster;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use rand::RngExt;
use tempfile::TempDir;

pub use self::binary::{NoServer, find as find_binary};
use crate::{
    process::{LogLine, Mark, Process},
    wait::WaitError,
};

/// How long a server may take to be ready. One with a large store to read needs seconds.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How long it may take to end when asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Ports tried for a new server.
const PORTS_TRIED: usize = 50;
/// Where ports are taken from: below what Linux gives to outgoing connections. A server that is restarted must
/// find its port free, and a client that dials a port of that other range while nobody listens can be connected
/// to itself.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// No program to run.
    #[error(transparent)]
    NoServer(#[from] NoServer),
    /// Its directory or configuration cannot be written.
    #[error("cannot prepare the server's directory")]
    Prepare(#[source] io::Error),
    /// It cannot be started, or not be signalled.
    #[error("cannot run the server")]
    Run(#[source] io::Error),
    /// It did not say that it is ready; its log is in the text.
    #[error("the server is not ready: {0}")]
    NotReady(WaitError),
    /// It did not end when asked to.
    #[error("the server does not end: {0}")]
    NotEnding(WaitError),
    /// Every port tried was taken.
    #[error("no free port in {PORTS_TRIED} tries")]
    NoPort,
}

/// What kind of server to start: `JetStream` with its store in a directory of its own, messages up to 8 MB.
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is started"]
pub struct Builder {
    max_payload: usize,
    sync_always: bool,
    extra: String,
    file: Option<PathBuf>,
    envs: Vec<(String, String)>,
}

impl Builder {
    /// The largest message in bytes; 8,000,000 unless set.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// Has every write synced to disk before it is acknowledged, as a lone server in production does. Slow.
    pub fn sync_always(mut self) -> Self {
        self.sync_always = true;
        self
    }

    /// Adds text to the configuration, accounts for instance. Port, store and log are set already, and readiness
    /// is read from the log.
    pub fn config(mut self, text: &str) -> Self {
        self.extra.push_str(text);
        self.extra.push('\n');
        self
    }

    /// Has it run with this file alone, as it is deployed: port and store are the file's `$NATS_LISTEN` and
    /// `$NATS_STORE_DIR`.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.envs.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it; returns once it is ready.
    ///
    /// # Panics
    /// With the text of the [`NatsError`], since a test can do nothing without a server.
    pub async fn start(self) -> NatsServer {
        self.try_start().await.unwrap_or_else(|error| panic!("{}", gavel_domain::error::chain(&error)))
    }

    /// Starts it; returns once it is ready.
    ///
    /// # Errors
    /// [`NatsError`].
    pub async fn try_start(self) -> Result<NatsServer, NatsError> {
        let binary = binary::find()?;
        let directory =
            tempfile::Builder::new().prefix("gavel-nats-").tempdir().map_err(NatsError::Prepare)?;
        let written = directory.path().join("nats.conf");
        let config = self.file.as_ref().unwrap_or(&written);
        for _ in 0..PORTS_TRIED {
            // Nobody reserves a port here: the server that cannot bind says so, and another is tried.
            let port = rand::rng().random_range(PORTS);
            fs::write(&written, self.config_text(directory.path(), port)).map_err(NatsError::Prepare)?;
            let process = Process::builder(&binary).name("nats-server").arg("-c").arg(config);
            let process = process.env("NATS_LISTEN", format!("127.0.0.1:{port}"));
            let process = process.env("NATS_STORE_DIR", directory.path().join("store"));
            let process = process.envs(self.envs.iter().map(|(name, value)| (name, value)));
            // Without a limit large messages let it grow to gigabytes before it collects its garbage.
            let process = process.env("GOMEMLIMIT", "512MiB").start().map_err(NatsError::Run)?;
            match ready(&process, Mark::default()).await {
                Ok(()) => return Ok(NatsServer { process, directory, port }),
                Err(error) if port_is_taken(&process, Mark::default(), &error) => {}
                Err(error) => return Err(NatsError::NotReady(error)),
            }
        }
        Err(NatsError::NoPort)
    }

    fn config_text(&self, directory: &Path, port: u16) -> String {
        let store = directory.join("store");
        let sync = if self.sync_always { "sync_interval: always" } else { "" };
        // The limit on files is only what streams may reserve; a test's disk need not have it.
        format!(
            "server_name: \"gavel-test-{port}\"\nlisten: \"127.0.0.1:{port}\"\nmax_payload: {}\n\
             jetstream {{ store_dir: \"{}\", max_memory_store: 256MB, max_file_store: 1TB\n{sync} }}\n{}",
            self.max_payload,
            store.display(),
            self.extra
        )
    }
}

/// A running (or, between [`NatsServer::kill`] and [`NatsServer::restart`], absent) server. Dropping it kills it
/// and wipes its store; if the test is failing, its log is printed.
#[derive(Debug)]
pub struct NatsServer {
    // Dropped before the directory that it writes to.
    process: Process,
    directory: TempDir,
    port: u16,
}

impl NatsServer {
    /// A server as [`NatsServer::builder`] makes it.
    ///
    /// # Panics
    /// As [`Builder::start`].
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A server of another kind.
    pub fn builder() -> Builder {
        Builder {
            max_payload: 8_000_000,
            sync_always: false,
            extra: String::new(),
            file: None,
            envs: Vec::new(),
        }
    }

    /// Where clients connect to; the same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where `JetStream` keeps its files.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// The process, for its log and for other signals.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills it (SIGKILL); returns once it is gone. Port and store stay its own.
    ///
    /// # Errors
    /// [`NatsError::Run`].
    pub async fn kill(&self) -> Result<ExitStatus, NatsError> {
        self.process.kill().await.map_err(NatsError::Run)
    }

    /// Has it end in peace (SIGTERM); returns once it has.
    ///
    /// # Errors
    /// [`NatsError::Run`], [`NatsError::NotEnding`] after 30 s.
    pub async fn stop(&self) -> Result<ExitStatus, NatsError> {
        self.process.terminate().map_err(NatsError::Run)?;
        self.process.wait_exit(STOP_TIMEOUT).await.map_err(NatsError::NotEnding)
    }

    /// Starts it again with the same port and store, killing it first if it runs; returns once it is ready.
    ///
    /// # Errors
    /// [`NatsError::Run`], [`NatsError::NotReady`].
    pub async fn restart(&self) -> Result<(), NatsError> {
        let deadline = tokio::time::Instant::now() + START_TIMEOUT;
        loop {
            let mark = self.process.mark();
            self.process.restart().await.map_err(NatsError::Run)?;
            match ready(&self.process, mark).await {
                Ok(()) => return Ok(()),
                // Somebody's short-lived use of the port; nobody tells when it ends.
                Err(error)
                    if port_is_taken(&self.process, mark, &error)
                        && tokio::time::Instant::now() < deadline =>
                {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(NatsError::NotReady(error)),
            }
        }
    }

    /// Stops it in its tracks (SIGSTOP): connections stay open and nothing answers.
    ///
    /// # Errors
    /// [`NatsError::Run`].
    pub fn freeze(&self) -> Result<(), NatsError> {
        self.process.freeze().map_err(NatsError::Run)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// [`NatsError::Run`].
    pub fn thaw(&self) -> Result<(), NatsError> {
        self.process.thaw().map_err(NatsError::Run)
    }
}

async fn ready(process: &Process, mark: Mark) -> Result<(), WaitError> {
    let says_so = |line: &LogLine| line.contains("Server is ready");
    process.wait_log_after(mark, "the readiness", START_TIMEOUT, says_so).await.map(|_| ())
}

fn port_is_taken(process: &Process, mark: Mark, error: &WaitError) -> bool {
    matches!(error, WaitError::Exited { .. })
        && process.log_after(mark).iter().any(|line| line.contains("address already in use"))
}
