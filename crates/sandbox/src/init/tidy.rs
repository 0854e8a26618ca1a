//! Clearing the box after a run, when no process of it lives any more.
//!
//! No path is followed that a program could have written: everything is done by descriptor, one name deep, and
//! links are removed, never opened.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, Gid, Mode, OFlags, Uid, chownat, fstatvfs, mkdirat, openat, unlinkat};
use rustix::io::Errno;

/// Deeper trees are not worth the trouble: the slot is replaced.
const MAX_DEPTH: u32 = 64;

/// Removes the directory `name` with all that is in it and makes it anew, empty, for this user.
pub(super) fn renew(parent: BorrowedFd<'_>, name: &str, uid: u32, mode: u32) -> Result<(), Errno> {
    remove(parent, name)?;
    mkdirat(parent, name, Mode::from_raw_mode(0o700))?;
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    chownat(parent, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    if mode != 0o700 {
        rustix::fs::chmodat(parent, name, Mode::from_raw_mode(mode), AtFlags::empty())?;
    }
    Ok(())
}

/// Removes all that is in this directory.
pub(super) fn empty(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    empty_but(directory, "")
}

/// Removes all that is in this directory but one name.
pub(super) fn empty_but(directory: BorrowedFd<'_>, kept: &str) -> Result<(), Errno> {
    // Another description of the same directory: a reader has a place in it.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(directory, ".", flags, Mode::empty())?;
    while empty_once(&directory, kept, 0)? {}
    Ok(())
}

/// Removes the directory `name` with all that is in it; it need not be there.
pub(super) fn remove(parent: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::NOTEMPTY) => remove_tree(parent, &CString::new(name).map_err(|_| Errno::INVAL)?, 0),
        Err(errno) => Err(errno),
    }
}

/// Inodes that are free in the box: after cleaning, as many as before, or something was left.
pub(super) fn free_inodes(directory: impl AsFd) -> Result<u64, Errno> {
    fstatvfs(directory).map(|numbers| numbers.f_ffree)
}

/// Roughly the memory that the box's files hold, in bytes, with what the kernel needs for each.
pub(super) fn held_bytes(directory: impl AsFd) -> Result<u64, Errno> {
    let numbers = fstatvfs(directory)?;
    let blocks = numbers.f_blocks.saturating_sub(numbers.f_bfree);
    let inodes = numbers.f_files.saturating_sub(numbers.f_ffree);
    Ok(blocks.saturating_mul(numbers.f_frsize).saturating_add(inodes.saturating_mul(2048)))
}

fn remove_tree(parent: BorrowedFd<'_>, name: &CString, depth: u32) -> Result<(), Errno> {
    if depth > MAX_DEPTH {
        return Err(Errno::LOOP);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory: OwnedFd = openat(parent, name, flags, Mode::empty())?;
    // A reader may skip names while names go: read again until nothing is left.
    while empty_once(&directory, "", depth)? {}
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}

/// Removes what one reading of the directory shows; whether it showed anything.
fn empty_once(directory: &OwnedFd, kept: &str, depth: u32) -> Result<bool, Errno> {
    let mut found = false;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." || name.to_bytes() == kept.as_bytes() {
            continue;
        }
        found = true;
        match unlinkat(directory, name, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::ISDIR) => match unlinkat(directory, name, AtFlags::REMOVEDIR) {
                Ok(()) => {}
                Err(Errno::NOTEMPTY) => remove_tree(directory.as_fd(), &name.to_owned(), depth + 1)?,
                Err(errno) => return Err(errno),
            },
            Err(errno) => return Err(errno),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_tree_goes_and_what_its_links_point_at_stays() {
        let base = std::env::temp_dir().join(format!("gavel-tidy-{}", std::process::id()));
        fs::create_dir_all(base.join("work/a/b/c")).unwrap();
        fs::create_dir_all(base.join("keep")).unwrap();
        fs::write(base.join("keep/file"), "x").unwrap();
        fs::write(base.join("work/a/file"), "x").unwrap();
        symlink(base.join("keep"), base.join("work/a/link")).unwrap();
        fs::hard_link(base.join("keep/file"), base.join("work/hard")).unwrap();
        let parent =
            openat(rustix::fs::CWD, &base, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        remove(parent.as_fd(), "work").unwrap();
        remove(parent.as_fd(), "work").unwrap();
        assert!(!base.join("work").exists());
        assert_eq!(fs::read_to_string(base.join("keep/file")).unwrap(), "x");
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn a_tree_too_deep_is_given_up() {
        let base = std::env::temp_dir().join(format!("gavel-deep-{}", std::process::id()));
        let deep: std::path::PathBuf = std::iter::repeat_n("d", 200).collect();
        fs::create_dir_all(base.join("work").join(deep)).unwrap();
        let parent =
            openat(rustix::fs::CWD, &base, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        assert_eq!(remove(parent.as_fd(), "work"), Err(Errno::LOOP));
        fs::remove_dir_all(&base).unwrap();
    }
}
