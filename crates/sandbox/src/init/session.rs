//! The priority of the init's session, which its programs cannot leave.
//!
//! Where each session has a share of the CPU (`sched(7)`, autogroup), the shares depend on the priorities of the sessions,
//! whatever those of their processes. A new session would have the priority of a service.

use std::fs::File;
use std::io::{ErrorKind, Write};

use super::privileges::NICE;

const AUTOGROUP: &str = "/proc/self/autogroup";

/// The session of this process; holds the file of its priority until that has been lowered.
pub(super) struct Session(Option<File>);

impl Session {
    /// Opens the file if each session has a share, and tries to lower the priority. Comes before the ids change: then the
    /// file belongs to no user of the namespace.
    pub(super) fn open(has_share: bool) -> Self {
        let file = has_share.then(|| File::options().write(true).open(AUTOGROUP).ok()).flatten();
        let mut session = Self(file);
        session.lower_priority();
        session
    }

    /// Lowers the priority, unless it was lowered before. The kernel refuses a change within 100 ms of the last one by any
    /// process on the machine, so that many slots would wait for each other: a later call tries again.
    pub(super) fn lower_priority(&mut self) {
        let Some(mut file) = self.0.as_ref() else { return };
        let written = file.write(NICE.to_string().as_bytes());
        if !written.is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn priority_is_lowered_as_soon_as_the_kernel_allows() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        while (&writer).write(&[0; 4096]).is_ok() {}
        let mut session = Session(Some(std::os::fd::OwnedFd::from(writer).into()));
        session.lower_priority();
        assert!(session.0.is_some());
        reader.read_exact(&mut [0; 4096]).unwrap();
        session.lower_priority();
        assert!(session.0.is_none());
    }
}
