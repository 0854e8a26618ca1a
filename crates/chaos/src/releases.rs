//! The programs of the services, of this release and of the previous one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use gavel_testkit::process::built_binary;
use tempfile::TempDir;

use crate::plan::{Release, Target};

/// A link for each service to the program that it runs when it starts the next time.
#[derive(Debug)]
pub(crate) struct Releases {
    previous: Option<PathBuf>,
    links: TempDir,
}

impl Releases {
    /// With the programs of the previous release in this directory, if there are any.
    pub(crate) fn new(previous: Option<&Path>) -> Result<Self> {
        let previous =
            previous.map(Path::canonicalize).transpose().context("no directory of the previous release")?;
        Ok(Self { previous, links: tempfile::tempdir()? })
    }

    /// The release that a run starts with.
    pub(crate) fn first(&self) -> Release {
        if self.previous.is_some() { Release::Previous } else { Release::Current }
    }

    /// Selects the release of a service from its next start on. Returns the link to its program.
    pub(crate) fn select(&self, target: Target, release: Release) -> Result<PathBuf> {
        let link = self.links.path().join(target.to_string());
        if link.is_symlink() {
            fs::remove_file(&link)?;
        }
        symlink(self.program(target, release)?, &link)?;
        Ok(link)
    }

    /// The program of a service.
    pub(crate) fn program(&self, target: Target, release: Release) -> Result<PathBuf> {
        let name = format!("gavel-{}", target.role.name());
        match (release, &self.previous) {
            (Release::Previous, Some(directory)) => Ok(directory.join(name)),
            _ => Ok(built_binary(&name)?.canonicalize()?),
        }
    }
}
