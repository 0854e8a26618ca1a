//! What a program writes, taken from its pipe up to a limit.

use std::io;
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::fs::{Gid, Uid, fchown};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::host::slot::watch;

/// Bytes read at once: what a pipe holds.
const CHUNK_BYTES: usize = 64 * 1024;

/// One stream of one run. The reading end stays open until the run is over, so that a program that writes too
/// much is never ended by SIGPIPE from us.
pub(crate) struct Capture<'a> {
    pipe: Pipe,
    limit: usize,
    /// What is expected to come yet. What comes so is counted and not kept.
    expected: &'a [u8],
    matched_bytes: usize,
    bytes: Vec<u8>,
    open: bool,
    overflowed: bool,
}

/// The reading end. Most programs write less than a pipe holds, and end soon: only for the others it is worth to
/// be woken while they run.
enum Pipe {
    Unwatched(OwnedFd),
    Watched(AsyncFd<OwnedFd>),
}

/// What was written to one stream.
pub(crate) struct Captured {
    /// So many bytes of what was expected came first.
    pub(crate) matched_bytes: usize,
    /// What else came; with that at most the limit.
    pub(crate) bytes: Vec<u8>,
    /// Whether there was more.
    pub(crate) overflowed: bool,
}

impl<'a> Capture<'a> {
    /// A new pipe: the capture, and the end that the program writes to, which belongs to the program's user, so
    /// that `/dev/stdout` can be opened. Without a `uid` that is the judge's own.
    pub(crate) fn new(limit: u64, uid: Option<u32>, expected: &'a [u8]) -> io::Result<(Self, OwnedFd)> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&read, true)?;
        if let Some(uid) = uid {
            fchown(&write, Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid)))?;
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let pipe = Pipe::Unwatched(read);
        let bytes = Vec::new();
        Ok((Self { pipe, limit, expected, matched_bytes: 0, bytes, open: true, overflowed: false }, write))
    }

    /// From now on [`Self::fill`] wakes its caller.
    pub(crate) fn watch(self) -> io::Result<Self> {
        let pipe = match self.pipe {
            Pipe::Unwatched(pipe) => Pipe::Watched(watch(pipe, Interest::READABLE)?),
            watched @ Pipe::Watched(_) => watched,
        };
        Ok(Self { pipe, ..self })
    }

    /// Whether there is a point in reading on.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether the limit has been passed.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    /// Waits for something to read and takes it.
    pub(crate) async fn fill(&mut self) -> io::Result<()> {
        let Pipe::Watched(pipe) = &self.pipe else { return std::future::pending().await };
        let mut ready = pipe.readable().await?;
        match take(ready.get_inner(), &mut self.bytes) {
            Ok(length) => self.open = length > 0,
            Err(Errno::AGAIN) => ready.clear_ready(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        self.measure();
        Ok(())
    }

    /// Takes what is left when nobody writes any more.
    pub(crate) fn finish(mut self) -> io::Result<Captured> {
        while self.open {
            let pipe = match &self.pipe {
                Pipe::Unwatched(pipe) => pipe,
                Pipe::Watched(pipe) => pipe.get_ref(),
            };
            match take(pipe, &mut self.bytes) {
                Ok(0) | Err(Errno::AGAIN) => self.open = false,
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            self.measure();
        }
        self.bytes.shrink_to_fit();
        Ok(Captured { matched_bytes: self.matched_bytes, bytes: self.bytes, overflowed: self.overflowed })
    }

    fn measure(&mut self) {
        // Each time all that is kept is new, for as long as anything is expected.
        let common = if self.expected.starts_with(&self.bytes) {
            self.bytes.len()
        } else {
            self.bytes.iter().zip(self.expected).take_while(|(one, other)| one == other).count()
        };
        if common > 0 {
            let common = common.min(self.limit - self.matched_bytes);
            self.matched_bytes += common;
            self.expected = &self.expected[common..];
            self.bytes.drain(..common);
        }
        if !self.bytes.is_empty() {
            self.expected = &[];
        }
        if self.bytes.len() > self.limit - self.matched_bytes {
            self.bytes.truncate(self.limit - self.matched_bytes);
            self.overflowed = true;
            self.open = false;
        }
    }
}

fn take(pipe: &OwnedFd, bytes: &mut Vec<u8>) -> Result<usize, Errno> {
    bytes.reserve(CHUNK_BYTES);
    rustix::io::read(pipe, spare_capacity(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn captured(written: &[u8], limit: u64) -> Captured {
        captured_of(written, limit, b"")
    }

    fn captured_of(written: &[u8], limit: u64, expected: &[u8]) -> Captured {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (capture, write) = Capture::new(limit, None, expected).unwrap();
            let mut capture = capture.watch().unwrap();
            std::fs::File::from(write).write_all(written).unwrap();
            capture.fill().await.unwrap();
            capture.finish().unwrap()
        })
    }

    #[test]
    fn the_limit_itself_is_allowed_and_one_more_is_not() {
        let exact = captured(b"12345", 5);
        assert_eq!((exact.bytes.as_slice(), exact.overflowed), (b"12345".as_slice(), false));
        let over = captured(b"123456", 5);
        assert_eq!((over.bytes.as_slice(), over.overflowed), (b"12345".as_slice(), true));
    }

    #[test]
    fn what_comes_as_expected_is_counted_and_no_more_of_it_after_a_difference() {
        let case = |written: &[u8], limit| {
            let captured = captured_of(written, limit, b"123456");
            (captured.matched_bytes, String::from_utf8(captured.bytes).unwrap(), captured.overflowed)
        };
        assert_eq!(case(b"123456", 9), (6, String::new(), false));
        assert_eq!(case(b"123456\n", 9), (6, "\n".to_owned(), false));
        assert_eq!(case(b"12x456", 9), (2, "x456".to_owned(), false));
        assert_eq!(case(b"x23456", 9), (0, "x23456".to_owned(), false));
        assert_eq!(case(b"12345678", 7), (6, "7".to_owned(), true));
        assert_eq!(case(b"123456", 4), (4, String::new(), true));
        assert_eq!(case(b"", 4), (0, String::new(), false));
    }

    #[test]
    fn a_difference_ends_it_also_between_two_reads() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let captured = runtime.block_on(async {
            let (capture, write) = Capture::new(100, None, b"123456").unwrap();
            let (mut capture, mut write) = (capture.watch().unwrap(), std::fs::File::from(write));
            for part in ["12", "x", "3456"] {
                write.write_all(part.as_bytes()).unwrap();
                capture.fill().await.unwrap();
            }
            drop(write);
            capture.finish().unwrap()
        });
        assert_eq!((captured.matched_bytes, captured.bytes.as_slice()), (2, b"x3456".as_slice()));
    }

    #[test]
    fn any_bytes_are_kept() {
        assert_eq!(captured(b"\0\xff\xfe", 10).bytes, b"\0\xff\xfe");
    }
}
