//! The limit of open files, which also limits connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many open files as the services of one process need together.
const OPEN_FILES: u64 = 8_192;

/// Raises the limit of open files of this process as far as the system permits and the services need. The usual 1,024
/// would be used up by the connections of one port, and then nothing else could open a file or connect.
pub(crate) fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(u64::MAX).min(OPEN_FILES);
    if current.is_some_and(|current| current < wanted) {
        // If it fails, the server has fewer connections.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}

/// Returns how many connections a server may have: at most `wanted`. `gavel up` has four servers in one process; together
/// they leave at least half of the descriptors to everything else.
pub(crate) fn connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit / 8).unwrap_or(usize::MAX).clamp(16, wanted)
}
