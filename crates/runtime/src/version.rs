//! The version of this build.

/// The version with the commit that the build is made from, if it is known: `0.1.0 (7c33505 2026-11-26)`.
pub const VERSION: &str = env!("GAVEL_VERSION");

/// The same as a semantic version: `0.1.0+7c33505`. Heartbeats, metrics and traces contain it.
pub(crate) const BUILD: &str = env!("GAVEL_BUILD");

#[cfg(test)]
#[path = "../build/commit.rs"]
mod commit;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use super::commit::{Commit, changed_by_a_commit, of_repository};

    fn git(folder: &Path, arguments: &[&str]) {
        let author = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"];
        let mut command = Command::new("git");
        command.arg("-C").arg(folder).args(author).args(arguments).stdout(std::process::Stdio::null());
        command.env("GIT_COMMITTER_DATE", "2026-11-26T12:00:00Z");
        assert!(command.status().unwrap().success(), "{arguments:?}");
    }

    fn commit(folder: &Path) {
        git(folder, &["commit", "--quiet", "--allow-empty", "--message", "a change"]);
    }

    #[test]
    fn commit_is_a_word_and_an_optional_date() {
        for text in ["7c33505 2026-11-26", "7c33505", "0-dirty"] {
            assert_eq!(Commit::parse(text).unwrap().text(), text);
        }
        for text in ["", " ", "7c33505 2026-11-26 x", "7c33505)", "a\u{1b}b"] {
            assert!(Commit::parse(text).unwrap_err().contains("7c33505 2026-11-26"), "{text:?}");
        }
    }

    #[test]
    fn commit_of_a_repository_has_hash_and_date() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of_repository(folder.path()), None);
        git(folder.path(), &["init", "--quiet"]);
        assert_eq!(of_repository(folder.path()), None);
        commit(folder.path());
        let found = of_repository(folder.path()).unwrap();
        assert_eq!(found.text(), format!("{} 2026-11-26", found.hash));
        assert!(found.hash.len() >= 7 && found.hash.chars().all(|c| c.is_ascii_hexdigit()));
        // Sources inside another repository.
        fs::create_dir(folder.path().join("inside")).unwrap();
        assert_eq!(of_repository(&folder.path().join("inside")), None);
    }

    #[test]
    fn each_commit_changes_one_of_the_files_that_the_build_depends_on() {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["init", "--quiet"]);
        commit(folder.path());
        let contents = || {
            let paths = changed_by_a_commit(folder.path());
            paths.into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect::<Vec<_>>()
        };
        let mut before = contents();
        let changes: [&dyn Fn(); 4] = [
            &|| commit(folder.path()),
            // Now the branch is a line of packed-refs, and the next commit makes a file of it.
            &|| git(folder.path(), &["pack-refs", "--all"]),
            &|| commit(folder.path()),
            &|| git(folder.path(), &["checkout", "--quiet", "--detach"]),
        ];
        for change in changes {
            change();
            let is_same = |(content, path): &(Vec<u8>, _)| fs::read(path).is_ok_and(|now| now == *content);
            assert!(!before.iter().all(is_same), "{before:?}");
            before = contents();
        }
    }
}
