//! The commit that a build is made from. The build script uses this file, and the tests of the crate.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A commit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    /// Its abbreviated hash, or a name for it: letters, digits and hyphens, as semantic versions require.
    pub(crate) hash: String,
    /// When it was made, as `2026-11-26`.
    date: Option<String>,
}

impl Commit {
    /// Reads `7c33505` or `7c33505 2026-11-26`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace().map(str::to_owned);
        let (hash, date, rest) = (words.next(), words.next(), words.next());
        let is_word = |word: &String| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        match hash {
            Some(hash) if is_word(&hash) && date.iter().all(is_word) && rest.is_none() => {
                Ok(Self { hash, date })
            }
            _ => Err(format!(
                "GAVEL_COMMIT is {text:?}: set it to a commit and a date, such as \"7c33505 2026-11-26\""
            )),
        }
    }

    /// The hash and the date.
    pub(crate) fn text(&self) -> String {
        self.date.as_ref().map_or_else(|| self.hash.clone(), |date| format!("{} {date}", self.hash))
    }
}

/// Returns the newest commit of the repository at `folder`; `None` if `folder` is not the root of a repository (the sources
/// may have been unpacked inside another one), or if git is missing.
pub(crate) fn of_repository(folder: &Path) -> Option<Commit> {
    let root = git(folder, &["rev-parse", "--show-toplevel"])?;
    if PathBuf::from(root).canonicalize().ok()? != folder.canonicalize().ok()? {
        return None;
    }
    Commit::parse(&git(folder, &["log", "-1", "--abbrev=7", "--format=%h %cs"])?).ok()
}

/// Returns the files of the repository that change if its newest commit does. All exist: Cargo runs the script again at each
/// build if one does not.
pub(crate) fn changed_by_a_commit(folder: &Path) -> Vec<PathBuf> {
    // A branch is a separate file or a line of `packed-refs`; `logs/HEAD` changes when the first replaces the second.
    let branch = git(folder, &["symbolic-ref", "--quiet", "HEAD"]);
    let names = ["HEAD", "logs/HEAD", "packed-refs"].into_iter().chain(branch.as_deref());
    let paths = names.filter_map(|name| git(folder, &["rev-parse", "--git-path", name]));
    paths.map(|path| folder.join(path)).filter(|path| path.exists()).collect()
}

/// The output of git in `folder`; `None` if it fails.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
