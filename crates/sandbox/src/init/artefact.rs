//! Opening the file that a compiler has created, for the judge.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;

use crate::protocol::wire::{ArtefactRequest, ArtefactStatus};

/// Opens the artefact if it is a regular file below this directory of the box. Links are not followed, not even
/// within the box, and opening a pipe does not block.
pub(super) fn open(
    root: BorrowedFd<'_>,
    directory: &str,
    request: &ArtefactRequest,
) -> (ArtefactStatus, Option<OwnedFd>) {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let within = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = openat(root, directory, within, Mode::empty())
        .and_then(|directory| openat2(directory, &request.name, flags, Mode::empty(), resolve));
    match opened {
        Ok(file) => check(file, request.max_bytes),
        Err(Errno::NOENT) => (ArtefactStatus::Missing, None),
        Err(_) => (ArtefactStatus::NotAFile, None),
    }
}

fn check(file: OwnedFd, max_bytes: u64) -> (ArtefactStatus, Option<OwnedFd>) {
    match fstat(&file) {
        Ok(stat) if !FileType::from_raw_mode(stat.st_mode).is_file() => (ArtefactStatus::NotAFile, None),
        Ok(stat) if u64::try_from(stat.st_size).is_ok_and(|size| size <= max_bytes) => {
            (ArtefactStatus::Sent, Some(file))
        }
        Ok(_) => (ArtefactStatus::TooLarge, None),
        Err(_) => (ArtefactStatus::NotAFile, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_a_regular_file_of_the_box_is_opened() {
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
        let status = |name: &str, max_bytes| {
            let request = ArtefactRequest { name: name.to_owned(), max_bytes };
            let (status, file) = open(root.as_fd(), "work", &request);
            assert_eq!(file.is_some(), status == ArtefactStatus::Sent, "{name}");
            status
        };
        assert_eq!(status("file", 5), ArtefactStatus::Sent);
        assert_eq!(status("file", 4), ArtefactStatus::TooLarge);
        assert_eq!(status("missing", 5), ArtefactStatus::Missing);
        for name in ["folder", "pipe", "relative", "absolute", "inside", "magic", "../outside"] {
            assert_eq!(status(name, 100), ArtefactStatus::NotAFile, "{name}");
        }
    }
}
