//! Registering descriptors with the async runtime.

use std::io;
use std::os::fd::AsRawFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor with the async runtime.
#[expect(unsafe_code, reason = "the runtime relies on the descriptor staying what it is")]
pub(crate) fn register<T: AsRawFd>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: both types that this crate registers, `Channel` and `OwnedFd`, own one open descriptor, always return
    // the same one, and neither close nor replace it while they live.
    Ok(unsafe { AsyncFd::register_with_interest(owner, interest) }?)
}
