//! Reading what a program writes from its pipe, up to a limit.

use std::io;
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::fs::{Gid, Mode, Uid, fchmod, fchown};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::host::async_fd;

/// Bytes read at once: the capacity of a pipe.
const CHUNK_BYTES: usize = 64 * 1024;

/// One stream of one run. The reading end stays open until the run has ended, so that a program that writes too
/// much never gets SIGPIPE because the judge stopped reading.
pub(crate) struct Capture<'a> {
    pipe: Pipe,
    limit: usize,
    /// The rest of the expected output. Bytes that match it are counted and not kept.
    expected: &'a [u8],
    matched_bytes: usize,
    bytes: Vec<u8>,
    open: bool,
    overflowed: bool,
}

/// The reading end. Most programs write less than the capacity of a pipe and end soon: only for the others it is
/// worth registering the descriptor, to read while they run.
enum Pipe {
    Unregistered(OwnedFd),
    Registered(AsyncFd<OwnedFd>),
}

/// What was written to one stream.
pub(crate) struct Captured {
    /// The number of leading bytes that matched the expected output.
    pub(crate) matched_bytes: usize,
    /// The bytes after those; together with them at most the limit.
    pub(crate) bytes: Vec<u8>,
    /// Whether the program wrote more than the limit.
    pub(crate) overflowed: bool,
}

impl<'a> Capture<'a> {
    /// Makes a pipe: the capture, and the end that the program writes to. The pipe belongs to the program's user, who may
    /// open it as `/dev/stdout` with this mode; without a `uid` that is the judge's own user.
    pub(crate) fn new(
        limit: u64,
        uid: Option<u32>,
        mode: Mode,
        expected: &'a [u8],
    ) -> io::Result<(Self, OwnedFd)> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&read, true)?;
        // Before the pipe is another user's: a judge that is not root may then not change it.
        fchmod(&write, mode)?;
        if let Some(uid) = uid {
            fchown(&write, Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid)))?;
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let pipe = Pipe::Unregistered(read);
        let bytes = Vec::new();
        Ok((Self { pipe, limit, expected, matched_bytes: 0, bytes, open: true, overflowed: false }, write))
    }

    /// Registers the pipe with the async runtime, so that [`Self::fill`] can wait for it.
    pub(crate) fn register(self) -> io::Result<Self> {
        let pipe = match self.pipe {
            Pipe::Unregistered(pipe) => Pipe::Registered(async_fd::register(pipe, Interest::READABLE)?),
            registered @ Pipe::Registered(_) => registered,
        };
        Ok(Self { pipe, ..self })
    }

    /// Whether there may be more to read: neither the end nor the limit has been reached.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether the program wrote more than the limit.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    /// Waits until there is something to read and reads it. Waits forever if the pipe is not registered.
    pub(crate) async fn fill(&mut self) -> io::Result<()> {
        let Pipe::Registered(pipe) = &self.pipe else { return std::future::pending().await };
        let mut ready = pipe.readable().await?;
        match read_chunk(ready.get_inner(), &mut self.bytes) {
            Ok(length) => self.open = length > 0,
            Err(Errno::AGAIN) => ready.clear_ready(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        self.count_matches();
        Ok(())
    }

    /// Reads the rest once no process can write any more.
    pub(crate) fn finish(mut self) -> io::Result<Captured> {
        while self.open {
            let pipe = match &self.pipe {
                Pipe::Unregistered(pipe) => pipe,
                Pipe::Registered(pipe) => pipe.get_ref(),
            };
            match read_chunk(pipe, &mut self.bytes) {
                Ok(0) | Err(Errno::AGAIN) => self.open = false,
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            self.count_matches();
        }
        self.bytes.shrink_to_fit();
        Ok(Captured { matched_bytes: self.matched_bytes, bytes: self.bytes, overflowed: self.overflowed })
    }

    fn count_matches(&mut self) {
        // While output is expected, `bytes` holds only what was read last: matching bytes are not kept.
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

fn read_chunk(pipe: &OwnedFd, bytes: &mut Vec<u8>) -> Result<usize, Errno> {
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
            let (capture, write) = Capture::new(limit, None, Mode::WUSR, expected).unwrap();
            let mut capture = capture.register().unwrap();
            std::fs::File::from(write).write_all(written).unwrap();
            capture.fill().await.unwrap();
            capture.finish().unwrap()
        })
    }

    #[test]
    fn output_of_exactly_the_limit_is_allowed_and_one_byte_more_is_not() {
        let exact = captured(b"12345", 5);
        assert_eq!((exact.bytes.as_slice(), exact.overflowed), (b"12345".as_slice(), false));
        let over = captured(b"123456", 5);
        assert_eq!((over.bytes.as_slice(), over.overflowed), (b"12345".as_slice(), true));
    }

    #[test]
    fn matching_bytes_are_counted_up_to_the_first_difference() {
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
    fn matching_stops_at_a_difference_between_two_reads() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let captured = runtime.block_on(async {
            let (capture, write) = Capture::new(100, None, Mode::WUSR, b"123456").unwrap();
            let (mut capture, mut write) = (capture.register().unwrap(), std::fs::File::from(write));
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
    fn arbitrary_bytes_are_kept() {
        assert_eq!(captured(b"\0\xff\xfe", 10).bytes, b"\0\xff\xfe");
    }
}
