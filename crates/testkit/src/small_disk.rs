//! A small disk that a test fills and empties.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::process::{self, Process};
use crate::{TEST_TIMEOUT, WaitError};

/// What is written at a time.
static BLOCK: [u8; 64 << 10] = [0; 64 << 10];

/// Why a small disk cannot be mounted.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Its directory cannot be created, or `unshare` cannot be started.
    #[error("cannot prepare a small disk")]
    Prepare(#[source] io::Error),
    /// It cannot be mounted, which needs root. The text contains the reason.
    #[error("cannot mount a small disk, which needs root: {0}")]
    Mount(WaitError),
}

/// A file system in memory, mounted in a separate mount namespace: it exists only for the programs that
/// [`SmallDisk::enter`] starts, and vanishes with the test, however that ends. Needs root.
#[derive(Debug)]
pub struct SmallDisk {
    /// Keeps the namespace while no other program is in it.
    holder: Process,
    directory: TempDir,
}

impl SmallDisk {
    /// Mounts a disk of this size in bytes.
    ///
    /// # Errors
    /// Returns an error if it cannot be mounted, usually because the test does not run as root.
    pub async fn mount(bytes: u64) -> Result<Self, DiskError> {
        let directory =
            tempfile::Builder::new().prefix("gavel-disk-").tempdir().map_err(DiskError::Prepare)?;
        let script = format!(
            "mount -t tmpfs -o size={bytes},mode=755 tmpfs '{}' && echo mounted && exec sleep infinity",
            directory.path().display()
        );
        let holder = Process::builder("unshare")
            .args(["--mount", "--propagation", "private", "--", "sh", "-c", &script])
            .start()
            .map_err(DiskError::Prepare)?;
        let mounted = holder.wait_log("the mount", TEST_TIMEOUT, |line| line.text == "mounted").await;
        mounted.map_err(DiskError::Mount)?;
        Ok(Self { holder, directory })
    }

    /// Its mount point, for the programs that are started with [`SmallDisk::enter`].
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A process of this program, which sees the disk.
    #[must_use]
    pub fn enter(&self, program: impl AsRef<Path>) -> process::Builder {
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.holder.pid());
        Process::builder("nsenter").args([&namespace, "--"]).arg(program.as_ref())
    }

    /// Fills the disk to the last byte.
    ///
    /// # Errors
    /// Returns an error if writing fails for another reason.
    pub fn fill(&self) -> io::Result<()> {
        let mut file = File::create(self.filler())?;
        loop {
            match file.write(&BLOCK) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes room again.
    ///
    /// # Errors
    /// Returns an error if the disk was not filled.
    pub fn empty(&self) -> io::Result<()> {
        fs::remove_file(self.filler())
    }

    /// The file that fills the disk, as seen from outside of the namespace.
    fn filler(&self) -> PathBuf {
        let path = self.path().join("filler");
        let inside = path.strip_prefix("/").expect("a temporary directory has an absolute path");
        Path::new("/proc").join(self.holder.pid().to_string()).join("root").join(inside)
    }
}
