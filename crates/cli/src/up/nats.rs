//! The nats-server that `gavel up` starts and stops.

mod store;

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use gavel_bus::{Bus, identity};
use gavel_domain::Secret;
use gavel_inspect::find_nats_server;
use gavel_runtime::nats::local_key;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// How long the server may take to open its store.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How long the server may take to exit.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// When the server syncs its files to disk: `always`, or an interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyncInterval(String);

impl SyncInterval {
    /// Syncs before each acknowledgement.
    pub(crate) fn always() -> Self {
        Self("always".to_owned())
    }
}

impl FromStr for SyncInterval {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = text.strip_suffix("ms").or_else(|| text.strip_suffix(['s', 'm'])).unwrap_or_default();
        let is_duration = number.parse::<u32>().is_ok_and(|number| number > 0);
        if text == "always" || is_duration { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

impl Display for SyncInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which server to start, and how.
#[derive(Clone, Debug)]
pub(crate) struct NatsServerConfig {
    /// The executable; `None` to search for it.
    pub(crate) program: Option<String>,
    /// The directory of its store and its log.
    pub(crate) data_dir: PathBuf,
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
    /// When it syncs to disk.
    pub(crate) sync: SyncInterval,
}

/// How to connect to the server: as its only user, whose key is new at each start.
pub(crate) struct Access {
    pub(crate) url: String,
    pub(crate) seed: Secret,
    /// The public key.
    user: String,
}

/// A nats-server that stops with this process.
pub(crate) struct OwnNats {
    config: NatsServerConfig,
    program: PathBuf,
    access: Access,
    child: Mutex<Child>,
    /// Held while this process uses the data directory.
    _lock: File,
}

impl OwnNats {
    /// Starts the server and waits until it accepts connections.
    pub(crate) async fn start(config: &NatsServerConfig) -> anyhow::Result<Self> {
        let mut config = config.clone();
        // The store contains sources, so a new directory is for its owner only.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&config.data_dir)
            .with_context(|| format!("cannot create the data directory {}", config.data_dir.display()))?;
        config.data_dir = config.data_dir.canonicalize()?;
        let lock = File::create(config.data_dir.join("lock"))?;
        if lock.try_lock().is_err() {
            bail!(
                "another gavel up uses {}; set DATA_DIR to a different directory",
                config.data_dir.display()
            );
        }
        if TcpStream::connect(("127.0.0.1", config.port)).await.is_ok() {
            bail!(
                "port {} is in use; set NATS_PORT to a free port, or NATS_URL to use the server that runs there",
                config.port
            );
        }
        let program = find(config.program.as_deref()).await?;
        let (seed, user) = identity::new_user();
        write_key(&config, &seed)?;
        let mut child = spawn(&program, &config, &user)?;
        if let Err(failure) = until_listening(&mut child, &config).await {
            let _ = child.kill().await;
            return Err(failure);
        }
        info!(port = config.port, store = %config.data_dir.display(), sync = %config.sync, "nats-server started");
        let access = Access { url: format!("nats://127.0.0.1:{}", config.port), seed, user };
        Ok(Self { config, program, access, child: Mutex::new(child), _lock: lock })
    }

    /// How to connect to it.
    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// Restarts the server whenever it exits, or stores nothing any more although its disk has room, until `ended`.
    pub(crate) async fn keep_running(&self, bus: &Bus, ended: &CancellationToken) {
        let mut child = self.child.lock().await;
        loop {
            tokio::select! {
                () = ended.cancelled() => return,
                status = child.wait() => error!(?status, "nats-server exited: restarting it"),
                problem = store::until_restart_helps(bus, &self.config.data_dir) => {
                    error!(%problem, "the disk has room, but nats-server stores nothing: restarting it");
                    stop(&mut child).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            match spawn(&self.program, &self.config, &self.access.user) {
                Ok(started) => *child = started,
                Err(failure) => error!("{failure:#}"),
            }
        }
    }

    /// Stops the server, which syncs its files to disk.
    pub(crate) async fn stop(self) {
        local_key::unregister(self.config.port);
        stop(&mut *self.child.lock().await).await;
    }
}

async fn stop(child: &mut Child) {
    let Some(pid) = child.id() else { return };
    // kill(1), because std cannot send SIGTERM.
    let asked = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await;
    if asked.is_err() || tokio::time::timeout(STOP_TIMEOUT, child.wait()).await.is_err() {
        warn!("nats-server did not exit within {} s: killing it", STOP_TIMEOUT.as_secs());
        let _ = child.kill().await;
    }
}

/// Stores the seed of the server's user, readable by the owner only, where other commands find it.
fn write_key(config: &NatsServerConfig, seed: &Secret) -> anyhow::Result<()> {
    let file = config.data_dir.join("nats.nk");
    let write = || {
        if file.exists() {
            fs::remove_file(&file)?;
        }
        let mut new = File::options().write(true).create_new(true).mode(0o600).open(&file)?;
        writeln!(new, "{}", seed.expose())
    };
    write().with_context(|| format!("cannot write {}", file.display()))?;
    if let Err(error) = local_key::register(config.port, &file) {
        warn!(%error, "other gavel commands cannot find the key of nats-server: set NATS_NKEY={} for them", file.display());
    }
    Ok(())
}

/// Finds the executable: the configured one; otherwise the one in `.tools`, or the one in `PATH`.
async fn find(configured: Option<&str>) -> anyhow::Result<PathBuf> {
    let candidates =
        configured.map_or_else(|| vec![".tools/bin/nats-server", "nats-server"], |path| vec![path]);
    let candidates: Vec<_> = candidates.into_iter().map(PathBuf::from).collect();
    let found = tokio::task::spawn_blocking(move || find_nats_server(candidates)).await?;
    found.map_err(|error| {
        anyhow!(
            "{error}; install it with scripts/tools, or set NATS_SERVER to its path, or NATS_URL to a running server"
        )
    })
}

/// Starts the server with one user, who may do everything. Its environment has none of the secrets of this process.
fn spawn(program: &Path, config: &NatsServerConfig, user: &str) -> anyhow::Result<Child> {
    let NatsServerConfig { data_dir, port, sync, .. } = config;
    let file = data_dir.join("nats-server.conf");
    let store = serde_json::Value::from(data_dir.join("jetstream").to_string_lossy());
    let text = format!(
        "# Written by gavel up at each start.\nserver_name: gavel\nlisten: \"127.0.0.1:{port}\"\n\
         max_payload: 8MB\nauthorization {{\n  users: [ {{ nkey: {user} }} ]\n}}\n\
         jetstream {{\n  store_dir: {store}\n  sync_interval: {sync}\n}}\n"
    );
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    let log = File::options().create(true).append(true).open(data_dir.join("nats-server.log"))?;
    // With setpriv the kernel stops the server together with this process, even if this process is killed.
    let parent_death = ["--pdeathsig", "TERM", "--"];
    let mut command = if Path::new("/usr/bin/setpriv").exists() {
        let mut command = Command::new("/usr/bin/setpriv");
        command.args(parent_death).arg(program);
        command
    } else {
        Command::new(program)
    };
    command
        .arg("--config")
        .arg(&file)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        // Without it, the server keeps the memory of large messages for long.
        .env("GOMEMLIMIT", "1GiB")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C in the terminal must not reach the server, which stops after the services.
        .process_group(0)
        .kill_on_drop(true);
    command.spawn().with_context(|| format!("cannot start {}", program.display()))
}

/// Waits until the server sends its `INFO` line.
async fn until_listening(child: &mut Child, config: &NatsServerConfig) -> anyhow::Result<()> {
    let greeted = async {
        loop {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", config.port)).await {
                let mut line = String::new();
                let read = BufReader::new(stream).read_line(&mut line).await;
                if read.is_ok() && line.starts_with("INFO ") {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let log = config.data_dir.join("nats-server.log");
    tokio::select! {
        () = greeted => Ok(()),
        status = child.wait() => {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let last: Vec<_> = text.lines().rev().take(3).collect();
            bail!("nats-server exited during start ({status:?}); last lines of {}: {}", log.display(), last.join(" | "))
        }
        () = tokio::time::sleep(START_TIMEOUT) => bail!("nats-server did not start within {START_TIMEOUT:?}; see {}", log.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sync_interval_is_always_or_a_duration() {
        for good in ["always", "1s", "500ms", "2m"] {
            assert!(good.parse::<SyncInterval>().is_ok(), "{good}");
        }
        for bad in ["", "never", "0s", "1h", "1", "s", "-1s", "1s; port: 1"] {
            assert!(bad.parse::<SyncInterval>().is_err(), "{bad}");
        }
    }
}
