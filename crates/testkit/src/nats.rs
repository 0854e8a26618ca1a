//! A real nats-server that belongs to one test.

mod binary;
mod cluster;
mod roles;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rand::RngExt;
use tempfile::TempDir;

pub use self::binary::{ProgramError, find as find_binary};
use self::roles::Roles;
use crate::{
    SmallDisk,
    process::{LogLine, Mark, Process},
    wait::WaitError,
};

/// How long a server may take to be ready. Reading a large store takes seconds.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a server may take to exit after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How many ports are tried for a new server.
const PORTS_TRIED: usize = 50;
/// The range that ports are taken from, below Linux's ephemeral ports. A restarted server must find its port free,
/// and a client that connects to an ephemeral port without a listener can be connected to itself.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// Why a server cannot be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// No nats-server program was found.
    #[error(transparent)]
    NoProgram(#[from] ProgramError),
    /// Its directory or configuration cannot be written.
    #[error("cannot prepare the directory of nats-server")]
    Prepare(#[source] io::Error),
    /// It cannot be started or signalled.
    #[error("cannot start or signal nats-server")]
    Run(#[source] io::Error),
    /// It did not become ready. The text contains its log.
    #[error("nats-server did not become ready: {0}")]
    NotReady(WaitError),
    /// It did not exit after SIGTERM.
    #[error("nats-server did not exit: {0}")]
    NotStopped(WaitError),
    /// Every port tried was taken.
    #[error("found no free port for nats-server in {PORTS_TRIED} tries")]
    NoPort,
}

/// Configures a server. The default has `JetStream`, a store in a temporary directory and messages up to 8 MB.
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is started"]
pub struct Builder {
    max_payload: usize,
    max_file_store: u64,
    sync_always: bool,
    extra: String,
    file: Option<PathBuf>,
    envs: Vec<(String, String)>,
    roles: Option<Arc<Roles>>,
    disk: Option<Arc<SmallDisk>>,
}

impl Builder {
    /// Gives the server the accounts, users and permissions of `deploy/nats/accounts.conf`; see [`NatsServer::login`]. A
    /// connection without a key may do everything: it is the test's own.
    ///
    /// # Panics
    /// Panics if the keys cannot be written.
    pub fn with_roles(mut self) -> Self {
        self.roles = Some(Arc::new(Roles::create().expect("a temporary directory for keys")));
        self
    }

    /// Puts the store on this disk.
    pub fn disk(mut self, disk: SmallDisk) -> Self {
        self.disk = Some(Arc::new(disk));
        self
    }

    /// The largest message in bytes; 8,000,000 unless set.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// How many bytes all streams together may reserve; 1 TB unless set, since the disk need not have that much.
    pub fn max_file_store(mut self, bytes: u64) -> Self {
        self.max_file_store = bytes;
        self
    }

    /// Syncs every write to disk before acknowledging it, as a single server in production does. Slow.
    pub fn sync_always(mut self) -> Self {
        self.sync_always = true;
        self
    }

    /// Adds text to the configuration, for instance accounts. It must not set the port, the store or the log.
    pub fn config(mut self, text: &str) -> Self {
        self.extra.push_str(text);
        self.extra.push('\n');
        self
    }

    /// Uses this configuration file only, as a deployment does. The file must read its address and store from
    /// `$NATS_LISTEN` and `$NATS_STORE_DIR`.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Sets a variable in its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.envs.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the server and returns once it is ready.
    ///
    /// # Panics
    /// Panics if it does not become ready, since a test can do nothing without a server.
    pub async fn start(self) -> NatsServer {
        self.try_start().await.unwrap_or_else(|error| panic!("{}", gavel_domain::error::chain(&error)))
    }

    /// Starts the server and returns once it is ready.
    ///
    /// # Errors
    /// Returns an error if no program is found, it cannot be started, or it does not become ready within a minute.
    pub async fn try_start(self) -> Result<NatsServer, NatsError> {
        let binary = binary::find()?;
        let directory =
            tempfile::Builder::new().prefix("gavel-nats-").tempdir().map_err(NatsError::Prepare)?;
        let written = directory.path().join("nats.conf");
        let config = self.file.as_ref().unwrap_or(&written);
        for _ in 0..PORTS_TRIED {
            // Ports are not reserved: if the server cannot bind one, another is tried.
            let port = rand::rng().random_range(PORTS);
            fs::write(&written, self.config_text(directory.path(), port)).map_err(NatsError::Prepare)?;
            let process = match &self.disk {
                Some(disk) => disk.enter(&binary),
                None => Process::builder(&binary),
            };
            let process = process.name("nats-server").arg("-c").arg(config);
            let process = process.env("NATS_LISTEN", format!("127.0.0.1:{port}"));
            let process = process.env("NATS_STORE_DIR", self.store(directory.path()));
            let process = process.envs(self.envs.iter().map(|(name, value)| (name, value)));
            let process = process.envs(self.roles.iter().flat_map(|roles| roles.server_env()));
            // Without a limit large messages let it grow to gigabytes before it collects its garbage.
            let process = process.env("GOMEMLIMIT", "512MiB").start().map_err(NatsError::Run)?;
            match ready(&process, Mark::default()).await {
                Ok(()) => {
                    let Self { roles, disk, .. } = self;
                    let are_violations_known = AtomicBool::new(false);
                    return Ok(NatsServer { process, directory, port, roles, disk, are_violations_known });
                }
                Err(error) if port_is_taken(&process, Mark::default(), &error) => {}
                Err(error) => return Err(NatsError::NotReady(error)),
            }
        }
        Err(NatsError::NoPort)
    }

    fn store(&self, directory: &Path) -> PathBuf {
        self.disk.as_ref().map_or(directory, |disk| disk.path()).join("store")
    }

    fn config_text(&self, directory: &Path, port: u16) -> String {
        let store = self.store(directory);
        let roles = self.roles.as_ref().map_or_else(String::new, |roles| roles.config());
        let sync = if self.sync_always { "sync_interval: always" } else { "" };
        format!(
            "server_name: \"gavel-test-{port}\"\nlisten: \"127.0.0.1:{port}\"\nmax_payload: {}\n\
             jetstream {{ store_dir: \"{}\", max_memory_store: 256MB, max_file_store: {}\n{sync} }}\n{roles}{}",
            self.max_payload,
            store.display(),
            self.max_file_store,
            self.extra
        )
    }
}

/// A nats-server that belongs to one test. Between [`NatsServer::kill`] and [`NatsServer::restart`] it does not run.
/// Dropping it kills it and deletes its store, and prints its log if the test is failing.
#[derive(Debug)]
pub struct NatsServer {
    // Dropped before the directory that it writes to.
    process: Process,
    directory: TempDir,
    port: u16,
    roles: Option<Arc<Roles>>,
    disk: Option<Arc<SmallDisk>>,
    /// Whether the caller has taken note of the violations.
    are_violations_known: AtomicBool,
}

impl NatsServer {
    /// Starts a server with the default configuration.
    ///
    /// # Panics
    /// As [`Builder::start`].
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Configures a server.
    pub fn builder() -> Builder {
        Builder {
            max_payload: 8_000_000,
            max_file_store: 1 << 40,
            sync_always: false,
            extra: String::new(),
            file: None,
            envs: Vec::new(),
            roles: None,
            disk: None,
        }
    }

    /// The environment of a service or command that logs in as this role of the deployment. Without roles, see
    /// [`Builder::with_roles`], it is the URL.
    ///
    /// # Panics
    /// Panics if there is no such role.
    #[must_use]
    pub fn login(&self, role: &str) -> Vec<(String, String)> {
        let mut variables = vec![("NATS_URL".to_owned(), self.url())];
        if let Some(roles) = &self.roles {
            variables.push(("NATS_NKEY".to_owned(), roles.seed(role).display().to_string()));
            variables.push(("NATS_MAKE_STREAMS".to_owned(), "false".to_owned()));
        }
        variables
    }

    /// What the server has refused to its users so far, for lack of permission. A test that does not ask for it fails in the
    /// end if there is anything.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.are_violations_known.store(true, Ordering::Relaxed);
        let Some(roles) = &self.roles else { return Vec::new() };
        let log = self.process.log().into_iter().filter(|line| line.contains(" Violation - "));
        log.map(|line| roles.name_keys(&line.text)).collect()
    }

    /// The disk of its store, if that is a small one.
    #[must_use]
    pub fn disk(&self) -> Option<&SmallDisk> {
        self.disk.as_deref()
    }

    /// The URL for clients. It stays the same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of `JetStream`'s files.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.disk().map_or(self.directory.path(), SmallDisk::path).join("store")
    }

    /// The process, for its log and other signals.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills the server (SIGKILL) and returns once it has exited. It keeps its port and store.
    ///
    /// # Errors
    /// Returns an error if it cannot be signalled.
    pub async fn kill(&self) -> Result<ExitStatus, NatsError> {
        self.process.kill().await.map_err(NatsError::Run)
    }

    /// Stops the server gracefully (SIGTERM) and returns once it has exited.
    ///
    /// # Errors
    /// Returns an error if it cannot be signalled or does not exit within 30 s.
    pub async fn stop(&self) -> Result<ExitStatus, NatsError> {
        self.process.terminate().map_err(NatsError::Run)?;
        self.process.wait_exit(STOP_TIMEOUT).await.map_err(NatsError::NotStopped)
    }

    /// Starts the server again with the same port and store, after killing it if it runs. Returns once it is ready.
    ///
    /// # Errors
    /// Returns an error if it cannot be started or does not become ready within a minute.
    pub async fn restart(&self) -> Result<(), NatsError> {
        let deadline = tokio::time::Instant::now() + START_TIMEOUT;
        loop {
            let mark = self.process.mark();
            self.process.restart().await.map_err(NatsError::Run)?;
            match ready(&self.process, mark).await {
                Ok(()) => return Ok(()),
                // Another process uses the port briefly, and nothing signals when it stops.
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

    /// Suspends the server (SIGSTOP): connections stay open and nothing answers.
    ///
    /// # Errors
    /// Returns an error if it cannot be signalled.
    pub fn freeze(&self) -> Result<(), NatsError> {
        self.process.freeze().map_err(NatsError::Run)
    }

    /// Resumes the server (SIGCONT).
    ///
    /// # Errors
    /// Returns an error if it cannot be signalled.
    pub fn thaw(&self) -> Result<(), NatsError> {
        self.process.thaw().map_err(NatsError::Run)
    }
}

/// A test fails if a service or command lacks a permission that it tried to use.
impl Drop for NatsServer {
    fn drop(&mut self) {
        if std::thread::panicking() || self.are_violations_known.load(Ordering::Relaxed) {
            return;
        }
        let violations = self.violations().join("\n");
        assert_eq!(violations, "", "deploy/nats/accounts.conf does not permit what a role has tried");
    }
}

async fn ready(process: &Process, mark: Mark) -> Result<(), WaitError> {
    let is_ready = |line: &LogLine| line.contains("Server is ready");
    process.wait_log_after(mark, "the readiness", START_TIMEOUT, is_ready).await.map(|_| ())
}

fn port_is_taken(process: &Process, mark: Mark, error: &WaitError) -> bool {
    matches!(error, WaitError::Exited { .. })
        && process.log_after(mark).iter().any(|line| line.contains("address already in use"))
}
