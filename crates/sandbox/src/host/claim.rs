//! Claiming something for this process among all judges of the machine.
//!
//! A claim is a name in the abstract namespace of Unix sockets, which the kernel releases when the process exits. Judges
//! in separate network namespaces, as in containers, do not see each other's claims.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with};

/// Claims a name until the returned descriptor is closed. Returns `None` if another process has claimed it.
pub(super) fn claim(name: &str) -> Result<Option<OwnedFd>, Errno> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let name = SocketAddrUnix::new_abstract_name(format!("gavel-sandbox-{name}").as_bytes())?;
    match bind(&socket, &name) {
        Ok(()) => Ok(Some(socket)),
        Err(Errno::ADDRINUSE) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_claimed_until_its_claim_is_dropped() {
        let name = format!("test-{}", std::process::id());
        let held = claim(&name).unwrap();
        assert!(held.is_some() && claim(&name).unwrap().is_none());
        drop(held);
        assert!(claim(&name).unwrap().is_some());
    }
}
