//! Cleaning the box after a run, when no process of the run exists any more.
//!
//! No path that a program could have written is followed: everything is done by descriptor, one name at a time, and
//! links are removed, never opened.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, Gid, Mode, OFlags, Uid, chownat, fstatvfs, mkdirat, openat, unlinkat};
use rustix::io::Errno;

/// If a directory tree is deeper, the slot is replaced instead of cleaned.
const MAX_DEPTH: u32 = 64;

/// Removes the directory `name` with its contents and creates it again, empty, for this user.
pub(super) fn recreate_dir(parent: BorrowedFd<'_>, name: &str, uid: u32, mode: u32) -> Result<(), Errno> {
    remove_dir(parent, name)?;
    mkdirat(parent, name, Mode::from_raw_mode(0o700))?;
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    chownat(parent, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    if mode != 0o700 {
        rustix::fs::chmodat(parent, name, Mode::from_raw_mode(mode), AtFlags::empty())?;
    }
    Ok(())
}

/// Removes the contents of this directory.
pub(super) fn remove_contents(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    remove_contents_except(directory, "")
}

/// Removes the contents of this directory except one name.
pub(super) fn remove_contents_except(directory: BorrowedFd<'_>, kept: &str) -> Result<(), Errno> {
    // A second open file description of the directory, since reading moves its position.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(directory, ".", flags, Mode::empty())?;
    while remove_listed(&directory, kept, 0)? {}
    Ok(())
}

/// Removes the directory `name` with its contents, if it exists.
pub(super) fn remove_dir(parent: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::NOTEMPTY) => remove_tree(parent, &CString::new(name).map_err(|_| Errno::INVAL)?, 0),
        Err(errno) => Err(errno),
    }
}

/// The free inodes of the box. If there are fewer after cleaning than before, something was left.
pub(super) fn free_inodes(directory: impl AsFd) -> Result<u64, Errno> {
    fstatvfs(directory).map(|numbers| numbers.f_ffree)
}

/// Roughly the memory that the box's files use, in bytes, including what the kernel needs for each.
pub(super) fn used_bytes(directory: impl AsFd) -> Result<u64, Errno> {
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
    // Reading may skip names while names are removed: read again until nothing is left.
    while remove_listed(&directory, "", depth)? {}
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}

/// Removes what one reading of the directory lists. Returns whether it listed anything.
fn remove_listed(directory: &OwnedFd, kept: &str, depth: u32) -> Result<bool, Errno> {
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
    fn tree_is_removed_and_the_targets_of_its_links_stay() {
        let base = std::env::temp_dir().join(format!("gavel-cleanup-{}", std::process::id()));
        fs::create_dir_all(base.join("work/a/b/c")).unwrap();
        fs::create_dir_all(base.join("keep")).unwrap();
        fs::write(base.join("keep/file"), "x").unwrap();
        fs::write(base.join("work/a/file"), "x").unwrap();
        symlink(base.join("keep"), base.join("work/a/link")).unwrap();
        fs::hard_link(base.join("keep/file"), base.join("work/hard")).unwrap();
        let parent =
            openat(rustix::fs::CWD, &base, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        remove_dir(parent.as_fd(), "work").unwrap();
        remove_dir(parent.as_fd(), "work").unwrap();
        assert!(!base.join("work").exists());
        assert_eq!(fs::read_to_string(base.join("keep/file")).unwrap(), "x");
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn too_deep_tree_is_an_error() {
        let base = std::env::temp_dir().join(format!("gavel-deep-{}", std::process::id()));
        let deep: std::path::PathBuf = std::iter::repeat_n("d", 200).collect();
        fs::create_dir_all(base.join("work").join(deep)).unwrap();
        let parent =
            openat(rustix::fs::CWD, &base, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        assert_eq!(remove_dir(parent.as_fd(), "work"), Err(Errno::LOOP));
        fs::remove_dir_all(&base).unwrap();
    }
}
