//! The limit on this process's open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as this process may.
///
/// A slot takes about ten descriptors. And the kernel refuses to send a descriptor while the descriptors that the
/// sender's user has sent, and no process has received, exceed the sender's limit: without root that counts those of the
/// programs, whose limit is lower.
pub(crate) fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Fails only if the hard limit has been lowered meanwhile.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
