//! Handing out what a compiler left.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;

use crate::protocol::wire::{Collect, Collected};

/// Opens the artefact: a regular file below this directory of the box, and nothing that stands for one. Links
/// are not followed, not even within the box, and a pipe does not make us wait.
pub(super) fn open_artefact(
    root: BorrowedFd<'_>,
    directory: &str,
    collect: &Collect,
) -> (Collected, Option<OwnedFd>) {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let within = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = openat(root, directory, within, Mode::empty())
        .and_then(|directory| openat2(directory, &collect.name, flags, Mode::empty(), resolve));
    match opened {
        Ok(file) => check(file, collect.max_bytes),
        Err(Errno::NOENT) => (Collected::Missing, None),
        Err(_) => (Collected::NotAFile, None),
    }
}

fn check(file: OwnedFd, max_bytes: u64) -> (Collected, Option<OwnedFd>) {
    match fstat(&file) {
        Ok(stat) if !FileType::from_raw_mode(stat.st_mode).is_file() => (Collected::NotAFile, None),
        Ok(stat) if u64::try_from(stat.st_size).is_ok_and(|size| size <= max_bytes) => {
            (Collected::Sent, Some(file))
        }
        Ok(_) => (Collected::TooLarge, None),
        Err(_) => (Collected::NotAFile, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_a_file_of_the_box_is_handed_out() {
        let base = tempfile::tempdir().unwrap();
        let work = base.path().join("work");
        std::fs::create_dir_all(work.join("folder")).unwrap();
        std::fs::write(base.path().join("outside"), "secret").unwrap();
        std::fs::write(work.join("file"), "12345").unwrap();
        symlink("../outside", work.join("relative")).unwrap();
        symlink("/etc/passwd", work.join("absolute")).unwrap();
        symlink("file", work.join("inside")).unwrap();
        symlink("/proc/self/fd/0", work.join("magic")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            work.join("pipe"),
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let root = openat(rustix::fs::CWD, base.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
        let collected = |name: &str, max_bytes| {
            let collect = Collect { name: name.to_owned(), max_bytes };
            let (collected, file) = open_artefact(root.as_fd(), "work", &collect);
            assert_eq!(file.is_some(), collected == Collected::Sent, "{name}");
            collected
        };
        assert_eq!(collected("file", 5), Collected::Sent);
        assert_eq!(collected("file", 4), Collected::TooLarge);
        assert_eq!(collected("missing", 5), Collected::Missing);
        for name in ["folder", "pipe", "relative", "absolute", "inside", "magic", "../outside"] {
            assert_eq!(collected(name, 100), Collected::NotAFile, "{name}");
        }
    }
}
