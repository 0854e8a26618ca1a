//! Sealed files in memory, which no process can change: the init's executable, compiled programs and inputs.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fchmod, fcntl_add_seals, memfd_create, open};
use rustix::io::Errno;

/// Creates a file in memory with this content, sealed against every change.
pub(crate) fn sealed(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(create(name)?);
    file.write_all(content)?;
    seal(file)
}

/// Creates a sealed copy of `source`. Returns `None` if `source` is longer than `limit` bytes.
pub(crate) fn sealed_copy(name: &str, source: &mut impl Read, limit: u64) -> io::Result<Option<OwnedFd>> {
    let mut file = File::from(create(name)?);
    let copied = io::copy(&mut source.take(limit + 1), &mut file)?;
    if copied > limit { Ok(None) } else { seal(file).map(Some) }
}

/// Opens the same file again, read-only and from its start.
pub(crate) fn reader(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    open(format!("/proc/self/fd/{}", fd.as_raw_fd()), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

fn create(name: &str) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag `EXEC` and allow execution without it.
    memfd_create(name, flags | MemfdFlags::EXEC).or_else(|_| memfd_create(name, flags))
}

fn seal(mut file: File) -> io::Result<OwnedFd> {
    file.seek(SeekFrom::Start(0))?;
    fchmod(&file, Mode::from_raw_mode(0o555))?;
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_file_can_be_read_but_not_changed() {
        let fd = sealed("test", b"abc").unwrap();
        let mut again = String::new();
        File::from(reader(&fd).unwrap()).read_to_string(&mut again).unwrap();
        assert_eq!(again, "abc");
        let mut writer = File::from(fd);
        assert!(writer.write_all(b"x").is_err());
        assert!(writer.set_len(0).is_err());
    }

    #[test]
    fn sealed_copy_rejects_a_source_beyond_the_limit() {
        assert!(sealed_copy("test", &mut &b"12345"[..], 4).unwrap().is_none());
        assert!(sealed_copy("test", &mut &b"12345"[..], 5).unwrap().is_some());
    }
}
