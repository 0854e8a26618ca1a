//! The socket between the judge and the init of a slot: whole messages that carry descriptors.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The maximum length of a message, in bytes. The longest are run requests, with arguments and environment.
const MAX_MESSAGE_BYTES: usize = 16 * 1024;
/// The maximum number of descriptors that travel with one message.
const MAX_DESCRIPTORS: usize = 16;

/// Why a message could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    /// The other side has closed the socket.
    #[error("the other side closed the socket")]
    Closed,
    /// The socket failed; `EAGAIN` if the socket is non-blocking and the call would have to wait.
    #[error("the socket failed: {0}")]
    Socket(#[source] Errno),
    /// The message exceeds the maximum length or number of descriptors.
    #[error(
        "a message is longer than {MAX_MESSAGE_BYTES} bytes or has more than {MAX_DESCRIPTORS} descriptors"
    )]
    TooLarge,
    /// The bytes are not a message of this build.
    #[error("cannot decode a message: {0}")]
    Encoding(#[source] postcard::Error),
}

impl ChannelError {
    /// Whether the call would have to wait.
    pub(crate) fn would_block(&self) -> bool {
        matches!(self, Self::Socket(Errno::AGAIN))
    }
}

/// One end of the socket.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

impl Channel {
    /// Two connected ends, both closed on exec.
    pub(crate) fn pair() -> Result<(Self, Self), Errno> {
        let (one, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(one), Self(other)))
    }

    /// Wraps a descriptor that is one end of such a socket.
    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Sends one message with its descriptors.
    pub(crate) fn send<T: Serialize>(&self, message: &T, fds: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        let bytes = postcard::to_stdvec(message).map_err(ChannelError::Encoding)?;
        if bytes.len() > MAX_MESSAGE_BYTES || fds.len() > MAX_DESCRIPTORS {
            return Err(ChannelError::TooLarge);
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(ChannelError::TooLarge);
        }
        match sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL) {
            Ok(_) => Ok(()),
            Err(Errno::PIPE | Errno::CONNRESET) => Err(ChannelError::Closed),
            Err(errno) => Err(ChannelError::Socket(errno)),
        }
    }

    /// Receives one message with its descriptors.
    pub(crate) fn recv<T: DeserializeOwned>(&self) -> Result<(T, Vec<OwnedFd>), ChannelError> {
        let mut bytes = [0_u8; MAX_MESSAGE_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let got = loop {
            let slices = &mut [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.0, slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Ok(got) => break got,
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Err(ChannelError::Closed),
                Err(errno) => return Err(ChannelError::Socket(errno)),
            }
        };
        let mut fds = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                fds.extend(received);
            }
        }
        if got.bytes == 0 {
            return Err(ChannelError::Closed);
        }
        if got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(ChannelError::TooLarge);
        }
        let message = postcard::from_bytes(&bytes[..got.bytes]).map_err(ChannelError::Encoding)?;
        Ok((message, fds))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl std::os::fd::AsRawFd for Channel {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};

    #[test]
    fn message_arrives_with_its_descriptors() {
        let (a, b) = Channel::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"content").unwrap();
        file.rewind().unwrap();
        a.send(&("hello".to_owned(), 7_u32), &[file.as_fd()]).unwrap();
        let ((text, number), fds) = b.recv::<(String, u32)>().unwrap();
        assert_eq!((text.as_str(), number), ("hello", 7));
        let mut content = String::new();
        std::fs::File::from(fds.into_iter().next().unwrap()).read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
    }

    #[test]
    fn closed_end_has_its_own_error() {
        let (a, b) = Channel::pair().unwrap();
        drop(a);
        assert!(matches!(b.recv::<u32>(), Err(ChannelError::Closed)));
        assert!(matches!(b.send(&1_u32, &[]), Err(ChannelError::Closed)));
    }

    #[test]
    fn too_long_message_is_not_sent() {
        let (a, _b) = Channel::pair().unwrap();
        assert!(matches!(a.send(&vec![0_u8; 70_000], &[]), Err(ChannelError::TooLarge)));
    }
}
